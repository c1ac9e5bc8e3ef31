"""Training objectives: the losses of a micro-batch, and the count that a step's sum is divided by."""

from __future__ import annotations

from torch import nn

from .masked import MaskedObjective, TargetLosses

__all__ = ["MaskedObjective", "TargetLosses", "objective_for"]


def objective_for(model: nn.Module) -> MaskedObjective:
    """The objective that a model is trained with."""
    return MaskedObjective(model)
