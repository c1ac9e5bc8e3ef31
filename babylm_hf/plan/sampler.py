"""The batch sampler that follows the plan: its keys say everything a worker needs, so no worker can change the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .passes import Rows
from .plan import RunPlan


@dataclass(frozen=True)
class RowKey:
    """One micro-batch of one process, as it travels to a worker.

    Attributes:
        step: 0-based optimizer step.
        micro_batch: 0-based micro-batch of the step.
        pass_index: 0-based pass.
        seq_length: tokens in a row.
        rows: row numbers, int64 `[n]`.
        places: place of each row in the step's global batch, int64 `[n]`.
        step_rows: rows of the global batch.
    """

    step: int
    micro_batch: int
    pass_index: int
    seq_length: int
    rows: Rows
    places: Rows
    step_rows: int

    def __len__(self) -> int:
        return len(self.rows)


class PlanSampler:
    """Yields the `RowKey` of every micro-batch of one process in order, `accumulation` of them a step.

    Raises:
        OptionError: some step of the run has fewer rows than `world_size * accumulation`.
    """

    def __init__(
        self, plan: RunPlan, rank: int = 0, world_size: int = 1, accumulation: int = 1, start_step: int = 0
    ) -> None:
        plan.check_sharding(world_size, accumulation)
        self.plan = plan
        self.rank = rank
        self.world_size = world_size
        self.accumulation = accumulation
        self.start_step = start_step

    def __len__(self) -> int:
        return (self.plan.total_steps - self.start_step) * self.accumulation

    def __iter__(self) -> Iterator[RowKey]:
        for index in range(self.start_step, self.plan.total_steps):
            step = self.plan.step(index)
            size = len(step.rows)
            shares = self.plan.micro_batch_places(size, index, self.rank, self.world_size, self.accumulation)
            for micro_batch, places in enumerate(shares):
                yield RowKey(index, micro_batch, step.pass_index, step.seq_length, step.rows[places], places, size)
