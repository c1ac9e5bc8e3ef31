"""Choosing an exact number of positions in every row, evenly or in proportion to weights, for all rows at once.

A row's choice depends on its own keys, counts and weights alone, never on the rows beside it: weights are whole numbers
("tickets"), whose sums are exact in any order.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .random import Keys, bits, halves, uniform
from .rows import Flags, Ids, MaskRows, RateValue, ends, row_sums

Rounding = Literal["half_even", "stochastic"]

ONE = 1 << 28
"""Tickets of a weight of 1."""

MOST = 8 * ONE - 1
"""The largest number of tickets, so that 32 random bits times it stay within 64."""

_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_HALF_SIGNED = np.int64(32)
_NEVER = np.uint32(0xFFFFFFFF)


class Lottery:
    """The tickets of every position of some rows, looked up where they are needed.

    Args:
        table: tickets by token id, int64 `[V]`, or by position of the rows laid end to end.
        ids: the rows, int64 `[n, L]`; None for a table by position.
        bound: no position has more; a constant, whatever the rows are.
    """

    def __init__(self, table: Ids, ids: Ids | None = None, bound: int = MOST) -> None:
        self._table = table
        self._ids = None if ids is None else ids.reshape(-1)
        self.bound = bound

    def __getitem__(self, places: Ids) -> Ids:
        """Tickets at places of the rows laid end to end, of any shape."""
        return self._table.take(places if self._ids is None else self._ids.take(places))


def tickets(weights: npt.ArrayLike) -> Ids:
    """Weights in [0, 8) as whole numbers, int64; a weight above 0 gets at least one ticket."""
    values = np.asarray(weights, np.float64)
    return np.maximum(np.rint(values * ONE), values > 0).astype(np.int64)


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


def choose_evenly(keys: Keys, counts: Ids, allowed: Flags) -> Flags:
    """A sample without replacement in every row, every allowed position equally likely.

    Args:
        keys: of the rows, uint64 `[n]`.
        counts: positions wanted in each row, int64 `[n]`; where fewer are allowed, all of them.
        allowed: bool `[n, L]`.
    """
    return _smallest(np.where(allowed, halves(keys, allowed.shape[1]), _NEVER), counts, allowed)


def choose_weighted(keys: Keys, counts: Ids, weights: Ids, allowed: Flags) -> Flags:
    """A sample without replacement in every row, drawn one after the other in proportion to weights.

    Each position waits an exponential time with its weight as rate, and the first to come are taken: that has exactly
    the law of drawing one by one and renormalising after each draw (Efraimidis & Spirakis 2006).

    Args:
        keys: of the rows, uint64 `[n]`.
        counts: positions wanted in each row, int64 `[n]`; where fewer are allowed and have tickets, all of them.
        weights: tickets of the positions, int64 `[n, L]`.
        allowed: bool `[n, L]`.
    """
    possible = allowed & (weights > 0)
    times = np.full(weights.shape, np.inf, np.float32)
    # Single precision blurs the odds by less than a millionth.
    np.divide(_waits(keys, weights.shape[1]), weights.astype(np.float32), out=times, where=possible)
    return _smallest(times, counts, possible)


def choose_few(keys: Keys, counts: Ids, lottery: Lottery, allowed: Flags, extents: Ids | None = None) -> Flags:
    """The same law as `choose_weighted`, in less time where few positions are wanted.

    Positions are drawn evenly with replacement and taken with the probability of their tickets over the bound; one that
    is not allowed or has been taken already is passed over. Rows in which that does not find enough are finished by
    `choose_weighted`.

    Args:
        keys, counts, allowed: see `choose_weighted`.
        lottery: the tickets.
        extents: no position from these on is allowed, int64 `[n]`; so that padding plays no part. Default
            the end of what is allowed.
    """
    rows, length = allowed.shape
    if extents is None:
        extents = ends(allowed)
    chosen: Flags = np.zeros(allowed.shape, bool)
    draws = (4 * counts + 8) * (counts > 0)
    most = int(draws.max(initial=0))
    if not most:
        return chosen
    numbers = bits(keys, most)
    places = ((numbers & _LOW) * extents.astype(np.uint64)[:, None] >> _HALF).view(np.int64)
    places += np.arange(0, allowed.size, length)[:, None]
    taken = (numbers >> _HALF).view(np.int64) * lottery.bound < lottery[places] << _HALF_SIGNED
    taken &= allowed.reshape(-1).take(places)
    if draws.min() < most:
        taken &= np.arange(most) < draws[:, None]
    # Of several draws of a place the first counts: written in reverse order, it is the one that stays.
    order = np.flatnonzero(taken)
    where = places.reshape(-1).take(order)
    first = np.empty(allowed.size, np.int64)
    first[where[::-1]] = order[::-1]
    kept = first.take(where) == order
    where, owner = where[kept], order[kept] // most
    found = np.bincount(owner, minlength=rows)
    # The how-manieth of its row each one is.
    number = np.arange(len(where)) - (np.cumsum(found) - found).take(owner)
    chosen.reshape(-1)[where[number < counts.take(owner)]] = True
    short = np.flatnonzero(found < counts)
    if len(short):
        weights = lottery[short[:, None] * length + np.arange(length)]
        # Other keys, for numbers that have nothing to do with those used.
        rest = bits(keys[short] ^ _LAST, 1)[:, 0]
        chosen[short] |= choose_weighted(rest, (counts - found)[short], weights, allowed[short] & ~chosen[short])
    return chosen


def _waits(keys: Keys, length: int) -> npt.NDArray[np.float32]:
    """Exponentially distributed times, float32 `[n, length]`."""
    fractions = halves(keys, length).astype(np.float32)
    fractions += 1  # never 0
    fractions *= 2.0**-32
    return np.negative(np.log(fractions, out=fractions), out=fractions)


def _smallest(values: npt.NDArray[Any], counts: Ids, allowed: Flags) -> Flags:
    """The `counts` smallest of the allowed values of each row, the earlier first among equals.

    Args:
        values: `[n, L]`; nowhere larger than where not allowed.
        counts: int64 `[n]`; where fewer are allowed, all of them.
        allowed: bool `[n, L]`.
    """
    length = values.shape[1]
    counts = np.maximum(counts, 0)
    last = np.minimum(np.maximum(counts, 1), length) + np.arange(-1, values.size - 1, length)
    limits = np.sort(values, axis=1).reshape(-1).take(last)[:, None]
    chosen = values <= limits
    chosen &= allowed
    if not counts.all():
        chosen[counts == 0] = False
    surplus = row_sums(chosen) - counts
    if surplus.max(initial=0) > 0:  # short random numbers now and then are equal
        for row in np.flatnonzero(surplus > 0):
            equal = np.flatnonzero(chosen[row] & (values[row] == limits[row]))
            chosen[row, equal[len(equal) - surplus[row] :]] = False
    return chosen
