"""The loader that follows the plan: every micro-batch is decided by its key, so workers only slice and pad."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ..plan import PlanSampler, RowKey, RowSource, RunPlan


class PlannedDataset(Dataset):
    """Turns a key of the plan into a padded, unmasked micro-batch in one fetch."""

    def __init__(self, rows: RowSource, num_rows: int) -> None:
        self.rows = rows
        self._num_rows = num_rows

    def __len__(self) -> int:
        return self._num_rows

    def __getitems__(self, key: RowKey) -> dict[str, Any]:
        """`input_ids`, `attention_mask` int64 `[n, L]`, `example_id` int64 `[n]`, and `pass_index`, `step`."""
        arrays = self.rows.fetch(key.seq_length, key.rows)
        batch: dict[str, Any] = {name: torch.from_numpy(values) for name, values in arrays.items()}
        batch["example_id"] = torch.from_numpy(key.rows)
        return {**batch, "pass_index": key.pass_index, "step": key.step}


def _as_is(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


def planned_loader(
    rows: RowSource, plan: RunPlan, *, rank: int, world_size: int, accumulation: int, **options: Any
) -> DataLoader:
    """A loader of `plan.total_steps * accumulation` micro-batches for one process.

    Args:
        options: passed to `DataLoader` (workers, pinning, prefetching, start method).
    """
    sampler = PlanSampler(plan, rank, world_size, accumulation)
    first = plan.step(0)
    dataset = PlannedDataset(rows, rows.num_rows(first.seq_length))
    # A generator of its own: without one the loader draws its worker seed from the global state, and dropout would
    # depend on how often loaders are made.
    options |= {"batch_sampler": sampler, "collate_fn": _as_is, "generator": torch.Generator()}
    return DataLoader(dataset, **options)
