"""Cross-entropy at the masked positions, and nowhere else.

The loss of an optimizer step is the sum of the cross-entropies of all its targets divided by their number, over every
micro-batch and process. A mean of means, which the models' built-in losses lead to, weighs targets by how the step
happened to be cut (huggingface/transformers#47688).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.heads import PositionSelector
from .chunked import LinearHead, rounded

IGNORED = -100
# A stock model is not told the mask rate of its rows.
_NOT_FOR_THE_MODEL = ("labels", "loss_weights", "maskable", "mask_rate", "target_sources")


@dataclass
class TargetLosses:
    """What the targets of one micro-batch cost.

    Attributes:
        losses: float32 `[N]`, natural logarithm, with gradient.
        target_ids: int64 `[N]`.
        logits: `[N, V]` in the model's dtype; None where they were let go as soon as used.
        weights: float32 `[N]`, what each loss counts; 1 where None.
    """

    losses: Tensor
    target_ids: Tensor
    logits: Tensor | None
    weights: Tensor | None = None

    def total(self) -> Tensor:
        """The weighted sum of the losses."""
        return self.losses.sum() if self.weights is None else (self.losses * self.weights).sum()

    def correct(self) -> Tensor:
        """bool `[N]`: the most probable piece is the target. Integers are compared; bfloat16 would merge ids."""
        assert self.logits is not None, "an objective that keeps no logits says itself what was right"
        return self.logits.detach().argmax(-1) == self.target_ids


@dataclass
class SummedLosses(TargetLosses):
    """What the targets of one micro-batch cost, where their logits have been let go.

    Attributes:
        summed: their (weighted) sum with gradient; `losses` has none.
        guessed: bool `[N]`: the most probable piece is the target.
    """

    summed: Tensor | None = None
    guessed: Tensor | None = None

    def total(self) -> Tensor:
        """The weighted sum of the losses."""
        return self.summed if self.summed is not None else super().total()

    def correct(self) -> Tensor:
        """bool `[N]`: the most probable piece is the target."""
        return self.guessed if self.guessed is not None else super().correct()


def to_targets(batch: dict[str, Any]) -> dict[str, Any]:
    """A new batch with the labels as a list of targets, made on the host so that no device has to be waited for.

    `labels` int64 `[n, L]` becomes `target_index` int64 `[N]` (row * L + position) and `target_ids` int64 `[N]`. With
    `loss_weights` `[n, L]` (a rate whose draws weigh differently) there are `target_weights` `[N]` too, and `maskable`
    `[n]` becomes the number that the weighted sum is divided by.
    """
    labels = batch["labels"].reshape(-1)
    index = torch.nonzero(labels != IGNORED).squeeze(-1)
    rest = {name: value for name, value in batch.items() if name not in _NOT_FOR_THE_MODEL}
    made = {**rest, "target_index": index, "target_ids": labels[index]}
    if "target_sources" in batch:  # which part of a mask budget chose each, for the logs
        made["target_sources"] = batch["target_sources"].reshape(-1)[index]
    if "loss_weights" in batch:
        made |= {"target_weights": batch["loss_weights"].reshape(-1)[index], "count": int(batch["maskable"].sum())}
    return made


class MaskedObjective:
    """Losses at the targets of a masked batch, the vocabulary computed only there where the model allows it.

    Args:
        model: not wrapped.
        chunked: make the logits of a few targets at a time, where the head of the model is one that can (`LinearHead`).
        early: choose the targets inside the last layer, where the model allows it (`PositionSelector`).
    """

    name = "masked"

    def __init__(self, model: nn.Module, chunked: bool = True, early: bool = True) -> None:
        self.selector = PositionSelector(model, early=early)
        self.head = LinearHead.of(self.selector) if chunked else None

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """See `to_targets`; runs on the host before the batch goes to the device."""
        return to_targets(batch)

    def count(self, batch: dict[str, Any]) -> int:
        """What the summed loss of a step is divided by: the targets, or under loss weights the maskable tokens."""
        return int(batch.get("count", len(batch["target_ids"])))

    def __call__(self, inputs: dict[str, Any], forward: Callable[..., Any] | None = None) -> TargetLosses:
        """The losses of one prepared micro-batch.

        Args:
            inputs: model inputs plus `target_index` and `target_ids`, on the model's device.
            forward: the model wrapped for distributed training, where it is.
        """
        inputs = dict(inputs)
        index, target_ids = inputs.pop("target_index"), inputs.pop("target_ids")
        weights = inputs.pop("target_weights", None)
        inputs.pop("count", None)
        inputs.pop("target_sources", None)
        return target_losses(self.selector, self.head, inputs, index, target_ids, weights, forward)


def target_losses(
    selector: PositionSelector,
    head: LinearHead | None,
    inputs: dict[str, Any],
    index: Tensor,
    target_ids: Tensor,
    weights: Tensor | None = None,
    forward: Callable[..., Any] | None = None,
) -> TargetLosses:
    """The losses at N positions `index` (row * L + position), in chunks where `head` is given."""
    count = len(target_ids)
    if head is not None and count > 0:
        summed, losses, guessed = head.losses(inputs, index, target_ids, weights, forward)
        return SummedLosses(losses, target_ids, None, weights, summed=summed, guessed=guessed)
    filled = F.pad(index, (0, rounded(count) - count))  # position 0 again: computed, and left out of the loss
    logits = selector.logits(inputs, filled, forward)[:count]
    return TargetLosses(F.cross_entropy(logits.float(), target_ids, reduction="none"), target_ids, logits, weights)
