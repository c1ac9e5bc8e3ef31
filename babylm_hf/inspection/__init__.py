"""Inspection: what a plan will do, what a run did, what a model predicts. Facts first, then text or a picture."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "TokenPrediction": "predictions",
    "plan_facts": "plans",
    "predict": "predictions",
    "run_facts": "runs",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
