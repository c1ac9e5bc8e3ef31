"""The objective of masked diffusion: cross-entropies at the masked tokens, weighed by the noise schedule.

With m_b the mask rate drawn for row b, W_b = |dm/dt|^gamma / m_b its weight and N the number of maskable tokens in the
whole optimizer step (Kosmopoulou et al. 2025, arXiv 2509.05056; MDLM and LLaDA have gamma = 1), the loss of a step is

    1/N  sum_b  W_b  sum_{l masked}  -log p(x_l | masked row b, m_b)

For gamma = 1 its expectation is the negative evidence lower bound (NELBO) in nats per token, whatever the schedule.
Schedules, weights and masks come with the batch (`DataCollatorForDiffusionMasking`); with frequency-informed masking
and `weighting="token"` every token has a weight of its own. N is a count over all micro-batches and processes, so the
loss does not depend on how a step is cut. The published code takes the mean over micro-batches of sums divided by their
tokens: of two with 20 over 10 and 30 over 30 tokens it makes 1.5, and not 50 / 40 = 1.25.

That the mask token has no probability ("SUBS" in MDLM) is a matter of the model: `suppress_mask` in its
configuration, so that training, likelihood and generation agree on it.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from ..masking.collator import EVALUATION_RATE
from ..masking.rows import MASK_RATE
from .masked import MaskedObjective, to_targets


class DiffusionObjective(MaskedObjective):
    """As `MaskedObjective`, for a model that is told the mask rate of its rows."""

    name = "diffusion"

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """See `to_targets`; `mask_rate` float32 `[n]` stays with the model inputs.

        A batch that comes without one is of the held-out evaluation, whose masks have one rate.
        """
        rate = batch.get(MASK_RATE)
        if rate is None:
            rate = torch.full((len(batch["labels"]),), EVALUATION_RATE)
        return {**to_targets(batch), MASK_RATE: rate}


def takes_mask_rate(model: nn.Module) -> bool:
    """Whether the model's forward can be told the mask rate of each row."""
    return MASK_RATE in inspect.signature(model.forward).parameters
