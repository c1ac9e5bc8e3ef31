"""What the trainer asks of a collator, masking or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .padding import Feature
from .policies import Policy
from .statistics import TokenStatistics


class RowCollator(ABC):
    """Turns the rows of the plan into model inputs with labels, in the main process and as they are consumed.

    Called on examples it does the same alone, for a plain `transformers.Trainer`.
    """

    masks = False
    """Whether tokens are hidden: then there is a mask rate to plan, to log and to report."""

    policy: Policy | None = None
    """What learns from the model's predictions, if anything does."""

    pad_id: int
    """Fills short rows."""

    @abstractmethod
    def training_batch(self, batch: Mapping[str, Any], *, pass_index: int, step: int) -> dict[str, Any]:
        """Model inputs with `labels` (-100 where there is no target), from a micro-batch of the planned loader.

        Args:
            batch: `input_ids`, `attention_mask` int64 `[n, L]`, `example_id`, `places` int64 `[n]`, `step_rows`.
            pass_index: 0-based pass through the corpus.
            step: 0-based optimizer step.
        """

    @abstractmethod
    def evaluation_batch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The same for held-out text: a function of the rows alone, equal at every step and in every run."""

    @abstractmethod
    def __call__(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """A padded batch of examples with labels."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The method and its parameters in JSON's types, for the run record and for comparison at a resume."""

    def begin_run(self, total_steps: int) -> None:  # noqa: B027 (not every collator needs to know)
        """Learn how many optimizer steps the run has; raises `OptionError` where the method cannot fill them."""

    def new_statistics(self, device: torch.device | str = "cpu") -> TokenStatistics | None:
        """Empty statistics of the kind that the policy learns from, or None without one."""
        return None
