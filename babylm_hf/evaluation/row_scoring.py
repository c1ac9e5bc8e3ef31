"""Rows of token ids, and the cross-entropies of a model at chosen positions of them.

Batches hold rows of one length, so that nothing is padded, and the vocabulary is computed at the chosen positions only
(`babylm_hf.models.heads`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import OptionError
from ..models.heads import PositionSelector

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Logits held at a time, 256 MB in float32.
_MAX_LOGITS = 1 << 26


class RowsOfText:
    """Rows of ids, and which of their tokens count."""

    def __init__(self, rows: Sequence[npt.ArrayLike], pad_id: int, special: set[int], skip_first: bool = False) -> None:
        self.rows = [_without_padding(np.asarray(row, dtype=np.int64), pad_id) for row in rows]
        self.special, self.skip_first = np.array(sorted(special), dtype=np.int64), skip_first
        self.counts = np.array([int(self._counting(row[None]).sum()) for row in self.rows], dtype=np.int64)
        self.tokens = int(self.counts.sum())
        if self.tokens == 0:
            raise OptionError("the text holds no token that can be scored; give more of it")

    def _counting(self, ids: Ids) -> npt.NDArray[np.bool_]:
        counts = ~np.isin(ids, self.special)
        if self.skip_first:
            counts[:, :1] = False
        return counts

    def stack(self, row: Ids) -> Ids:
        """Rows of one length, `[m, L]`."""
        return np.stack([self.rows[i] for i in row])

    def maskable(self, row: Ids) -> npt.NDArray[np.bool_]:
        """The tokens of these rows that count, bool `[m, L]`."""
        return self._counting(self.stack(row))


def _without_padding(row: Ids, pad_id: int) -> Ids:
    used = np.flatnonzero(row != pad_id)
    return row[: used[-1] + 1] if len(used) else row[:0]


class PositionScorer:
    """Cross-entropies at chosen positions."""

    def __init__(self, model: nn.Module, removed: int | None, batch_tokens: int) -> None:
        self.selector, self.removed, self.batch_tokens = PositionSelector(model), removed, batch_tokens
        self.device = next(model.parameters()).device
        self.vocabulary = int(getattr(getattr(model, "config", None), "vocab_size", 1 << 16))
        self.takes_rate = "mask_rate" in inspect.signature(model.forward).parameters

    def batches(self, text: RowsOfText, draws: int) -> Iterator[tuple[Ids, Ids]]:
        """Pairs of a row and a draw (with `draws` 0, of a row and each of its tokens), rows of one length together."""
        repeats = np.where(text.counts > 0, draws, 0) if draws else text.counts
        lengths = np.array([len(row) for row in text.rows], dtype=np.int64)
        for length in np.unique(lengths[repeats > 0])[::-1]:
            group = np.flatnonzero((lengths == length) & (repeats > 0))
            row = np.repeat(group, repeats[group])
            number = np.concatenate([np.arange(n) for n in repeats[group]])
            size = max(1, min(self.batch_tokens // length, _MAX_LOGITS // (length * self.vocabulary)))
            for start in range(0, len(row), size):
                yield row[start : start + size], number[start : start + size]

    def losses(self, ids: Ids, where: npt.NDArray[np.bool_], targets: Ids, rate: Floats | None) -> Floats:
        """-log p of the targets `[N]` at the N positions where bool `[m, L]` is set, in order, float64."""
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(np.ascontiguousarray(ids)).to(self.device)}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if rate is not None and self.takes_rate:
            inputs["mask_rate"] = torch.from_numpy(rate).float().to(self.device)
        flat = torch.from_numpy(np.flatnonzero(where)).to(self.device)
        if len(flat) == 0:
            return np.zeros(0)
        logits = self.selector.logits(inputs, flat).float()
        if self.removed is not None:
            logits[:, self.removed] = -math.inf
        wanted = torch.from_numpy(targets).to(self.device)
        return torch.nn.functional.cross_entropy(logits, wanted, reduction="none").double().cpu().numpy()
