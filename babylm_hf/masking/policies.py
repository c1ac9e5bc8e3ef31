"""Policies: which of the maskable tokens become targets.

A policy turns ids into selection probabilities. `select` makes a choice of them by independent draws; a method that
chooses otherwise (an exact number, whole words, spans) overrides `select` and finds in `MaskRows` whatever it needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .random import Keys, below, bits, row_keys
from .rates import RateValue

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float64]
Positions = Literal["all", "mask"]


@dataclass(frozen=True)
class MaskRows:
    """The rows to be masked and everything that may decide their masks.

    Attributes:
        input_ids: int64 `[n, L]`.
        eligible: tokens that may be targets, bool `[n, L]`.
        example_id: number of each row in the corpus, int64 `[n]`.
        seed: of the run.
        pass_index: 0-based pass through the corpus.
        step: 0-based optimizer step.
        prefix: put before the names of random streams; "evaluation." for evaluation masks.
        extras: further arrays by name, first axis `n` (word starts, the row's place in the global batch, ...).
    """

    input_ids: Ids
    eligible: Flags
    example_id: Ids
    seed: int
    pass_index: int
    step: int
    prefix: str = ""
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def keys(self, stream: str) -> Keys:
        """The rows' keys in a random stream, uint64 `[n]`."""
        return row_keys(self.seed, self.prefix + stream, self.pass_index, self.example_id)


class Policy(ABC):
    """Decides which tokens become targets."""

    needs_feedback = False
    """Whether the policy learns from the model's predictions; then `update` must be called after every step."""

    positions: Positions = "all"
    """Which targets its feedback counts: all, or only those the model saw as the mask token."""

    clipped = 0
    """Positions, since last set to 0, whose probability would have been more than 1."""

    @abstractmethod
    def probabilities(self, input_ids: Ids, eligible: Flags, rate: RateValue) -> Probabilities:
        """The probability of each token to become a target.

        Args:
            input_ids: int64 `[n, L]`.
            eligible: bool `[n, L]`; the probability is 0 elsewhere.
            rate: the mask rate, one number or one a row `[n]`.

        Returns:
            float64 `[n, L]`.
        """

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """The targets, bool `[n, L]`: independent draws with `probabilities`."""
        wanted = self.probabilities(rows.input_ids, rows.eligible, rate)
        return below(bits(rows.keys("selection"), rows.input_ids.shape[1]), wanted)

    def update(self, statistics: Any, step: int, rate: float) -> bool:
        """Called when optimizer step `step` (0-based) is done; returns whether the policy changed."""
        return False

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint has to keep, as arrays."""
        return {}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027 (most policies have no state)
        """Takes what `state` gave."""

    def summary(self) -> dict[str, Any]:
        """What a log should show, in JSON's types."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The policy and its parameters in JSON's types, for the run record."""


class UniformPolicy(Policy):
    """Every eligible token with the same probability.

    Args:
        reference: reproduce the published code, whose budget counts the padding: rate x (padded length) is shared among
            the eligible tokens, so that a half-padded row is masked at twice the rate.
    """

    def __init__(self, reference: bool = False) -> None:
        self.reference = reference

    def probabilities(self, input_ids: Ids, eligible: Flags, rate: RateValue) -> Probabilities:
        """The rate, where eligible."""
        rates = per_row(rate, len(input_ids))
        if self.reference:
            rates = rates * eligible.shape[1] / np.maximum(eligible.sum(axis=1), 1)
        return np.where(eligible, rates[:, None], 0.0)

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """The same choice as by `probabilities`, without making them."""
        if self.reference or np.ndim(rate):
            return super().select(rows, rate)
        return below(bits(rows.keys("selection"), rows.input_ids.shape[1]), rate) & rows.eligible

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
