"""What the targets of each part of a budget tell: how often the model was right at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

_MOST = 8
"""Parts that a budget may have."""


class SourceAccuracy:
    """Targets and correct guesses by the part of the budget that chose them, since the last report.

    Args:
        device: where the counts live.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._sums = torch.zeros(2, _MOST, dtype=torch.int64, device=device)

    @torch.no_grad()
    def observe(self, sources: torch.Tensor, correct: torch.Tensor) -> None:
        """Adds the targets of one micro-batch, without waiting for the device.

        Args:
            sources: which part chose each target, integer `[N]`; 0 is the even one.
            correct: whether the model's best guess was right, bool `[N]`.
        """
        places = sources.to(torch.int64)
        self._sums[0].index_add_(0, places, torch.ones_like(places))
        self._sums[1].index_add_(0, places, correct.to(torch.int64))

    def drain(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`targets` and `accuracy` of each part over all processes, and a new window; every process must call it.

        Args:
            names: of the parts in their order; those that chose nothing are left out.
        """
        sums = self._sums.clone()
        self._sums.zero_()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        targets, correct = sums.tolist()
        found = zip(names, targets, correct, strict=False)
        return {name: {"targets": n, "accuracy": c / n} for name, n, c in found if n}
