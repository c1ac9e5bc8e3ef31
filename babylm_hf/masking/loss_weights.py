"""What a weighted (diffusion) objective needs beside a masked batch: weights, their normaliser, and the mask rates."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .policies import Policy, per_row
from .rates import RowRates
from .rows import MASK_RATE, MASKABLE, WEIGHTS, Flags, MaskRows

Weighting = Literal["sequence", "token"]


def loss_weights(
    policy: Policy, rows: MaskRows, drawn: RowRates, selected: Flags, weighting: Weighting, realised_rate: bool
) -> dict[str, npt.NDArray[Any]]:
    """The extra arrays of a masked batch.

    Args:
        policy: that chose the targets.
        rows: the batch.
        drawn: its rates and their slopes.
        selected: the targets, bool `[n, L]`.
        weighting: one weight a "sequence", slope / rate, or one a "token", slope x (dq/dm) / q, which is the same where
            q, a token's probability, is proportional to the row's rate m.
        realised_rate: give the share of targets among all positions as the mask rate, not the rate that was drawn.

    Returns:
        `loss_weights` float32 `[n, L]`, 0 where there is no target; `maskable` int64 `[n]`, eligible tokens of each
        row; `mask_rate` float32 `[n]`.

    Raises:
        FloatingPointError: a weight is not finite, which no draw should be able to bring about.
    """
    weight, slope = drawn.weight, drawn.slope
    assert weight is not None
    assert slope is not None
    growth = policy.log_slope(rows, drawn.rate) if weighting == "token" else None
    own = weight[:, None] if growth is None else slope[:, None] * growth
    weights = np.where(selected, own.astype(np.float32), np.float32(0))
    if not np.isfinite(weights).all():
        raise FloatingPointError("the noise schedule gave a loss weight that is not finite")
    rate = selected.mean(axis=1) if realised_rate else per_row(drawn.rate, len(selected))
    return {WEIGHTS: weights, MASKABLE: rows.eligible_counts(), MASK_RATE: rate.astype(np.float32)}
