"""Loss on held-out text, the same measurement at every step of every run.

Masks are uniform at 15 %, drawn from a stream of their own with a fixed seed, at one row length, and the mean is over
targets: so curves can be compared across rates, policies, lengths and seeds, and measuring never changes the training.
Causal models predict every token of packed rows but the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..masking import RowCollator
from ..objectives import Objective
from ..objectives.masked import to_targets
from ..plan import RowSource


def held_out_loss(
    model: torch.nn.Module,
    rows: RowSource,
    collator: RowCollator,
    *,
    seq_length: int,
    objective: Objective,
    max_tokens: int = 0,
    batch_tokens: int = 16_384,
    accelerator: Any = None,
) -> dict[str, float]:
    """Mean cross-entropy per target (nats), accuracy, and the number of targets.

    Args:
        model: not wrapped; its mode is restored afterwards.
        rows: a `RowSource`.
        collator: only its ids are used; its rate and policy are not.
        seq_length: tokens in a row.
        max_tokens: measure on rows spread evenly over the text, about this many tokens; 0 for all.
        batch_tokens: tokens in a batch.
        accelerator: shares the rows among processes and sums what they find.
    """
    chosen = spread(rows.num_rows(seq_length), max_tokens // seq_length)
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator is not None else (0, 1)
    device = next(model.parameters()).device
    batch_rows = max(1, batch_tokens // seq_length)
    mine = chosen[rank::world]
    sums = torch.zeros(3, dtype=torch.float64)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for start in range(0, len(mine), batch_rows):
                sums += _batch_sums(
                    model, rows, collator, objective, seq_length, mine[start : start + batch_rows], device
                )
    finally:
        model.train(was_training)
    if world > 1:
        sums = accelerator.reduce(sums.to(device), reduction="sum").cpu()
    total, correct, count = (float(v) for v in sums)
    loss = total / max(count, 1.0)
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 50.0)),
        "accuracy": correct / max(count, 1.0),
        "targets": count,
    }


def unigram_loss(
    counts: np.ndarray,
    rows: RowSource,
    collator: RowCollator,
    *,
    seq_length: int,
    max_tokens: int = 0,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = to_targets,
) -> float:
    """What a model that knows only how often each piece occurs would score on the same targets, in nats.

    Args:
        counts: int64 `[V]`, occurrences in the training text; one is added to each (Laplace).
        prepare: of the objective, which decides what the targets are.
    """
    log_probability = np.log(counts + 1.0) - np.log((counts + 1.0).sum())
    chosen = spread(rows.num_rows(seq_length), max_tokens // seq_length)
    total, count = 0.0, 0
    for start in range(0, len(chosen), 512):
        targets = prepare(_evaluated(rows, collator, seq_length, chosen[start : start + 512]))["target_ids"].numpy()
        total -= float(log_probability[targets].sum())
        count += len(targets)
    return total / max(count, 1)


def spread(num_rows: int, wanted: int) -> np.ndarray:
    """`wanted` row numbers spread evenly over all of them; all where 0 or fewer rows than that."""
    if wanted <= 0 or wanted >= num_rows:
        return np.arange(num_rows)
    return np.unique(np.linspace(0, num_rows - 1, wanted).astype(np.int64))


def _evaluated(rows: RowSource, collator: RowCollator, seq_length: int, chosen: np.ndarray) -> dict[str, Any]:
    arrays = rows.fetch(seq_length, chosen)
    batch: dict[str, Any] = {name: torch.from_numpy(values) for name, values in arrays.items()}
    return collator.evaluation_batch({**batch, "example_id": torch.from_numpy(chosen)})


def _batch_sums(
    model: torch.nn.Module,
    rows: RowSource,
    collator: RowCollator,
    objective: Objective,
    seq_length: int,
    chosen: np.ndarray,
    device: torch.device,
) -> torch.Tensor:
    """Summed loss, correct predictions and number of targets of one batch, float64 `[3]`."""
    prepared = objective.prepare(_evaluated(rows, collator, seq_length, chosen))
    result = objective({name: values.to(device) for name, values in prepared.items()}, forward=model)
    correct = result.correct().sum().double().cpu()
    return torch.stack(
        [result.losses.double().sum().cpu(), correct, torch.tensor(float(len(result.target_ids))).double()]
    )
