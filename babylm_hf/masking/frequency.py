"""Frequency-informed masking: rare tokens of a row are masked more often than frequent ones, at the same mean rate.

Kosmopoulou et al. 2025 (arXiv 2509.05056), equation 2. Within a row the corpus weights of its tokens are scaled to
[0, 1] and raised to a small power p, then moved so that their mean is the mask rate. p rises from 0 in the first pass
to its full value in the last.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .policies import IndependentPolicy, Probabilities, per_row, tilted
from .rows import Flags, Floats, Ids, MaskRows, RateValue, row_sums

Weighting = Literal["rank", "inverse", "exponential", "uniform"]

_GUARD = 1e-8
_LARGEST = np.finfo(np.float64).max
_REFERENCE_LAST_PASS = 9


def token_weights(counts: npt.ArrayLike, method: Weighting = "rank", power: float = 0.5) -> Floats:
    """The weight of each id before it is scaled in a row, float64 `[V]`; the rarer the larger.

    Args:
        counts: occurrences of each id in the corpus, `[V]`.
        method: "rank": (rank + 1) / V, the most frequent id having rank 0, among equals the smaller id; "inverse":
            1 / count; "exponential": count to the power of -`power`; "uniform": 1.
        power: see "exponential".

    Raises:
        OptionError: no such method, or counts that are negative or all 0.
    """
    occurrences = np.asarray(counts, np.float64)
    if occurrences.ndim != 1 or not (occurrences >= 0).all() or not occurrences.any():
        raise OptionError("the token counts of frequency masking must be one number a token id, none negative")
    if method == "rank":
        ranks = np.empty(len(occurrences))
        ranks[np.argsort(-occurrences, kind="stable")] = np.arange(len(occurrences))
        return (ranks + 1) / len(occurrences)
    if method == "inverse":
        return 1 / (occurrences + _GUARD)
    if method == "exponential":
        return np.exp(-power * np.log(occurrences + _GUARD))
    if method == "uniform":
        return np.ones(len(occurrences))
    raise OptionError(f"--frequency_weighting {method!r} is unknown; choose rank, inverse, exponential or uniform")


class FrequencyPolicy(IndependentPolicy):
    """Selection by corpus frequency at the row's mask rate.

    Args:
        counts: occurrences of each id in the corpus, `[V]` (`TokenStream.token_counts()`).
        exponent: p at its full value; 0.02 in the paper, at which probabilities differ by a sixth at most, but that the
            most frequent id of a row is hardly ever masked.
        curriculum: let p rise linearly from 0 in the first pass to its full value in the last.
        num_passes: of the run, for the curriculum.
        weighting, power: see `token_weights`.
        weight_floor: smallest scaled weight; above 0 it keeps the most frequent id of a row among the targets.
        reference: the published code's form: padding and special tokens count in the scaling of a row, which raises the
            rate of all others, and the curriculum is made for ten passes and goes on rising after them.

    Raises:
        OptionError: an option cannot work.
    """

    def __init__(
        self,
        counts: npt.ArrayLike,
        exponent: float = 0.02,
        *,
        curriculum: bool = True,
        num_passes: int = 10,
        weighting: Weighting = "rank",
        power: float = 0.5,
        weight_floor: float = 0.0,
        reference: bool = False,
    ) -> None:
        self.weights = token_weights(counts, weighting, power)
        for holds, message in (
            (0 <= exponent < np.inf, f"--frequency_exponent is {exponent}; it must not be negative"),
            (num_passes >= 1, f"the curriculum of frequency masking needs at least one pass, not {num_passes}"),
            (0 <= weight_floor < 1, f"--frequency_floor is {weight_floor}; it must lie in [0, 1)"),
        ):
            if not holds:
                raise OptionError(message)
        self.exponent = float(exponent)
        self.curriculum = curriculum
        self.num_passes = num_passes
        self.weighting = weighting
        self.power = power
        self.weight_floor = weight_floor
        self.reference = reference

    def exponent_at(self, pass_index: int) -> float:
        """p in a pass."""
        if not self.curriculum:
            return self.exponent
        if self.reference:
            return self.exponent * pass_index / _REFERENCE_LAST_PASS
        return self.exponent * min(1.0, pass_index / max(self.num_passes - 1, 1))

    def wanted(self, rows: MaskRows, rate: RateValue) -> Probabilities:
        """The probabilities with the exponent of the rows' pass, tilted by the prior."""
        wanted = self.probabilities(rows.input_ids, rows.eligible, rate, self.exponent_at(rows.pass_index))
        return wanted if self.prior is None else tilted(wanted, self.prior[rows.input_ids])

    def probabilities(
        self, input_ids: Ids, eligible: Flags, rate: RateValue, exponent: float | None = None
    ) -> Probabilities:
        """See `IndependentPolicy.probabilities`; with p at its full value unless `exponent` says otherwise."""
        scaled, mean = self.scaled(input_ids, eligible, self.exponent if exponent is None else exponent)
        rates = per_row(rate, len(input_ids))
        guard = _GUARD if self.reference else 0.0
        # Above the rate, weights are lowered in proportion; below it, their distances from 1 are: a line a row.
        lowers, raises = mean > rates, mean < rates
        slope = np.divide(rates, mean + guard, out=np.ones_like(mean), where=lowers)
        np.divide(1 - rates, 1 - mean + guard, out=slope, where=raises)
        scaled *= slope[:, None]
        if raises.any() or self.reference:  # else the weight of what is not eligible is 0, and stays so
            scaled += np.where(raises, 1 - slope, 0.0)[:, None]
            scaled *= eligible
        return scaled

    def log_slope(self, rows: MaskRows, rate: RateValue) -> Floats | None:
        """(dq/dm) / q, float64 `[n, L]`: 1 / m below the mean weight, (1 - w) / ((1 - mean) q) above it."""
        exponent = self.exponent_at(rows.pass_index)
        scaled, mean = self.scaled(rows.input_ids, rows.eligible, exponent)
        rates = per_row(rate, len(scaled))[:, None]
        wanted = self.probabilities(rows.input_ids, rows.eligible, rate, exponent)
        above = rates > mean[:, None]
        slope = np.divide(1 - scaled, 1 - mean[:, None], out=np.zeros_like(scaled), where=above)
        exact = np.divide(slope, wanted, out=np.zeros_like(scaled), where=wanted > 0)
        return np.where(above, exact, 1 / rates)

    def scaled(self, input_ids: Ids, eligible: Flags, exponent: float) -> tuple[Floats, Floats]:
        """The weights of each row scaled to [0, 1] and raised to a power, `[n, L]`, and their mean, `[n]`."""
        weights = self.weights.take(input_ids)
        if self.reference:
            low, high = weights.min(axis=1), weights.max(axis=1)
            scaled = (weights - low[:, None]) / (high - low + _GUARD)[:, None]
            # 0 to the power of 0 is 1, here as there.
            scaled = scaled**exponent
            return scaled, scaled.mean(axis=1)
        low = np.where(eligible, weights, _LARGEST).min(axis=1, initial=_LARGEST)[:, None]
        scaled = np.where(eligible, weights, low)
        scaled -= low
        spread = scaled.max(axis=1, initial=0.0)
        scaled *= np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)[:, None]
        if self.weight_floor:
            scaled = (self.weight_floor + (1 - self.weight_floor) * scaled) * eligible
        scaled = _power(scaled, exponent) if exponent else eligible.astype(np.float64)
        return scaled, scaled.sum(axis=1) / np.maximum(row_sums(eligible), 1)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {
            "name": "frequency",
            "frequency_exponent": self.exponent,
            "frequency_curriculum": self.curriculum,
            "num_passes": self.num_passes,
            "frequency_weighting": self.weighting,
            "frequency_power": self.power,
            "frequency_floor": self.weight_floor,
            "reference": self.reference,
        }


def _power(values: Floats, exponent: float) -> Floats:
    """`values ** exponent` for values in [0, 1] and an exponent above 0, to a relative error of 1e-6."""
    powers = values.astype(np.float32)
    with np.errstate(divide="ignore"):  # the logarithm of 0, from which 0 comes again
        np.log(powers, out=powers)
    powers *= exponent
    return np.exp(powers, out=powers).astype(np.float64)
