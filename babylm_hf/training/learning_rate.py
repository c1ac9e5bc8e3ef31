"""Warm-up, a cosine that ends above zero, and a linear cool-down: the schedule of GPT-BERT and of its descendants.

With T steps, w of warm-up, c of cool-down and the floor f, the factor of the learning rate at step s is

    s / w                                                   while s < w
    f + (1 - f) (1 + cos(pi (s - w) / (T - w))) / 2         then
    f (T - s) / c                                           in the last c steps

The cosine is laid out to the end of the run and cut by the cool-down, so it does not quite reach its floor. The
learning rate of the first step is 0 where there is a warm-up.
"""

from __future__ import annotations

import math
from functools import partial

import torch

from ..errors import OptionError


def learning_rate_factor(step: int, total: int, warmup: int, cooldown: int, floor: float) -> float:
    """What the peak learning rate is multiplied by at a step, counted from 0."""
    if step < warmup:
        return step / warmup
    if step >= total - cooldown:
        return floor * max(total - step, 0) / max(cooldown, 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def cosine_with_cooldown(
    optimizer: torch.optim.Optimizer, total: int, warmup: int, cooldown: int, floor: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule for an optimizer.

    Args:
        total: optimizer steps of the run.
        warmup, cooldown: steps at its ends.
        floor: share of the peak that the cosine falls to.

    Raises:
        OptionError: warm-up and cool-down leave nothing in between.
    """
    if warmup + cooldown > total:
        raise OptionError(
            f"--warmup_steps ({warmup}) and --cooldown_steps ({cooldown}) are more than the {total} steps of the run; "
            "give fewer, or shares of it such as 0.016"
        )
    factor = partial(learning_rate_factor, total=total, warmup=warmup, cooldown=cooldown, floor=floor)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
