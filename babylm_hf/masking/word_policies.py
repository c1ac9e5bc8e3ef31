"""Policies whose unit is not the token: whole words, and spans of words or tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .policies import IndependentPolicy, Policy, Probabilities, UniformPolicy, per_row
from .random import below, bits
from .rows import Flags, Floats, Ids, MaskRows, RateValue
from .words import WordBoundaries, word_numbers

_TABLE = 4097


class WholeWordPolicy(Policy):
    """All tokens of a word are targets, or none.

    Each word is chosen by itself with the mean of the probabilities that another policy gives to its tokens, so the
    mask rate is what it was.

    Args:
        inner: gives the probabilities; by default the same to every word.
        boundaries: where words begin; not needed where batches hold `word_starts`.
    """

    def __init__(self, inner: IndependentPolicy | None = None, boundaries: WordBoundaries | None = None) -> None:
        self.inner = inner or UniformPolicy()
        self.boundaries = boundaries
        self.needs_word_starts = boundaries is None
        self.needs_feedback = self.inner.needs_feedback
        self.needs_targets = self.inner.needs_targets
        self.positions = self.inner.positions

    # What the collator tells its policy is for the one that gives the probabilities.

    @property
    def total_steps(self) -> int | None:
        """Of the inner policy."""
        return self.inner.total_steps

    @total_steps.setter
    def total_steps(self, steps: int | None) -> None:
        self.inner.total_steps = steps

    @property
    def prior(self) -> Floats | None:
        """Of the inner policy."""
        return self.inner.prior

    @prior.setter
    def prior(self, prior: Floats | None) -> None:
        self.inner.prior = prior

    @property
    def clipped(self) -> int:
        """Of the inner policy."""
        return self.inner.clipped

    @clipped.setter
    def clipped(self, count: int) -> None:
        self.inner.clipped = count

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """See `Policy.select`; a word's number is that of its place in the row."""
        words = word_numbers(rows, self.boundaries)
        drawn = bits(rows.keys("selection"), rows.length).take(words)
        return below(drawn, self._by_word(words, rows, rate)) & rows.eligible

    def inclusion(self, rows: MaskRows, rate: RateValue, draws: int = 0) -> Probabilities:
        """The probability of each token's word, exact."""
        words = word_numbers(rows, self.boundaries)
        return np.minimum(self._by_word(words, rows, rate), 1.0) * rows.eligible

    def _by_word(self, words: Ids, rows: MaskRows, rate: RateValue) -> Floats:
        """The mean over the eligible tokens of each token's word, float64 `[n, L]`, or one number for all."""
        if np.ndim(rate) == 0 and self.inner.even:
            return np.asarray(rate, np.float64)
        wanted = np.minimum(self.inner.wanted(rows, rate), 1.0)
        return _word_means(words, wanted * rows.eligible, rows.eligible).take(words)

    def update(self, statistics: Any, step: int, rate: float) -> bool:
        """See `Policy.update`."""
        return self.inner.update(statistics, step, rate)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """See `Policy.state`."""
        return self.inner.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See `Policy.load_state`."""
        self.inner.load_state(state)

    def token_weights(self) -> npt.NDArray[np.float32] | None:
        """See `Policy.token_weights`."""
        return self.inner.token_weights()

    def summary(self) -> dict[str, Any]:
        """See `Policy.summary`."""
        return self.inner.summary()

    def describe(self) -> dict[str, Any]:
        """Name and the inner policy."""
        return {"name": "whole words", "inner": self.inner.describe()}


class SpanPolicy(Policy):
    """Targets in spans of neighbours, of geometrically distributed length (Joshi et al. 2020, "SpanBERT").

    Any place may begin a span, whatever came before, and spans may touch and overlap; how often they begin is such that
    every token is covered with the probability of the mask rate, at the ends of a row too.

    Args:
        mean_length: of the geometric distribution before it is cut off; 5 in SpanBERT.
        max_length: longest span; 10 in SpanBERT. Its probabilities are scaled to sum to 1.
        unit: "word" or "token".
        boundaries: where words begin; not needed for tokens, or where batches hold `word_starts`.

    Raises:
        OptionError: an option cannot work.
    """

    def __init__(
        self,
        mean_length: float = 5.0,
        max_length: int = 10,
        unit: Literal["word", "token"] = "word",
        boundaries: WordBoundaries | None = None,
    ) -> None:
        if not mean_length >= 1 or max_length < 1:
            raise OptionError(f"--span_length {mean_length} and --max_span_length {max_length} must be at least 1")
        if unit not in ("word", "token"):
            raise OptionError(f"--span_unit {unit!r} is unknown; choose word or token")
        self.mean_length = float(mean_length)
        self.max_length = max_length
        self.unit = unit
        self.boundaries = boundaries
        self.needs_word_starts = unit == "word" and boundaries is None
        lengths = (1 - 1 / self.mean_length) ** np.arange(max_length)
        # P(length > k), for k = 0, 1, ..., max_length - 1.
        self.longer = np.cumsum((lengths / lengths.sum())[::-1])[::-1]
        self._starts = np.linspace(0, 1, _TABLE) ** 2
        self._covered = 1 - np.prod(1 - self._starts[:, None] * self.longer, axis=1)

    def start_probability(self, rate: RateValue) -> Floats:
        """How often a span must begin at a place for every place to be covered with probability `rate`."""
        wanted = np.asarray(rate, np.float64)
        starts = np.interp(wanted, self._covered, self._starts)
        # A step of Newton's, from a table that is right to six digits, makes them right to thirteen.
        left = 1 - starts[..., None] * self.longer
        product = np.prod(left, axis=-1)
        slope = product * (self.longer / np.maximum(left, 1e-300)).sum(axis=-1)
        better: Floats = np.clip(starts - (1 - product - wanted) / np.maximum(slope, 1e-12), 0.0, 1.0)
        return better

    def select(self, rows: MaskRows, rate: RateValue) -> Flags:
        """See `Policy.select`."""
        units, starts = self._units(rows, rate)
        before = self.max_length - 1
        numbers = (bits(rows.keys("selection"), rows.length + before) >> np.uint64(32)).astype(np.uint32)
        limits = _thresholds(starts * self.longer[:, None, None])
        covered = np.zeros((len(numbers), rows.length), bool)
        for longer_than in range(self.max_length):
            # One number decides whether a span begins at a place and how long it is.
            span = slice(before - longer_than, before - longer_than + rows.length)
            covered |= numbers[:, span] < limits[longer_than, :, span if limits.shape[2] > 1 else slice(None)]
        if self.unit == "word":
            covered = covered.take(units)
        return covered & rows.eligible

    def inclusion(self, rows: MaskRows, rate: RateValue, draws: int = 0) -> Probabilities:
        """The probability of each token to be covered, exact."""
        units, starts = self._units(rows, rate)
        starts = np.broadcast_to(starts, (len(units), starts.shape[1]))
        return self._coverage(starts, rows.length).take(units) * rows.eligible

    def _units(self, rows: MaskRows, rate: RateValue) -> tuple[Ids, Floats]:
        """The unit of each token `[n, L]`, and how often a span begins at each unit `[n, max_length - 1 + L]`, or at
        all of them `[n, 1]`, in all rows `[1, 1]`.

        Row i begins with unit i L. The first `max_length - 1` units lie before the row: spans reach into it from there.
        """
        shape = rows.input_ids.shape
        if self.unit == "word":
            units = word_numbers(rows, self.boundaries)
        else:
            units = np.arange(rows.input_ids.size).reshape(shape)
        if self.prior is None:
            return units, self.start_probability(np.atleast_1d(rate))[:, None]
        return units, self._tilted_starts(rows, units, per_row(rate, len(units)), shape[1] + self.max_length - 1)

    def _tilted_starts(self, rows: MaskRows, units: Ids, rates: Floats, width: int) -> Floats:
        """Starts in proportion to the prior of a unit's tokens, so many that the mean coverage is the rate."""
        assert self.prior is not None
        factors = _word_means(units, self.prior[rows.input_ids] * rows.eligible, rows.eligible).reshape(units.shape)
        held = np.bincount(units.reshape(-1), rows.eligible.reshape(-1), units.size).reshape(units.shape) > 0
        mean = factors.sum(axis=1) / np.maximum(held.sum(axis=1), 1)
        starts = np.ones((len(units), width))
        scale = np.divide(1.0, mean, out=np.zeros_like(mean), where=mean > 0)
        starts[:, self.max_length - 1 :] = factors * scale[:, None]
        low, high = np.zeros(len(units)), np.full(len(units), 1e3)
        counts = np.maximum(rows.eligible_counts(), 1)
        for _ in range(50):
            middle = (low + high) / 2
            coverage = self._coverage(np.minimum(starts * middle[:, None], 1.0), rows.length)
            mean_covered = (coverage.take(units) * rows.eligible).sum(axis=1) / counts
            high = np.where(mean_covered > rates, middle, high)
            low = np.where(mean_covered > rates, low, middle)
        return np.minimum(starts * low[:, None], 1.0)

    def _coverage(self, starts: Floats, length: int) -> Floats:
        """The probability that each unit of the row is covered, float64 `[n, length]`."""
        free = np.ones((len(starts), length))
        starts = np.broadcast_to(starts, (len(starts), length + self.max_length - 1))
        for longer_than, share in enumerate(self.longer):
            first = self.max_length - 1 - longer_than
            free *= 1 - starts[:, first : first + length] * share
        return 1 - free

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {
            "name": "spans",
            "span_length": self.mean_length,
            "max_span_length": self.max_length,
            "span_unit": self.unit,
        }


def _word_means(words: Ids, values: Floats, eligible: Flags) -> Floats:
    """The mean of the values `[n, L]`, 0 where not eligible, over the eligible tokens of each word, `[n x L]`."""
    flat = words.reshape(-1)
    total = np.bincount(flat, values.reshape(-1), flat.size)
    number = np.bincount(flat, eligible.reshape(-1), flat.size)
    return np.divide(total, number, out=np.zeros_like(total), where=number > 0)


def _thresholds(probabilities: Floats) -> npt.NDArray[np.uint32]:
    """The number below which 32 random bits fall with each probability, which is less than 1."""
    return np.minimum(np.ceil(probabilities * 2.0**32), 2.0**32 - 1).astype(np.uint32)
