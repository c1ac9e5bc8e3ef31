"""Intervals and tests of a difference between two configurations.

Over seeds: Student's interval of the mean of the paired differences where at least two seeds are shared, else Welch's
(Welch, 1947). Seeds are not resampled: the percentile bootstrap of three seeds covers the truth in about 75 of 100
cases where it says 95. Over items: the paired bootstrap, percentile, stratified by paradigm. Over both: seeds and items
are crossed, every model meets the same items, so the variance of the difference is that of seeds plus that of items
minus the noise of single answers, which both contain. Many tests: Holm (1979). Effect size: Hedges' g (1981), the
difference over the pooled standard deviation of seeds, corrected for small samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
# With fewer units the percentile bootstrap gives intervals that are much too narrow.
MIN_UNITS = 10
RESAMPLES = 4000


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


@dataclass(frozen=True)
class Deviation:
    """A mean difference over seeds, its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: float

    def interval(self) -> Interval:
        """Student's."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + LEVEL / 2, self.freedom)) * self.error
        p = float(2 * t.sf(abs(self.mean) / self.error, self.freedom))
        return Interval(self.mean, self.mean - half, self.mean + half, p, round(self.freedom) + 1)


@dataclass(frozen=True)
class Stratum:
    """Paired differences that are drawn from among themselves: a paradigm with its items.

    Attributes:
        weight: of their mean in the score.
        differences: float64 `[items]`, means over seeds.
        noise: variance of that mean over items which comes from single answers: it would be another with other seeds.
    """

    weight: float
    differences: np.ndarray
    noise: float = 0.0


def deviation(ours: Mapping[int, float], base: Mapping[int, float]) -> Deviation | None:
    """Ours minus the baseline over seeds; None where either has fewer than two seeds or all of them score the same."""
    if min(len(ours), len(base)) < 2:
        return None
    shared = sorted(set(ours) & set(base))
    if len(shared) >= 2:
        values = np.array([ours[seed] - base[seed] for seed in shared])
        found = Deviation(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)
    else:
        a, b = np.array(list(ours.values())), np.array(list(base.values()))
        va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        spread = (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)) if va + vb > 0 else 0.0
        freedom = (va + vb) ** 2 / spread if spread else len(a) + len(b) - 2
        found = Deviation(float(a.mean() - b.mean()), float(math.sqrt(va + vb)), float(freedom))
    # Scores that are equal to the last digit over seeds show that the runs are copies, not that nothing varies.
    return found if found.error > 1e-12 else None


def stratum(weight: float, ours: Mapping[int, np.ndarray], base: Mapping[int, np.ndarray]) -> Stratum:
    """The differences of one paradigm, item by item.

    Args:
        weight: of its mean in the score.
        ours: by seed, what each item earned `[items]`.
        base: the same of the baseline.
    """
    a, b = np.stack(list(ours.values())), np.stack(list(base.values()))
    shared = sorted(set(ours) & set(base))
    if len(shared) >= 2:
        pairs = np.stack([ours[seed] - base[seed] for seed in shared])
        differences, single = pairs.mean(0), pairs.var(0, ddof=1) / len(pairs)
    else:
        differences = a.mean(0) - b.mean(0)
        single = sum((x.var(0, ddof=1) / len(x) for x in (a, b) if len(x) > 1), np.zeros(a.shape[1]))
    return Stratum(weight, differences, float(single.mean()) / len(differences))


def over_items(strata: Sequence[Stratum], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval | None:
    """Paired percentile bootstrap of the score's difference, for the models at hand.

    Items are drawn again, with replacement, within each stratum.

    Args:
        strata: their means, weighted, add up to the difference.
        resamples: how often they are drawn.
        seed: the same seed gives the same interval.

    Returns:
        None for fewer than `MIN_UNITS` items.
    """
    units = sum(len(one.differences) for one in strata)
    if units < MIN_UNITS:
        return None
    means = _resampled(strata, resamples, seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (resamples + 1))
    return Interval(_mean(strata), float(low), float(high), p, units)


def over_seeds_and_items(
    seeds: Deviation | None, strata: Sequence[Stratum], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval that holds for other seeds and other items.

    The distribution of the bootstrap over items, its variance freed from the noise that seeds account for already, is
    spread out by Student's distribution over seeds; quantiles and p-value are those of the sum.

    Returns:
        None without an interval over seeds, or for fewer than `MIN_UNITS` items.
    """
    from scipy.optimize import brentq
    from scipy.stats import t

    units = sum(len(one.differences) for one in strata)
    if seeds is None or units < MIN_UNITS:
        return None
    draws = _resampled(strata, resamples, seed)
    shifts = draws - draws.mean()
    noise = sum(one.weight**2 * one.noise for one in strata)
    if (variance := float(shifts.var())) > 0:
        shifts *= math.sqrt(max(0.0, 1 - noise / variance))

    def below(value: float) -> float:
        return float(t.cdf((value - seeds.mean - shifts) / seeds.error, seeds.freedom).mean())

    reach = 2 * float(t.ppf(0.5 + LEVEL / 2, seeds.freedom)) * seeds.error + 2 * float(np.abs(shifts).max())
    ends = (seeds.mean - reach, seeds.mean + reach)

    def quantile(share: float) -> float:
        return float(brentq(lambda value: below(value) - share, *ends, xtol=1e-5 * seeds.error))

    low, high = quantile((1 - LEVEL) / 2), quantile((1 + LEVEL) / 2)
    at_zero = below(0.0)
    return Interval(seeds.mean, low, high, min(1.0, 2 * min(at_zero, 1 - at_zero)), units)


def _mean(strata: Sequence[Stratum]) -> float:
    return float(sum(one.weight * one.differences.mean() for one in strata))


def _resampled(strata: Sequence[Stratum], resamples: int, seed: int) -> np.ndarray:
    """The difference for every drawing of items `[resamples]`."""
    generator = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for one in strata:
        # Differences of right and wrong take few values: how often each is drawn is multinomial.
        values, counts = np.unique(one.differences, return_counts=True)
        size = len(one.differences)
        total += one.weight * (generator.multinomial(size, counts / size, size=resamples) @ values) / size
    return total


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
