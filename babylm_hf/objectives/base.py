"""What the trainer and the held-out evaluation ask of an objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .masked import TargetLosses


class Objective(Protocol):
    """Losses at the targets of a batch, and the count that their sum over an optimizer step is divided by."""

    name: str
    """The family of the model, for records and cards."""

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch with labels as model inputs plus `target_index` and `target_ids`; runs on the host."""

    def count(self, batch: dict[str, Any]) -> int:
        """What the summed loss of a prepared batch is divided by."""

    def __call__(self, inputs: dict[str, Any], forward: Callable[..., Any] | None = None) -> TargetLosses:
        """The losses of one prepared micro-batch."""
