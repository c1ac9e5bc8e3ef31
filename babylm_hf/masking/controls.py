"""The controls of guided masking: one that is random in a roundabout way, and one that looks at frequency alone.

Both are from the Accuracy-Morph submission to BabyLM 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .budget import BudgetPolicy, Stage
from .guided import Shares
from .hhm import HHM_SHARES
from .rows import Floats, Ids, MaskRows
from .sampling import Rounding, choose_evenly, tickets


class RandomSketchPolicy(BudgetPolicy):
    """The control of HHM: its two sets of candidates are random, so its masks are as random as random MLM's.

    Args:
        shares: see `HeavyHitterPolicy`.
        rounding: see `row_budgets`.
    """

    name = "random_sketch"

    def __init__(self, shares: Shares = HHM_SHARES, rounding: Rounding = "half_even") -> None:
        super().__init__(rounding)
        self.shares = shares

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """Draws from the first positions of a shuffled row, twice as many as wanted, and then from as many more."""
        even, first, _ = self.shares
        firsts = np.rint(first * budgets).astype(np.int64)
        seconds = np.maximum(budgets - firsts - np.rint(even * budgets).astype(np.int64), 0)
        # By the same keys, so that the smaller choice is part of the larger.
        keys = rows.keys("selection.pool")
        in_first = choose_evenly(keys, 2 * firsts, rows.eligible)
        yield Stage("entity", firsts, in_first)
        yield Stage("error", seconds, choose_evenly(keys, 2 * (firsts + seconds), rows.eligible) ^ in_first)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return super().describe() | {"guided_shares": list(self.shares)}


class FrequencyBandPolicy(BudgetPolicy):
    """The frequency-only control: an exact number of targets, drawn in proportion to a weight by frequency.

    An id that occurs 8 times or more in the batch weighs 0.25, one that occurs 2 to 5 times 2, any other 1.

    Args:
        token_counts: occurrences of each id in the corpus, `[V]`; then the count of an id is what `batch_tokens` tokens
            of it may be expected to hold, and the masks do not depend on how a step is cut into micro-batches. Without
            them the micro-batch is counted, as published.
        batch_tokens: tokens in an optimizer step.
        rounding: see `row_budgets`.
    """

    name = "frequency_only"

    def __init__(
        self,
        token_counts: npt.ArrayLike | None = None,
        batch_tokens: int = 8192,
        rounding: Rounding = "half_even",
    ) -> None:
        super().__init__(rounding)
        self.batch_tokens = batch_tokens
        self._bands: Ids | None = None
        if token_counts is not None:
            counts = np.asarray(token_counts, np.float64)
            self._bands = tickets(bands(np.rint(counts / max(counts.sum(), 1.0) * batch_tokens)))

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """The whole budget by frequency."""
        if self._bands is not None:
            weights = self._bands[rows.input_ids]
        else:
            counts = np.bincount(rows.input_ids[rows.eligible], minlength=1)
            weights = tickets(bands(counts.astype(np.float64)))[np.where(rows.eligible, rows.input_ids, 0)]
        yield Stage("frequency", budgets, weights)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return super().describe() | {"counts": "batch" if self._bands is None else f"corpus x {self.batch_tokens}"}


def bands(counts: Floats) -> Floats:
    """The weight of each count: 0.25 from 8 on, 2 for 2 to 5, else 1."""
    return np.select([counts >= 8, (counts >= 2) & (counts <= 5)], [0.25, 2.0], 1.0)
