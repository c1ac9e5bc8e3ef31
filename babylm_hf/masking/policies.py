"""Policies: which of the maskable tokens become targets.

A policy chooses targets in `select`. Most choose each token by itself with a probability (`IndependentPolicy`), so that
the number of targets varies; those of `babylm_hf.masking.budget` choose an exact number in every row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .random import Keys, below, bits
from .rows import Flags, Floats, Ids, MaskRows, RateValue

Probabilities = Floats
Positions = Literal["all", "mask"]

INCLUSION_DRAWS = 4096
"""Draws from which an inclusion probability is estimated where there is no formula: standard error below .008."""


class Policy(ABC):
    """Decides which tokens become targets."""

    needs_feedback = False
    """Whether the policy learns from the model's predictions; then `update` must be called after every step."""

    needs_targets = False
    """Whether that feedback must hold every target of the step with its loss, and not only sums by token id."""

    needs_word_starts = False
    """Whether batches must hold `word_starts`, as the policy has no other way to know where words begin."""

    positions: Positions = "all"
    """Which targets its feedback counts: all, or only those the model saw as the mask token."""

    total_steps: int | None = None
    """Optimizer steps of the run, for a policy that changes with its progress; the collator sets it."""

    prior: Floats | None = None
    """A weight for every token id, float64 `[V]`, by which its chances are multiplied; the collator sets it."""

    origins: npt.NDArray[np.int8] | None = None
    """Which part of the budget chose each target of the last selection, `[n, L]`, for a policy that has parts."""

    source_names: Sequence[str] = ()
    """The names of those parts, in the order of their numbers."""

    clipped = 0
    """Positions, since last set to 0, whose probability would have been more than 1."""

    @abstractmethod
    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """The targets.

        Args:
            rows: what is to be masked.
            rate: the mask rate, one number or one a row `[n]`.

        Returns:
            bool `[n, L]`, true only where `rows.eligible`.
        """

    def inclusion(self, rows: MaskRows, rate: RateValue, draws: int = INCLUSION_DRAWS) -> Probabilities:
        """The probability of each token to become a target, float64 `[n, L]`.

        Estimated from `draws` selections where the policy has no formula for it.
        """
        total = np.zeros(rows.input_ids.shape)
        for draw in range(draws):
            total += self.select(replace(rows, prefix=f"{rows.prefix}inclusion.{draw}."), rate)
        return total / draws

    def log_slope(self, rows: MaskRows, rate: RateValue) -> Floats | None:
        """How fast each token's probability grows with the row's rate, relative to itself: (dq/dm) / q, `[n, L]`.

        None where all of a row's probabilities are proportional to its rate m, so that it is 1 / m.
        """
        return None

    def update(self, statistics: Any, step: int, rate: float) -> bool:
        """Called when optimizer step `step` (0-based) is done.

        Returns:
            Whether there is news for the log; a policy that learns at every step has some only now and then.
        """
        return False

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint has to keep, as arrays."""
        return {}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027 (most policies have no state)
        """Takes what `state` gave."""

    def shares_by_weight(self) -> list[tuple[float, Floats | None]] | None:
        """The parts of the budget and the weight of each token id in them, `[V]` or None for equal ones.

        None where the weights are not a matter of the id alone.
        """
        return None

    def token_weights(self) -> npt.NDArray[np.float32] | None:
        """The weight of every token id as it is now, float32 `[V]`, for logs; None where the policy learns none."""
        return None

    def summary(self) -> dict[str, Any]:
        """What a log should show, in JSON's types."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The policy and its parameters in JSON's types, for the run record."""


class IndependentPolicy(Policy):
    """A policy that chooses every token by itself, with a probability of its own."""

    @property
    def even(self) -> bool:
        """Whether all eligible tokens of a row have its rate as their probability."""
        return False

    @abstractmethod
    def probabilities(self, input_ids: Ids, eligible: Flags, rate: RateValue) -> Probabilities:
        """The probability of each token to become a target, before any prior.

        Args:
            input_ids: int64 `[n, L]`.
            eligible: bool `[n, L]`; the probability is 0 elsewhere.
            rate: the mask rate, one number or one a row `[n]`.

        Returns:
            float64 `[n, L]`; more than 1 counts as 1.
        """

    def wanted(self, rows: MaskRows, rate: RateValue) -> Probabilities:
        """`probabilities` of these rows, tilted by the prior."""
        wanted = self.probabilities(rows.input_ids, rows.eligible, rate)
        return wanted if self.prior is None else tilted(wanted, self.prior[rows.input_ids])

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """The targets, bool `[n, L]`: independent draws with `wanted`."""
        return below(self.numbers(rows), self.wanted(rows, rate))

    def numbers(self, rows: MaskRows) -> Keys:
        """The random number that decides each token, uint64 `[n, L]`."""
        return bits(rows.keys("selection"), rows.length)

    def inclusion(self, rows: MaskRows, rate: RateValue, draws: int = 0) -> Probabilities:
        """The probability of each token to become a target, exact."""
        return np.minimum(self.wanted(rows, rate), 1.0)


class UniformPolicy(IndependentPolicy):
    """Every eligible token with the same probability.

    Args:
        reference: reproduce the published code, whose budget counts the padding: rate x (padded length) is shared among
            the eligible tokens, so that a half-padded row is masked at twice the rate.
    """

    def __init__(self, reference: bool = False) -> None:
        self.reference = reference

    @property
    def even(self) -> bool:
        """See `IndependentPolicy.even`."""
        return not self.reference and self.prior is None

    def probabilities(self, input_ids: Ids, eligible: Flags, rate: RateValue) -> Probabilities:
        """The rate, where eligible."""
        rates = per_row(rate, len(input_ids))
        if self.reference:
            rates = rates * eligible.shape[1] / np.maximum(eligible.sum(axis=1), 1)
        return np.where(eligible, rates[:, None], 0.0)

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """The same choice as by `probabilities`, without making them."""
        if np.ndim(rate) or not self.even:
            return super().select(rows, rate)
        return below(self.numbers(rows), rate) & rows.eligible

    def describe(self) -> dict[str, Any]:
        """Name and profile."""
        return {"name": "uniform", "reference": self.reference}


def per_row(rate: RateValue, rows: int) -> Probabilities:
    """A rate for every row, float64 `[rows]`."""
    return np.broadcast_to(np.asarray(rate, np.float64), (rows,))


def water_fill(wanted: Probabilities, weights: Probabilities, budget: Probabilities) -> int:
    """Clips probabilities above 1 and shares the surplus of a row among its other positions, in place.

    Args:
        wanted: float64 `[n, L]`, proportional to `weights` within a row.
        weights: float64 `[n, L]`.
        budget: what each row of `wanted` sums to and shall still sum to, float64 `[n]`.

    Returns:
        How many probabilities ended at 1.
    """
    if wanted.max(initial=0.0) <= 1:
        return 0
    over = wanted > 1
    rows = np.flatnonzero(over.any(axis=1))
    full = over[rows]
    mass = weights[rows]
    while True:
        free = np.where(full, 0.0, mass)
        total = free.sum(axis=1)
        left = budget[rows] - full.sum(axis=1)
        scale = np.divide(left, total, out=np.zeros_like(total), where=total > 0)
        level = free * scale[:, None]
        more = level > 1
        if not more.any():
            break
        full |= more
    wanted[rows] = np.where(full, 1.0, level)
    return int(full.sum())


def tilted(wanted: Probabilities, factors: Floats) -> Probabilities:
    """Probabilities times factors, scaled so that each row still sums to what it did, none above 1.

    A row whose every factor is 0 where anything was wanted selects nothing.

    Args:
        wanted: float64 `[n, L]`.
        factors: not negative, float64 `[n, L]`.
    """
    budget = np.minimum(wanted, 1.0).sum(axis=1)
    weights = wanted * factors
    total = weights.sum(axis=1)
    result: Probabilities = weights * np.divide(budget, total, out=np.zeros_like(total), where=total > 0)[:, None]
    water_fill(result, weights, budget)
    return result
