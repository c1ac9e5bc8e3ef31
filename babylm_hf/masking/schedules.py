"""Noise schedules of masked diffusion: from a time in [0, 1] to a mask rate and a derivative that weighs its loss.

Kosmopoulou et al. 2025, "Masked Diffusion Language Models with Frequency-Informed Training" (arXiv 2509.05056). Time is
a uniform random number. With m the mask rate at time t, the weight of a row's loss is |dm/dt| / m: with that weight
every schedule has the same objective, the NELBO, and differs in the variance of its estimate only. Raising the
derivative to a power below 1 (`softening`) changes the objective: rates the schedule draws often then count more.

Everything is float64, in which all values here are finite for every time in [0, 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch

from ..errors import OptionError
from .rows import Floats

CLAMP = 1e-8
"""The published code keeps times and rates this far from 0 and 1 in its Gaussian schedules."""

LOWEST_RATE = 1e-3
"""Our Gaussian schedules draw no mask rate below this."""

_FARTHEST = 8.0
"""Standard deviations from a mode beyond which nothing is drawn; 1e-15 of the mass."""


class NoiseSchedule(ABC):
    """Mask rates of times, and their derivatives."""

    name: str
    moving = False
    """Whether it changes over the run."""

    needs_coin = False
    """Whether `at` needs a second random number for each row."""

    @abstractmethod
    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """Mask rates and |d rate / d time|, each float64 `[n]`.

        Args:
            time: in [0, 1], float64 `[n]`.
            share: of the run that is over, in [0, 1].
            coin: a second uniform number a row, where `needs_coin`.
        """

    @abstractmethod
    def mean_rate(self, share: float = 0.0) -> float:
        """The mean mask rate when `share` of the run is over."""

    def describe(self) -> dict[str, Any]:
        """Name and parameters in JSON's types."""
        return {"schedule": self.name, "mean_rate": round(self.mean_rate(), 6)}


class LinearNoise(NoiseSchedule):
    """m = t, the schedule of MDLM and LLaDA: every mask rate equally often, mean 0.5, loss weight 1 / m."""

    name = "linear"

    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """See `NoiseSchedule.at`."""
        return time.copy(), np.ones_like(time)

    def mean_rate(self, share: float = 0.0) -> float:
        """0.5."""
        return 0.5


class CosineNoise(NoiseSchedule):
    """m = 1 - cos(pi/2 (1 - t)), the paper's "cosine": mean 1 - 2/pi = 0.363. Others call it cosine-linear.

    Not the "cosine" of dllm and duo, whose mean rate is 0.637.
    """

    name = "cosine"

    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """See `NoiseSchedule.at`."""
        angle = np.pi / 2 * (1 - time)
        # 1 - cos u, without the cancellation that makes it 0 for a small u.
        return 2 * np.sin(angle / 2) ** 2, np.pi / 2 * np.sin(angle)

    def mean_rate(self, share: float = 0.0) -> float:
        """1 - 2/pi."""
        return 1 - 2 / math.pi


class CosineSquaredNoise(NoiseSchedule):
    """m = 1 - cos^2(pi/2 (1 - t)): mean 0.5."""

    name = "cosine_squared"

    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """See `NoiseSchedule.at`."""
        angle = np.pi / 2 * (1 - time)
        return np.sin(angle) ** 2, np.pi / 2 * np.sin(2 * angle)

    def mean_rate(self, share: float = 0.0) -> float:
        """0.5."""
        return 0.5


class GaussianNoise(NoiseSchedule):
    """Mask rates from one normal distribution.

    Ours is the normal distribution truncated to [0.001, 1]; the published code's clamps what lies outside (0, 1), and
    its time runs the other way.

    Args:
        mean: of the mask rate; 0.3 in the paper.
        deviation: standard deviation; 0.1 in the paper.
        reference: the published code's form.
        lowest: smallest mask rate of ours.
    """

    name = "gaussian"

    def __init__(
        self, mean: float = 0.3, deviation: float = 0.1, *, reference: bool = False, lowest: float = LOWEST_RATE
    ) -> None:
        self.mean = _inside(mean, "--noise_mean")
        self.deviation = _positive(deviation, "--noise_std")
        self.reference = reference
        self.lowest = _inside(lowest, "--lowest_rate")
        self._bounds = (self.lowest - self.mean) / self.deviation, (1 - self.mean) / self.deviation
        if self._bounds[0] >= _FARTHEST:
            raise OptionError(f"--noise_mean {mean} with --noise_std {deviation} gives no rate above {self.lowest}")
        self._mass = [float(v) for v in ndtr(np.array(self._bounds))]

    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """See `NoiseSchedule.at`."""
        if self.reference:
            return clamped_normal(time, self.mean, self.deviation)
        low, high = self._mass
        z = ndtri(low + time * (high - low)).clip(max(self._bounds[0], -_FARTHEST), min(self._bounds[1], _FARTHEST))
        return (self.mean + self.deviation * z).clip(self.lowest, 1.0), self.deviation * (high - low) / density(z)

    def mean_rate(self, share: float = 0.0) -> float:
        """The mean of the distribution; of the published code's, which clamps, that of the normal one."""
        if self.reference:
            return self.mean
        low, high = density(np.array(self._bounds))
        return float(self.mean + self.deviation * (low - high) / (self._mass[1] - self._mass[0]))

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        own = {"noise_mean": self.mean, "noise_std": self.deviation}
        return super().describe() | own | ({} if self.reference else {"lowest_rate": self.lowest})


