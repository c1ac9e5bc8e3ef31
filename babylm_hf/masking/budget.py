"""Policies that choose an exact number of targets in every row, in stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import OptionError
from .policies import INCLUSION_DRAWS, Policy, Probabilities
from .rows import Flags, Floats, Ids, MaskRows, RateValue
from .sampling import Rounding, choose_evenly, choose_weighted, row_budgets


@dataclass(frozen=True)
class Stage:
    """A part of the budget that goes to positions of a certain kind.

    Attributes:
        source: name of the part, for reports and for its random stream.
        counts: positions of each row, int64 `[n]`.
        weights: of the positions, float64 `[n, L]`; those of weight 0 are not of the kind.
    """

    source: str
    counts: Ids
    weights: Floats


class BudgetPolicy(Policy):
    """An exact number of targets in every row: guided stages first, then an even choice of what is left to choose.

    The even choice comes from the random stream of a plain random choice, so a policy without stages, as in a warm-up,
    makes exactly the masks of `ExactPolicy`.

    Args:
        rounding: "half_even" or "stochastic", see `row_budgets`.
    """

    name = "exact count"

    def __init__(self, rounding: Rounding = "half_even") -> None:
        if rounding not in ("half_even", "stochastic"):
            raise OptionError(f"--budget_rounding {rounding!r} is unknown; choose half_even or stochastic")
        self.rounding = rounding
        self.sources: dict[str, int] = {}
        self._reported: dict[str, int] = {}

    @abstractmethod
    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """The guided parts of these rows' budgets `[n]`, in order."""

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """See `Policy.select`."""
        budgets = row_budgets(rows, rate, self.rounding)
        chosen = np.zeros(rows.eligible.shape, bool)
        prior = None if self.prior is None else self.prior[rows.input_ids]
        for stage in self.stages(rows, budgets):
            weights = np.where(rows.eligible & ~chosen, stage.weights, 0.0)
            if prior is not None:
                weights *= prior
            picked = choose_weighted(rows, f"selection.{stage.source}", stage.counts, weights)
            chosen |= picked
            self._count(stage.source, picked)
            self._count(f"{stage.source} wanted", stage.counts)
        left = budgets - np.add.reduce(chosen.view(np.uint8), axis=1, dtype=np.int64)
        free = rows.eligible & ~chosen
        if prior is None:
            picked = choose_evenly(rows, "selection", left, free)
        else:
            picked = choose_weighted(rows, "selection", left, free * prior)
        self._count("uniform", picked)
        return chosen | picked

    def _count(self, source: str, counted: Flags | Ids) -> None:
        total = int(np.count_nonzero(counted)) if counted.dtype == bool else int(counted.sum())
        self.sources[source] = self.sources.get(source, 0) + total

    def report_sources(self) -> None:
        """Ends a window of the counts by source that `summary` shows."""
        self._reported, self.sources = self.sources, {}

    def summary(self) -> dict[str, Any]:
        """Where the targets of the last window came from; "wanted" is what a stage was given to choose."""
        return {"sources": dict(self._reported)}

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": self.name, "budget_rounding": self.rounding}


class ExactPolicy(BudgetPolicy):
    """Every eligible token with the same probability, and an exact number of them in every row: random MLM."""

    name = "uniform (exact count)"

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """None."""
        return ()

    def inclusion(self, rows: MaskRows, rate: RateValue, draws: int = INCLUSION_DRAWS) -> Probabilities:
        """Budget over eligible tokens; a stochastic budget has the rate itself for its mean."""
        if self.prior is not None:
            return super().inclusion(rows, rate, draws)
        counts = rows.eligible_counts()
        exact = np.asarray(rate) * counts
        budgets = exact if self.rounding == "stochastic" else np.rint(exact)
        return rows.eligible * (budgets / np.maximum(counts, 1))[:, None]
