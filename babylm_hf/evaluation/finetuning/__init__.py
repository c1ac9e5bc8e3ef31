"""Fine-tuning on the seven GLUE and SuperGLUE tasks of BabyLM, with the official head, pooling and hyper-parameters.

The public names load on first use, so that naming this package does not import torch.
"""

from __future__ import annotations

from ...lazy import loader

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

__getattr__ = loader(__name__, _HOMES)
