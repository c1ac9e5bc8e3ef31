"""The loss for a plain `transformers.Trainer`, and the statistics it gathers on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from ..errors import OptionError
from .statistics import TokenStatistics

if TYPE_CHECKING:
    from .collator import MaskingCollator


class MaskedLoss:
    """Cross-entropy summed over the targets and divided by those of the whole optimizer step: a `compute_loss_func`.

    The models' own loss is a mean over the micro-batch, which is too large by the number of micro-batches and
    processes.
    """

    def __init__(self, collator: MaskingCollator) -> None:
        self._collator = collator
        self.statistics: TokenStatistics | None = None
        self.shown_ids: torch.Tensor | None = None
        self.weights: torch.Tensor | None = None
        self.used = False

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The loss of a micro-batch.

        Args:
            outputs: of the model, with `logits` `[n, L, V]`.
            labels: int64 `[n, L]`, -100 where there is no target; with loss weights, where a token is not maskable.
            num_items_in_batch: labels of the optimizer step over all micro-batches and processes; default those given
                here.
        """
        self.used = True
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        labelled = labels.reshape(-1).ne(-100)
        weights = None if self.weights is None else self.weights.reshape(-1)
        # A target whose weight is 0 costs nothing, so it need not be told from a token that is none.
        places = (labelled if weights is None else weights.ne(0)).nonzero().squeeze(1)
        count = labelled.sum() if num_items_in_batch is None else num_items_in_batch
        if not len(places):
            # Still part of the graph, so that a process without targets takes part in the gradient exchange.
            return torch.mul(logits.sum(), 0.0)
        targets = labels.reshape(-1)[places]
        chosen = logits.reshape(-1, logits.shape[-1])[places].float()
        losses = functional.cross_entropy(chosen, targets, reduction="none")
        if torch.is_grad_enabled() and self._collator.policy.needs_feedback:
            self._observe(chosen, targets, losses, places)
        if weights is not None:
            losses = losses * weights[places]
        return losses.sum() / count

    def _observe(self, logits: torch.Tensor, targets: torch.Tensor, losses: torch.Tensor, places: torch.Tensor) -> None:
        is_mask = None
        statistics = self.statistics_on(logits.device)
        if statistics.positions == "mask":
            if self.shown_ids is None:
                raise OptionError(
                    "soft masking needs to see what the model was shown: trainer.add_callback(collator.callback())"
                )
            is_mask = self.shown_ids.reshape(-1)[places].eq(self._collator.vocabulary.mask_id)
        statistics.observe(targets, logits.detach().argmax(-1) == targets, losses.detach(), is_mask)

    def statistics_on(self, device: torch.device | str) -> TokenStatistics:
        """The statistics of the run, made on this device when first asked for."""
        if self.statistics is None:
            self.statistics = self._collator.new_statistics(device)
        return self.statistics
