"""Mask rates of masked diffusion: one random rate a row, spread evenly over the rows of the whole optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..errors import OptionError
from .random import uniform
from .rates import Rate, RowRates, progress
from .rows import Floats, MaskRows
from .schedules import (
    BimodalNoise,
    CosineNoise,
    CosineSquaredNoise,
    GaussianNoise,
    LinearNoise,
    NoiseSchedule,
)

Stratify = Literal["step", "batch", "none"]

TIME_MARGIN = 1e-3
"""Times of the closed-form schedules stay this far from 0 and 1 (as in MDLM and LLaDA), so that no row's weight is
extreme."""

_DENOMINATOR_GUARD = 1e-8


class NoiseRate(Rate):
    """The mask rate and the loss weight of each row, drawn from a noise schedule.

    Row i of the n rows of an optimizer step gets a time between i/n and (i+1)/n. i is the row's place in the step's
    global batch, so that neither processes nor micro-batches change any row's time.

    Args:
        schedule: from times to mask rates.
        softening: gamma, the power of the derivative in the loss weight: 1 is the NELBO, 0 weighs by 1 / rate alone.
            Default 1, for the Gaussian schedules .1 (the paper's best).
        stratify: over the rows of the whole "step", where their places are known (else as with "none"); over those of
            each "batch" the collator is given, as the published code does; or "none", independently.
        time_margin: how far times of the closed-form schedules stay from 0 and 1; default .001, reference 0.
        max_weight: no loss weight is larger; default none.
        reference: the published code's choices: strata over each batch, a guard of 1e-8 in the weight, and no softening
            of the closed-form schedules.

    Raises:
        OptionError: an option cannot work.
    """

    weighted = True

    def __init__(
        self,
        schedule: NoiseSchedule,
        softening: float | None = None,
        *,
        stratify: Stratify | None = None,
        time_margin: float | None = None,
        max_weight: float | None = None,
        reference: bool = False,
    ) -> None:
        gaussian = isinstance(schedule, GaussianNoise | BimodalNoise)
        self.schedule = schedule
        self.softening = (0.1 if gaussian else 1.0) if softening is None else float(softening)
        self.stratify = stratify or ("batch" if reference else "step")
        self.time_margin = (0.0 if reference or gaussian else TIME_MARGIN) if time_margin is None else time_margin
        self.max_weight = max_weight
        self.reference = reference
        if not 0 <= self.softening < math.inf:
            raise OptionError(f"--softening is {softening}; it must be 0 or more (1 is the exact objective)")
        if reference and not gaussian and self.softening != 1:
            raise OptionError("the published code has no softening of this schedule: leave out --softening")
        if self.stratify not in ("step", "batch", "none"):
            raise OptionError(f"stratify {stratify!r} is unknown; choose step, batch or none")
        if not 0 <= self.time_margin < 0.5:
            raise OptionError(f"--time_margin is {time_margin}; it must lie in [0, 0.5)")
        if max_weight is not None and not max_weight > 0:
            raise OptionError(f"--max_loss_weight is {max_weight}; it must be positive")

    def at(self, step: int, total_steps: int | None) -> float:
        """The schedule's mean mask rate."""
        return self.schedule.mean_rate(self._share(step, total_steps))

    def validate(self, total_steps: int) -> None:
        """Nothing to check beyond the schedule's own parameters."""

    def _share(self, step: int, total_steps: int | None) -> float:
        return progress(step, total_steps, "a moving --noise_schedule") if self.schedule.moving else 0.0

    def times(self, rows: MaskRows) -> Floats:
        """The time of each row in [0, 1), float64 `[n]`."""
        jitter = uniform(rows.keys("time"), 1)[:, 0]
        if self.stratify == "batch":
            return (np.arange(len(jitter)) + jitter) / len(jitter)
        if self.stratify == "step" and rows.places is not None and rows.step_rows is not None:
            return (rows.places + jitter) / rows.step_rows
        return jitter

    def draw(self, rows: MaskRows) -> RowRates:
        """The rates of these rows and their loss weights, all finite."""
        time = self.times(rows).clip(self.time_margin, 1 - self.time_margin)
        coin = uniform(rows.keys("mode"), 1)[:, 0] if self.schedule.needs_coin else None
        rate, derivative = self.schedule.at(time, self._share(rows.step, rows.total_steps), coin)
        if self.softening != 1:
            derivative = derivative**self.softening
        guard = _DENOMINATOR_GUARD
        if not self.reference:
            # A rate of exactly 0 masks nothing, whatever its weight.
            rate, guard = np.maximum(rate, np.finfo(np.float32).tiny), 0.0
        if self.max_weight is not None:
            derivative = np.minimum(derivative, self.max_weight * (rate + guard))
        return RowRates(rate, derivative, guard)

    def describe(self) -> dict[str, Any]:
        """Schedule and parameters in JSON's types."""
        return {
            "name": f"noise ({self.schedule.name})",
            **self.schedule.describe(),
            "softening": self.softening,
            "stratify": self.stratify,
            "time_margin": self.time_margin,
            "max_loss_weight": self.max_weight,
            "reference": self.reference,
        }


def make_noise(name: str, *, reference: bool = False, **parameters: float) -> NoiseSchedule:
    """The schedule of `--noise_schedule`.

    Args:
        name: "linear", "cosine" (mean rate .363), "cosine_squared", "gaussian" or "bimodal".
        reference: the Gaussian schedules as the published code has them.
        parameters: of `GaussianNoise` or `BimodalNoise`.

    Raises:
        OptionError: no such schedule, or a parameter that it does not have.
    """
    if name in ("linear", "cosine", "cosine_squared"):
        if parameters:
            raise OptionError(f"--noise_schedule {name} has no parameters; leave out {sorted(parameters)}")
        closed: dict[str, Callable[[], NoiseSchedule]] = {
            "linear": LinearNoise,
            "cosine": CosineNoise,
            "cosine_squared": CosineSquaredNoise,
        }
        return closed[name]()
    if name in ("gaussian", "bimodal"):
        try:
            return (GaussianNoise if name == "gaussian" else BimodalNoise)(reference=reference, **parameters)
        except TypeError:
            raise OptionError(f"--noise_schedule {name} does not have all of {sorted(parameters)}") from None
    raise OptionError(
        f"--noise_schedule {name!r} is unknown; choose linear, cosine, cosine_squared, gaussian or bimodal"
    )
