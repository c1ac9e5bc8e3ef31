"""Training objectives: the losses of a micro-batch, and the count that a step's sum is divided by."""

from __future__ import annotations

from torch import nn

from .base import Objective
from .causal import CausalObjective
from .diffusion import DiffusionObjective, takes_mask_rate
from .masked import MaskedObjective, TargetLosses

__all__ = [
    "CausalObjective",
    "DiffusionObjective",
    "MaskedObjective",
    "Objective",
    "TargetLosses",
    "is_causal",
    "objective_for",
]


def objective_for(model: nn.Module, chunked: bool = True, early: bool = True) -> Objective:
    """The objective that a model is trained with.

    Next-token prediction for a causal one, diffusion for one that is told the mask rate, else masked tokens.

    Args:
        model: not wrapped.
        chunked: let no more logits exist at a time than a chunk's, where the head is one that can.
        early: choose the targets inside the last layer, where the model allows it.
    """
    if is_causal(model):
        return CausalObjective(model, chunked, early)
    return (DiffusionObjective if takes_mask_rate(model) else MaskedObjective)(model, chunked, early)


def is_causal(model: nn.Module) -> bool:
    """Whether the class of `model` is one for predicting the next token, by the names that transformers gives them."""
    name = type(model).__name__
    return "CausalLM" in name or (name.endswith("LMHeadModel") and not name.endswith("WithLMHeadModel"))
