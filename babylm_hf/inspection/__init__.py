"""Inspection: what a plan will do, what a run did, what a model predicts. Facts first, then text or a picture."""

from __future__ import annotations

from ..lazy import loader

_HOME = {
    "TokenPrediction": "predictions",
    "plan_facts": "plans",
    "predict": "predictions",
    "run_facts": "runs",
}

__all__ = sorted(_HOME)

__getattr__ = loader(__name__, _HOME)
