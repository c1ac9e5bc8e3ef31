"""Intervals and tests of a difference between two configurations.

Over seeds: Student's interval of the mean of the paired differences where at least two seeds are shared, else Welch's
(Welch, 1947). Over items: a percentile bootstrap of the paired differences. Many tests: Holm (1979). Effect size:
Hedges' g (1981), the difference over the pooled standard deviation of seeds, corrected for small samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
# With fewer units the percentile bootstrap gives intervals that are much too narrow.
MIN_UNITS = 10


@dataclass(frozen=True)
class Interval:
    """A difference with its interval at 95 % and the p-value of no difference; `n` is pairs, or units."""

    mean: float
    low: float
    high: float
    p: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def over_seeds(ours: Mapping[int, float], base: Mapping[int, float]) -> Interval | None:
    """Ours minus the baseline over seeds; None where either has fewer than two seeds."""
    if min(len(ours), len(base)) < 2:
        return None
    shared = sorted(set(ours) & set(base))
    if len(shared) >= 2:
        values = np.array([ours[seed] - base[seed] for seed in shared])
        return _student(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)
    a, b = np.array(list(ours.values())), np.array(list(base.values()))
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    spread = (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)) if va + vb > 0 else 0.0
    freedom = (va + vb) ** 2 / spread if spread else len(a) + len(b) - 2
    return _student(float(a.mean() - b.mean()), float(math.sqrt(va + vb)), float(freedom))


def _student(mean: float, error: float, freedom: float) -> Interval | None:
    from scipy.stats import t

    # Scores that are equal to the last digit over seeds show that the runs are copies, not that nothing varies.
    if error < 1e-12:
        return None
    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * error
    p = float(2 * t.sf(abs(mean) / error, freedom))
    return Interval(mean, mean - half, mean + half, p, round(freedom) + 1)


def over_items(differences: Sequence[float], *, resamples: int = 4000, seed: int = 0) -> Interval | None:
    """Percentile bootstrap of the mean of paired differences, one for each item or paradigm.

    Args:
        differences: `[units]`, ours minus the baseline's.
        resamples: how often units are drawn again, with replacement.
        seed: the same seed gives the same interval.

    Returns:
        None for fewer than `MIN_UNITS` units.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < MIN_UNITS:
        return None
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    means = values[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (resamples + 1))
    return Interval(float(values.mean()), float(low), float(high), p, len(values))


def hedges_g(ours: Mapping[int, float], base: Mapping[int, float]) -> float | None:
    """The difference in standard deviations of seeds; None where either has fewer than two seeds or nothing varies."""
    if min(len(ours), len(base)) < 2:
        return None
    a, b = np.array(list(ours.values())), np.array(list(base.values()))
    freedom = len(a) + len(b) - 2
    pooled = math.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / freedom)
    return float((1 - 3 / (4 * freedom - 1)) * (a.mean() - b.mean()) / pooled) if pooled > 1e-12 else None


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number by Holm's step-down method; those that are None stay and are not counted."""
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[index] = highest
    return corrected
