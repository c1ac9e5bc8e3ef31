"""Fine-tuning on the seven GLUE and SuperGLUE tasks of BabyLM, with the official head, pooling and hyper-parameters.

The public names load on first use, so that naming this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "TASKS": "tasks",
    "FinetuningTask": "tasks",
    "Settings": "settings",
    "TaskData": "data",
    "find_data": "data",
    "load_task": "data",
    "SequenceClassifier": "model",
    "load_classifier": "model",
    "classification_scores": "metrics",
    "FinetuningResult": "results",
    "finetuning_predictions": "results",
    "score_rows": "results",
    "write_official_results": "results",
    "FinetuningRun": "runs",
    "finetune_model": "runs",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
