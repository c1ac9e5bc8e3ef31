"""Training objectives: the losses of a micro-batch, and the count that a step's sum is divided by."""

from __future__ import annotations

from .masked import MaskedObjective, TargetLosses

__all__ = ["MaskedObjective", "TargetLosses"]
