"""Mask rates: how many of the maskable tokens become targets at each optimizer step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError

RateValue = float | npt.NDArray[np.float64]
"""One rate for all rows, or one for each row, float64 `[n]`."""


class Rate(ABC):
    """The mask rate as a function of the optimizer step, and of nothing else that a run could lose."""

    @abstractmethod
    def at(self, step: int, total_steps: int | None) -> RateValue:
        """The rate while step `step` (0-based) of `total_steps` is computed, in (0, 1)."""

    @abstractmethod
    def validate(self, total_steps: int) -> None:
        """Raises `OptionError` if the rate leaves (0, 1) at any step of a run of this length."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The rate in JSON's types, for the run record."""


class ConstantRate(Rate):
    """The same rate at every step."""

    def __init__(self, rate: float) -> None:
        self.rate = _inside(rate, "--mlm_prob")

    def at(self, step: int, total_steps: int | None = None) -> float:
        """The rate."""
        return self.rate

    def validate(self, total_steps: int) -> None:
        """Nothing to check beyond the rate itself."""

    def describe(self) -> dict[str, Any]:
        """Name and value."""
        return {"name": "constant", "mlm_prob": self.rate}


class LinearDecayRate(Rate):
    """p_k = p0 - k D / T: p0 at the first step, p0 - D (T-1)/T at the last (Edman & Fraser 2025, section 3.3).

    Args:
        initial: p0.
        decay: D; negative for a rate that rises.

    Raises:
        OptionError: p0 is not in (0, 1), or the rate would leave [0, 1] in a long run.
    """

    def __init__(self, initial: float, decay: float) -> None:
        self.initial = _inside(initial, "--mlm_prob")
        self.decay = float(decay)
        if not math.isfinite(self.decay) or not 0 <= self.initial - self.decay <= 1:
            raise OptionError(
                f"--mask_decay {decay} takes --mlm_prob {initial} to {self.initial - self.decay:g} by the end of the "
                "run; mask rates must stay between 0 and 1, so lower --mask_decay"
            )

    def at(self, step: int, total_steps: int | None) -> float:
        """p_k, computed from k alone and never by subtraction from the step before.

        Raises:
            OptionError: the length of the run is not known.
        """
        if total_steps is None:
            raise OptionError(
                "--mask_decay needs to know how many steps the run has: pass total_steps, or add the collator's "
                "callback() to the trainer"
            )
        return self.initial - step * self.decay / total_steps

    def validate(self, total_steps: int) -> None:
        """The rate is monotonic, so its last value decides.

        Raises:
            OptionError: naming the first step that is outside (0, 1).
        """
        last = self.at(total_steps - 1, total_steps)
        if not 0 < last < 1:
            raise OptionError(
                f"--mlm_prob {self.initial} with --mask_decay {self.decay} reaches a mask rate of {last:g} at step "
                f"{total_steps - 1}; it must stay between 0 and 1, so lower --mask_decay"
            )

    def describe(self) -> dict[str, Any]:
        """Name and values."""
        return {"name": "linear decay", "mlm_prob": self.initial, "mask_decay": self.decay}


def make_rate(initial: float, decay: float = 0.0) -> Rate:
    """The rate of `--mlm_prob` and `--mask_decay`."""
    return LinearDecayRate(initial, decay) if decay else ConstantRate(initial)


def _inside(rate: float, option: str) -> float:
    if not 0 < rate < 1:
        raise OptionError(f"{option} is {rate}; a mask rate must lie between 0 and 1, both excluded")
    return float(rate)