class BimodalNoise(NoiseSchedule):
    """Mask rates from a mixture of two normal distributions, the right one of which moves up during the run.

    The right mode is at r0 + (r1 - r0)(1 - e^(-k tau)) when a share tau of the run is over; with k = 1 it ends 63 % of
    the way to r1. Ours draws both modes from one stratified number and weighs by the density of the mixture. The
    published code draws the mode by a coin and weighs by the density of that mode alone, which leaves out most of the
    NELBO unless the softening is strong.

    Args:
        left_share: probability of the left mode.
        left_mean, left_deviation: of the left mode.
        right_first, right_last: r0 and r1.
        right_deviation: of the right mode.
        pace: k.
        reference: the published code's form.
    """

    name = "bimodal"
    moving = True

    def __init__(
        self,
        left_share: float = 0.6,
        left_mean: float = 0.12,
        left_deviation: float = 0.02,
        right_first: float = 0.4,
        right_last: float = 0.85,
        right_deviation: float = 0.08,
        pace: float = 1.0,
        *,
        reference: bool = False,
        lowest: float = LOWEST_RATE,
    ) -> None:
        self.left_share = _inside(left_share, "--left_share")
        self.left = _inside(left_mean, "--left_mean"), _positive(left_deviation, "--left_std")
        self.right_first = _inside(right_first, "--right_mean_first")
        self.right_last = _inside(right_last, "--right_mean_last")
        self.right_deviation = _positive(right_deviation, "--right_std")
        self.pace = _positive(pace, "--right_pace")
        self.lowest = _inside(lowest, "--lowest_rate")
        self.reference = reference
        self.needs_coin = reference

    def right_mean(self, share: float) -> float:
        """Where the right mode is when `share` of the run is over."""
        return self.right_first + (self.right_last - self.right_first) * -math.expm1(-self.pace * min(share, 1.0))

    def at(self, time: Floats, share: float = 0.0, coin: Floats | None = None) -> tuple[Floats, Floats]:
        """See `NoiseSchedule.at`."""
        right = self.right_mean(share), self.right_deviation
        if self.reference:
            assert coin is not None
            is_left = coin < self.left_share
        else:
            is_left = time < self.left_share
        mean, deviation = (np.where(is_left, a, b) for a, b in zip(self.left, right, strict=True))
        if self.reference:
            return clamped_normal(time, mean, deviation)
        within = np.where(is_left, time / self.left_share, (time - self.left_share) / (1 - self.left_share))
        z = ndtri(within.clip(0.0, 1.0)).clip(-_FARTHEST, _FARTHEST)
        rate = (mean + deviation * z).clip(self.lowest, 1.0)
        return rate, 1 / self.density(rate, share)

    def density(self, rate: Floats, share: float) -> Floats:
        """The density of the mixture at mask rates `[n]`."""
        weighed = ((self.left_share, *self.left), (1 - self.left_share, self.right_mean(share), self.right_deviation))
        return sum(
            (w * density((rate - mean) / deviation) / deviation for w, mean, deviation in weighed), np.zeros_like(rate)
        )

    def mean_rate(self, share: float = 0.0) -> float:
        """The mean of the two modes at this point of the run."""
        return self.left_share * self.left[0] + (1 - self.left_share) * self.right_mean(share)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        own = {
            "left_share": self.left_share,
            "left_mean": self.left[0],
            "left_std": self.left[1],
            "right_mean_first": self.right_first,
            "right_mean_last": self.right_last,
            "right_std": self.right_deviation,
            "right_pace": self.pace,
        }
        return super().describe() | own | ({} if self.reference else {"lowest_rate": self.lowest})


def clamped_normal(time: Floats, mean: Any, deviation: Any) -> tuple[Floats, Floats]:
    """The published code's normal schedule: m = mean - deviation z, kept within [1e-8, 1 - 1e-8]."""
    z = ndtri(time.clip(CLAMP, 1 - CLAMP))
    alpha = (1 - mean + deviation * z).clip(CLAMP, 1 - CLAMP)
    return 1 - alpha, deviation / density(z)


def ndtr(values: Floats) -> Floats:
    """The normal distribution function."""
    return np.asarray(torch.special.ndtr(torch.from_numpy(values)))


def ndtri(values: Floats) -> Floats:
    """Its inverse; infinite at 0 and 1."""
    return np.asarray(torch.special.ndtri(torch.from_numpy(values)))


def density(values: Floats) -> Floats:
    """The normal density."""
    return np.exp(-0.5 * values * values) / math.sqrt(2 * math.pi)


def _inside(value: float, option: str) -> float:
    if not 0 < value < 1:
        raise OptionError(f"{option} is {value}; it must lie between 0 and 1, both excluded")
    return float(value)


def _positive(value: float, option: str) -> float:
    if not 0 < value < math.inf:
        raise OptionError(f"{option} is {value}; it must be positive")
    return float(value)
