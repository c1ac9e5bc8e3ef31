"""Choosing an exact number of positions in every row, evenly or in proportion to weights, for all rows at once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .random import Keys, bits, uniform
from .rows import Flags, Floats, Ids, MaskRows, RateValue

Rounding = Literal["half_even", "stochastic"]

_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
_ELEVEN = np.uint64(11)


def row_budgets(rows: MaskRows, rate: RateValue, rounding: Rounding = "half_even") -> Ids:
    """How many targets each row gets, int64 `[n]`: rate times eligible tokens, as a whole number.

    Args:
        rows: what is to be masked.
        rate: one number, or one a row `[n]`.
        rounding: "half_even" (Python's `round`, the published code's; 19 of 128 at .15), or "stochastic": up with the
            probability of the remainder, so that the mean rate is exact on rows of any length.
    """
    exact = np.asarray(rate) * rows.eligible_counts()
    if rounding == "stochastic":
        return np.floor(exact + uniform(rows.keys("budget"), 1)[:, 0]).astype(np.int64)
    return np.rint(exact).astype(np.int64)


def choose_evenly(rows: MaskRows, stream: str, counts: Ids, allowed: Flags) -> Flags:
    """A sample without replacement in every row, every allowed position equally likely.

    Args:
        rows: give the random numbers.
        stream: name of the random stream.
        counts: positions wanted in each row, int64 `[n]`; where fewer are allowed, all of them.
        allowed: bool `[n, L]`.
    """
    numbers = np.where(allowed, bits(rows.keys(stream), rows.length), _LAST)
    return _smallest(numbers, counts) & allowed


def choose_weighted(rows: MaskRows, stream: str, counts: Ids, weights: Floats) -> Flags:
    """A sample without replacement in every row, drawn one after the other in proportion to weights.

    Each position waits an exponential time with its weight as rate, and the first to come are taken: that has exactly
    the law of drawing one by one and renormalising after each draw (Efraimidis & Spirakis 2006).

    Args:
        rows: give the random numbers.
        stream: name of the random stream.
        counts: positions wanted in each row, int64 `[n]`; where fewer have a weight above 0, all of them.
        weights: not negative, float64 `[n, L]`.
    """
    numbers = bits(rows.keys(stream), rows.length)
    waits = -np.log1p((numbers >> _ELEVEN).view(np.int64) * -(2.0**-53))
    times = np.divide(waits, weights, out=np.full_like(waits, np.inf), where=weights > 0)
    return _smallest(times, counts) & (weights > 0)


def _smallest(values: Keys | Floats, counts: Ids) -> Flags:
    """The `counts` smallest values of each row; no two values of a row are equal but for the largest possible one."""
    if not counts.any():
        return np.zeros(values.shape, bool)
    last = np.clip(counts, 1, values.shape[1]) - 1
    limits = np.sort(values, axis=1)[np.arange(len(values)), last]
    chosen = values <= limits[:, None]
    if not counts.all():
        chosen[counts == 0] = False
    return chosen
