"""One pass through the rows of a stage: their order, and how they are shared among optimizer steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .counter import row_keys
from .curriculum import Stage

Rows = npt.NDArray[np.int64]


def pass_order(seed: int, pass_index: int, num_rows: int) -> Rows:
    """The rows of a pass in the order they are shown, int64 `[num_rows]`: sorted by a hash of (seed, pass, row).

    The hashes of a pass are all different, so the order does not depend on the sorting algorithm.
    """
    return np.argsort(row_keys(seed, "order", pass_index, np.arange(num_rows)))


@dataclass(frozen=True)
class PlannedPass:
    """A pass and its steps.

    The rows are shared evenly over the fewest steps that hold them, so no step is a small remainder with a noisy
    gradient.

    Attributes:
        index: 0-based pass.
        stage: its stage.
        num_rows: rows, each shown once.
        num_steps: optimizer steps.
    """

    index: int
    stage: Stage
    num_rows: int

    @property
    def num_steps(self) -> int:
        """The fewest steps that hold all rows at the stage's batch size."""
        return -(-self.num_rows // self.stage.batch_size)

    def bounds(self) -> Rows:
        """Where each step begins in the pass's order, int64 `[num_steps + 1]`; steps differ by at most one row."""
        size, longer = divmod(self.num_rows, self.num_steps)
        steps = np.arange(self.num_steps + 1, dtype=np.int64)
        return steps * size + np.minimum(steps, longer)
