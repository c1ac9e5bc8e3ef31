"""Mask rates: how many of the maskable tokens become targets at each optimizer step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..errors import OptionError
from .rows import Floats, MaskRows, RateValue


@dataclass(frozen=True)
class RowRates:
    """The mask rates of some rows and, for a diffusion objective, how much the losses of each weigh.

    Attributes:
        rate: one number, or one a row, float64 `[n]`.
        slope: loss weight times mask rate of each row, float64 `[n]`; None where losses are not weighted.
        offset: added to the rate in the weight's denominator (the published code's guard).
    """

    rate: RateValue
    slope: Floats | None = None
    offset: float = 0.0

    @property
    def weight(self) -> Floats | None:
        """The loss weight of each row, float64 `[n]`."""
        return None if self.slope is None else self.slope / (self.rate + self.offset)


class Rate(ABC):
    """The mask rate as a function of the optimizer step, and of nothing else that a run could lose."""

    weighted = False
    """Whether `draw` gives loss weights; the loss is then divided by the maskable tokens, not by the targets."""

    @abstractmethod
    def at(self, step: int, total_steps: int | None) -> float:
        """The (mean) rate while step `step` (0-based) of `total_steps` is computed, in (0, 1)."""

    def draw(self, rows: MaskRows) -> RowRates:
        """The rates of these rows; the same for all unless the rate is random."""
        return RowRates(self.at(rows.step, rows.total_steps))

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


class _Falling(Rate):
    """A rate that moves from p0 to p0 - D over the run, never beyond the two.

    Args:
        initial: p0.
        decay: D; negative for a rate that rises.

    Raises:
        OptionError: p0 is not in (0, 1), or the rate would leave [0, 1] in a long run.
    """

    name: str

    def __init__(self, initial: float, decay: float) -> None:
        self.initial = _inside(initial, "--mlm_prob")
        self.decay = float(decay)
        if not math.isfinite(self.decay) or not 0 <= self.initial - self.decay <= 1:
            raise OptionError(
                f"--mask_decay {decay} takes --mlm_prob {initial} to {self.initial - self.decay:g} by the end of the "
                "run; mask rates must stay between 0 and 1, so lower --mask_decay"
            )

    @abstractmethod
    def _done(self, share: float) -> float:
        """How much of D is gone when `share` of the run is over; rises from 0 to 1."""

    def at(self, step: int, total_steps: int | None) -> float:
        """p_k, computed from k alone and never by subtraction from the step before.

        Raises:
            OptionError: the length of the run is not known.
        """
        return self.initial - self._done(progress(step, total_steps, "--mask_decay")) * self.decay

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
        return {"name": self.name, "mlm_prob": self.initial, "mask_decay": self.decay}


class LinearDecayRate(_Falling):
    """p_k = p0 - k D / T: p0 at the first step, p0 - D (T-1)/T at the last (Edman & Fraser 2025, section 3.3)."""

    name = "linear decay"

    def _done(self, share: float) -> float:
        return share


class CosineDecayRate(_Falling):
    """p_k = p0 - D (1 - cos(pi k / T)) / 2: slow at both ends of the run, the same mean as a linear decay."""

    name = "cosine decay"

    def _done(self, share: float) -> float:
        return (1 - math.cos(math.pi * share)) / 2


class StepRate(Rate):
    """A rate that is constant between given points of the run.

    Args:
        pieces: (share of the run at which a rate begins, rate); the first begins at 0, the others follow rising.

    Raises:
        OptionError: the pieces do not begin at 0, do not rise, reach the end of the run, or a rate is not in (0, 1).
    """

    def __init__(self, pieces: Sequence[tuple[float, float]]) -> None:
        self.starts = [float(start) for start, _ in pieces]
        self.rates = [_inside(rate, "--mask_schedule") for _, rate in pieces]
        rising = all(a < b for a, b in pairwise(self.starts))
        if not self.starts or self.starts[0] != 0 or not rising or not self.starts[-1] < 1:
            raise OptionError(
                f"--mask_schedule has pieces that begin at {self.starts}; the first must begin at 0 and the others "
                "follow at rising shares of the run below 1, as in 0:0.4,0.5:0.3,0.8:0.15"
            )

    @classmethod
    def parse(cls, text: str) -> StepRate:
        """The rate written as `share:rate` pairs, such as "0:0.4,0.5:0.3,0.8:0.15".

        Raises:
            OptionError: it cannot be read.
        """
        try:
            pieces = [(float(start), float(rate)) for start, rate in (item.split(":") for item in text.split(","))]
        except ValueError:
            raise OptionError(
                f"--mask_schedule {text!r} cannot be read; write share:rate pairs such as 0:0.4,0.5:0.3,0.8:0.15"
            ) from None
        return cls(pieces)

    def at(self, step: int, total_steps: int | None) -> float:
        """The rate of the last piece that has begun."""
        return self.rates[bisect_right(self.starts, progress(step, total_steps, "--mask_schedule")) - 1]

    def validate(self, total_steps: int) -> None:
        """Nothing to check beyond the rates themselves."""

    def describe(self) -> dict[str, Any]:
        """Name and pieces."""
        return {"name": "steps", "mask_schedule": [list(piece) for piece in zip(self.starts, self.rates, strict=True)]}


def make_rate(initial: float, decay: float = 0.0, schedule: str = "linear") -> Rate:
    """The rate of `--mlm_prob`, `--mask_decay` and `--mask_schedule`.

    Args:
        initial: p0; `StepRate`'s pieces take its place.
        decay: D.
        schedule: "linear" or "cosine", the shape of the decay, or `share:rate` pairs.
    """
    if ":" in schedule:
        return StepRate.parse(schedule)
    if schedule not in ("linear", "cosine"):
        raise OptionError(
            f"--mask_schedule {schedule!r} is unknown; choose linear, cosine or share:rate pairs such as 0:0.4,0.5:0.15"
        )
    if not decay:
        return ConstantRate(initial)
    return (LinearDecayRate if schedule == "linear" else CosineDecayRate)(initial, decay)


def progress(step: int, total_steps: int | None, option: str) -> float:
    """The share of the run that is over when `step` begins, in [0, 1).

    Raises:
        OptionError: the length of the run is not known.
    """
    if total_steps is None:
        raise OptionError(
            f"{option} needs to know how many steps the run has: pass total_steps, or add the collator's "
            "callback() to the trainer"
        )
    return step / total_steps


def _inside(rate: float, option: str) -> float:
    if not 0 < rate < 1:
        raise OptionError(f"{option} is {rate}; a mask rate must lie between 0 and 1, both excluded")
    return float(rate)
