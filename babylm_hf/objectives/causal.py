"""Next-token cross-entropy, counted after the shift, without the logits of a whole batch.

A row of n tokens has n - 1 targets: neither padding nor a row's last position predicts anything, and no logits are made
there. The others would still fill gigabytes (16 rows of 512 tokens and 32,000 pieces: 1.05 GB in float32, and as much
again for their gradient), so they are made, used for loss and gradient, and let go in chunks (`ChunkedCrossEntropy`).
That is possible where the head is a plain linear layer, as in nearly every causal model; others get full logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..models.heads import PositionSelector
from .chunked import LinearHead
from .masked import IGNORED, TargetLosses, target_losses


class CausalObjective:
    """Losses of predicting each token from those before it, the vocabulary computed only where there is a target."""

    name = "causal"

    def __init__(self, model: nn.Module, chunked: bool = True, early: bool = True) -> None:
        self.selector = PositionSelector(model, early=early)
        self.head = LinearHead.of(self.selector) if chunked else None
        # While training a cache of keys and values is only memory.
        self._extra = {"use_cache": False} if hasattr(getattr(model, "config", None), "use_cache") else {}

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new batch with the labels as a list of targets, made on the host so that no device has to be waited for.

        `labels` int64 `[n, L]`, not shifted, become `target_index` int64 `[N]` (row * L + position of the token
        before each target) and `target_ids` int64 `[N]`.
        """
        labels = batch["labels"]
        shifted = F.pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)
        index = torch.nonzero(shifted != IGNORED).squeeze(-1)
        rest = {name: value for name, value in batch.items() if name != "labels"}
        return {**rest, "target_index": index, "target_ids": shifted[index]}

    def count(self, batch: dict[str, Any]) -> int:
        """What the summed loss of a step is divided by: the targets."""
        return len(batch["target_ids"])

    def __call__(self, inputs: dict[str, Any], forward: Callable[..., Any] | None = None) -> TargetLosses:
        """The losses of one prepared micro-batch.

        Args:
            inputs: model inputs plus `target_index` and `target_ids`, on the model's device.
            forward: the model wrapped for distributed training, where it is.
        """
        inputs = {**inputs, **self._extra}
        index, target_ids = inputs.pop("target_index"), inputs.pop("target_ids")
        return target_losses(self.selector, self.head, inputs, index, target_ids, forward=forward)
