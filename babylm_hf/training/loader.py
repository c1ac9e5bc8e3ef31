"""The loader that follows the plan: every micro-batch is decided by its key, so workers only slice and pad."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import OptionError
from ..plan import PlanSampler, RowKey, RunPlan


class PlannedDataset(Dataset[dict[str, Any]]):
    """Turns a key of the plan into a padded, unmasked micro-batch in one fetch.

    Args:
        word_starts: whether the policy has to be told where words begin; the source must know.
    """

    def __init__(self, rows: Any, num_rows: int, word_starts: bool = False) -> None:
        self.rows = rows
        self.word_starts = word_starts
        self._num_rows = num_rows

    def __len__(self) -> int:
        return self._num_rows

    def __getitems__(self, key: RowKey) -> dict[str, Any]:
        """`input_ids`, `attention_mask` int64 `[n, L]`, and what masks are keyed by: where the rows stand in the run.

        `example_id` and `places` (in the step's global batch of `step_rows` rows) int64 `[n]`, `pass_index`, `step`.
        """
        arrays = self.rows.fetch(key.seq_length, key.rows)
        batch: dict[str, Any] = {name: torch.from_numpy(values) for name, values in arrays.items()}
        batch["example_id"] = torch.from_numpy(key.rows)
        batch["places"] = torch.from_numpy(key.places)
        if self.word_starts:
            batch["word_starts"] = torch.from_numpy(self.rows.fetch_word_starts(key.seq_length, key.rows))
        return {**batch, "pass_index": key.pass_index, "step": key.step, "step_rows": key.step_rows}


def _as_is(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


def planned_loader(
    rows: Any,
    plan: RunPlan,
    *,
    rank: int,
    world_size: int,
    accumulation: int,
    word_starts: bool = False,
    **options: Any,
) -> DataLoader[dict[str, Any]]:
    """A loader of `plan.total_steps * accumulation` micro-batches for one process.

    Args:
        word_starts: see `PlannedDataset`.
        options: passed to `DataLoader` (workers, pinning, prefetching, start method).
    """
    sampler = PlanSampler(plan, rank, world_size, accumulation)
    first = plan.step(0)
    if word_starts and not hasattr(rows, "fetch_word_starts"):
        raise OptionError("this masking policy needs to know where words begin; train on a TokenStream, which does")
    dataset = PlannedDataset(rows, rows.num_rows(first.seq_length), word_starts)
    # A generator of its own: without one the loader draws its worker seed from the global state, and dropout would
    # depend on how often loaders are made.
    options |= {"batch_sampler": sampler, "collate_fn": _as_is, "generator": torch.Generator()}
    return DataLoader(dataset, **options)
