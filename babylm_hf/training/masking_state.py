"""Keeps the masking of a run in its record, so that it can be asked what it masks while the run goes on and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import TrainerControl, TrainerState, TrainingArguments

from ..arguments import MaskingArguments
from ..masking import MaskingCollator
from ..masking.saved import save_masking
from .callbacks import BabyLMCallback


class MaskingStateCallback(BabyLMCallback):
    """Saves the masking when training begins, with every checkpoint, and when it ends; only the main process writes.

    Args:
        options: that the trainer's collator was made of.
        token_counts: occurrences of each id in the corpus, `[V]`.
        made_with: `seed`, `num_passes`, `batch_tokens` and `trained` as given to `collator_of`.
    """

    def __init__(self, options: MaskingArguments, token_counts: npt.ArrayLike, **made_with: Any) -> None:
        self.options = options
        self.token_counts = np.asarray(token_counts, np.int64)
        self.made_with = made_with

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The state of the first step, or of the one a run is resumed at."""
        self._save(args, state)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Beside every checkpoint."""
        self._save(args, state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The last state."""
        self._save(args, state)

    def _save(self, args: TrainingArguments, state: TrainerState) -> None:
        collator = self.trainer.data_collator
        if not state.is_world_process_zero or not isinstance(collator, MaskingCollator):
            return
        total = self.trainer.plan.total_steps
        where = {
            "step": state.global_step,
            "pass_index": self.trainer.plan.step(min(state.global_step, total - 1)).pass_index,
            "total_steps": total,
        }
        folder = Path(args.output_dir) / "record"
        save_masking(folder, self.options, collator, self.token_counts, **where, **self.made_with)
