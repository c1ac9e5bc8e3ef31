"""Policies that choose an exact number of targets in every row, in stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import OptionError
from .policies import INCLUSION_DRAWS, Policy, Probabilities
from .random import Keys, stream_id
from .rows import Flags, Ids, MaskRows, RateValue, row_sums
from .sampling import ONE, Lottery, Rounding, choose_evenly, choose_few, choose_weighted, row_budgets, tickets


@dataclass(frozen=True)
class Stage:
    """A part of the budget that goes to positions of a certain kind.

    Attributes:
        source: name of the part, for reports and for its random stream.
        counts: positions of each row, int64 `[n]`.
        choices: the positions of the kind: a set whose members are equally likely, bool `[n, L]`; or tickets in
            proportion to which they are drawn, int64 `[n, L]`, or as a `Lottery` where few are drawn.
    """

    source: str
    counts: Ids
    choices: Flags | Ids | Lottery


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
        free = rows.eligible.copy()
        left = budgets
        prior = None if self.prior is None else tickets(self.prior / self.prior.max())[rows.input_ids]
        keys = rows.keys("selection")
        origins = np.zeros(rows.input_ids.shape, np.int8)
        names = ["uniform"]
        for stage in self.stages(rows, budgets):
            picked = self._drawn(keys ^ np.uint64(stream_id(stage.source)), rows, stage, free, prior)
            free ^= picked
            np.copyto(origins, len(names), where=picked)
            names.append(stage.source)
            number = row_sums(picked)
            left = left - number
            self._count(stage.source, int(number.sum()))
            self._count(f"{stage.source} wanted", int(stage.counts.sum()))
        picked = choose_evenly(keys, left, free) if prior is None else choose_weighted(keys, left, prior, free)
        self._count("uniform", int(np.count_nonzero(picked)))
        free ^= picked
        self.origins, self.source_names = origins, names
        return rows.eligible ^ free

    def _drawn(self, keys: Keys, rows: MaskRows, stage: Stage, free: Flags, prior: Ids | None) -> Flags:
        """What a stage chooses of the positions that are free."""
        choices = stage.choices
        if prior is not None:
            places = np.arange(free.size).reshape(free.shape)
            own = choices[places] if isinstance(choices, Lottery) else choices
            share = own.astype(np.float64) * (ONE if own.dtype == bool else 1)
            return choose_weighted(keys, stage.counts, np.rint(share * (prior / ONE)).astype(np.int64), free)
        if isinstance(choices, Lottery):
            return choose_few(keys, stage.counts, choices, free, rows.extents)
        if choices.dtype == bool:
            return choose_evenly(keys, stage.counts, free & choices.astype(bool, copy=False))
        return choose_weighted(keys, stage.counts, choices.astype(np.int64, copy=False), free)

    def _count(self, source: str, number: int) -> None:
        self.sources[source] = self.sources.get(source, 0) + number

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
