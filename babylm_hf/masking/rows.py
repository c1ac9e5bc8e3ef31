"""The rows that are to be masked, with everything that may decide their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .random import Keys, row_keys

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
RateValue = float | Floats
"""One rate for all rows, or one for each row, float64 `[n]`."""

# Names of arrays in a batch, beside the model's own inputs.
PLACES = "places"
STEP_ROWS = "step_rows"
WORD_STARTS = "word_starts"
WEIGHTS = "loss_weights"
MASKABLE = "maskable"
MASK_RATE = "mask_rate"


@dataclass(frozen=True)
class MaskRows:
    """The rows to be masked and everything that may decide their masks.

    Attributes:
        input_ids: int64 `[n, L]`.
        eligible: tokens that may be targets, bool `[n, L]`.
        example_id: number of each row in the corpus, int64 `[n]`.
        seed: of the run.
        pass_index: 0-based pass through the corpus.
        step: 0-based optimizer step.
        prefix: put before the names of random streams; "evaluation." for evaluation masks.
        extras: further arrays by name, first axis `n` (`word_starts`, ...).
        total_steps: optimizer steps of the run, where known.
        places: place of each row in the step's global batch, int64 `[n]`, where known.
        step_rows: rows of the global batch, where known.
    """

    input_ids: Ids
    eligible: Flags
    example_id: Ids
    seed: int
    pass_index: int
    step: int
    prefix: str = ""
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    total_steps: int | None = None
    places: Ids | None = None
    step_rows: int | None = None

    @property
    def length(self) -> int:
        """Tokens in a row, padding included."""
        return int(self.input_ids.shape[1])

    def keys(self, stream: str) -> Keys:
        """The rows' keys in a random stream, uint64 `[n]`."""
        return row_keys(self.seed, self.prefix + stream, self.pass_index, self.example_id)

    @cached_property
    def extents(self) -> Ids:
        """The position after the last eligible one of each row, int64 `[n]`; the row's length where there is none."""
        return ends(self.eligible)

    def eligible_counts(self) -> Ids:
        """Eligible tokens of each row, int64 `[n]`."""
        return row_sums(self.eligible)


def ends(flags: Flags) -> Ids:
    """The position after the last flag that is set in each row, int64 `[n]`; the row's length where there is none."""
    after: Ids = flags.shape[1] - np.argmax(flags[:, ::-1], axis=1)
    return after


def row_sums(flags: Flags) -> Ids:
    """How many flags of each row `[n, L]` are set, int64 `[n]`."""
    sums: Ids = np.add.reduce(flags.view(np.uint8), axis=1, dtype=np.int64)
    return sums
