"""Loss on held-out text, the same measurement at every step of every run.

Masks are uniform at 15 %, drawn from a stream of their own with a fixed seed, at one row length, and the mean is over
targets: so curves can be compared across rates, policies, lengths and seeds, and measuring never changes the training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..masking import MaskingCollator
from ..objectives import MaskedObjective
from ..plan import RowSource


def held_out_loss(
    model: torch.nn.Module,
    rows: RowSource,
    collator: MaskingCollator,
    *,
    seq_length: int,
    objective: MaskedObjective,
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
    chosen = _spread(rows.num_rows(seq_length), max_tokens // seq_length)
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
    counts: np.ndarray, rows: RowSource, collator: MaskingCollator, *, seq_length: int, max_tokens: int = 0
) -> float:
    """What a model that knows only how often each piece occurs would score on the same targets, in nats.

    Args:
        counts: int64 `[V]`, occurrences in the training text; one is added to each (Laplace).
    """
    log_probability = np.log(counts + 1.0) - np.log((counts + 1.0).sum())
    chosen = _spread(rows.num_rows(seq_length), max_tokens // seq_length)
    total, count = 0.0, 0
    for start in range(0, len(chosen), 512):
        labels = _masked(rows, collator, seq_length, chosen[start : start + 512])["labels"].numpy()
        targets = labels[labels >= 0]
        total -= float(log_probability[targets].sum())
        count += len(targets)
    return total / max(count, 1)


def _spread(num_rows: int, wanted: int) -> np.ndarray:
    """`wanted` row numbers spread evenly over all of them; all where 0 or fewer rows than that."""
    if wanted <= 0 or wanted >= num_rows:
        return np.arange(num_rows)
    return np.unique(np.linspace(0, num_rows - 1, wanted).astype(np.int64))


def _masked(rows: RowSource, collator: MaskingCollator, seq_length: int, chosen: np.ndarray) -> dict[str, Any]:
    arrays = rows.fetch(seq_length, chosen)
    batch: dict[str, Any] = {name: torch.from_numpy(values) for name, values in arrays.items()}
    return collator.mask_for_evaluation({**batch, "example_id": torch.from_numpy(chosen)})


def _batch_sums(
    model: torch.nn.Module,
    rows: RowSource,
    collator: MaskingCollator,
    objective: MaskedObjective,
    seq_length: int,
    chosen: np.ndarray,
    device: torch.device,
) -> torch.Tensor:
    """Summed loss, correct predictions and number of targets of one batch, float64 `[3]`."""
    prepared = objective.prepare(_masked(rows, collator, seq_length, chosen))
    names = ("input_ids", "attention_mask", "target_index", "target_ids")
    result = objective({name: prepared[name].to(device) for name in names}, forward=model)
    correct = result.correct().sum().double().cpu()
    return torch.stack(
        [result.losses.double().sum().cpu(), correct, torch.tensor(float(len(result.target_ids))).double()]
    )
