"""The clock of a collator that a loader calls: which optimizer step a batch belongs to, in any worker."""

from __future__ import annotations

from dataclasses import dataclass

from torch.utils.data import get_worker_info


@dataclass
class PassClock:
    """Which optimizer step the next batch belongs to, when a loader calls the collator.

    A loader hands batch i to worker i mod W, so each worker knows the batch by counting its own calls. That is exact
    under any prefetching, where a number written from outside would come late or never.

    Attributes:
        pass_index: 0-based pass.
        first_step: optimizer steps done when the pass, or the rest of it after a resume, began.
        accumulation: micro-batches in a step.
        calls: batches made so far by this copy of the collator.
    """

    pass_index: int
    first_step: int
    accumulation: int
    calls: int = 0

    def next_step(self) -> int:
        """The optimizer step of the batch that is being made; counts it."""
        worker = get_worker_info()
        batch = self.calls if worker is None else self.calls * worker.num_workers + worker.id
        self.calls += 1
        return self.first_step + batch // self.accumulation
