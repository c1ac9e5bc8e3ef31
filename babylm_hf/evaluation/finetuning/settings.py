"""How a model is fine-tuned: the official hyper-parameters, and what of them may be changed at the price of a mark."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ...errors import OptionError
from .tasks import FinetuningTask

Pooling = Literal["auto", "first", "last"]
Selection = Literal["official", "held_out"]

LEARNING_RATE = 3e-5
MAX_LENGTH = 512


@dataclass(frozen=True)
class Settings:
    """What all tasks of a call share. The defaults are the official values.

    Attributes:
        selection: which examples choose the epoch whose predictions are reported. `official`: the validation file,
            which is also what is scored, so that the score is too high by construction. `held_out`: a tenth of the
            training set, which is then not trained on.
        pooling: whose hidden state is classified. `first` token with padding on the right (the official state `p25`),
            `last` token with padding on the left (`p26`); `auto` takes the last of a causal model, whose first token
            has seen nothing, and the first of every other.
        max_train_examples: only so many from the start of the training file, for a quick look; 0 for all.
        learning_rate: its highest value.
        batch_size: examples in an optimizer step; the task's own without it.
        epochs: passes over the training set; the task's own without it.
        max_length: tokens after which a pair of texts is cut.
        weight_decay: of AdamW, on every parameter.
        warmup: share of the steps in which the learning rate rises.
        final_rate: what the cosine ends at, as a share of the highest learning rate.
        dropout: in the head.
        eval_batch_size: examples in a batch of the validation file.
    """

    selection: Selection = "official"
    pooling: Pooling = "auto"
    max_train_examples: int = 0
    learning_rate: float = LEARNING_RATE
    batch_size: int | None = None
    epochs: int | None = None
    max_length: int = MAX_LENGTH
    weight_decay: float = 0.01
    warmup: float = 0.06
    final_rate: float = 0.1
    dropout: float = 0.1
    eval_batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"--{name} {value}: there must be at least 1.")
        if self.max_length < 8:
            raise OptionError(f"--max_length {self.max_length}: two texts and their special tokens need at least 8.")
        if self.max_train_examples < 0:
            raise OptionError(f"--max_train_examples {self.max_train_examples}: pass 0 for all examples.")
        if not 0 < self.learning_rate < 1:
            raise OptionError(f"--learning_rate {self.learning_rate:g}: it must lie between 0 and 1.")

    def for_task(self, task: FinetuningTask) -> Settings:
        """These settings with the task's own batch size and number of epochs where none are given."""
        return dataclasses.replace(
            self, batch_size=self.batch_size or task.batch_size, epochs=self.epochs or task.epochs
        )

    def marks(self) -> list[str]:
        """What a reader of a score must know: everything that makes it incomparable with the official numbers."""
        marks = []
        if self.max_train_examples:
            marks.append(f"quick look: first {self.max_train_examples:,} training examples only")
        if self.selection == "held_out":
            marks.append("epoch chosen on a held-out tenth of the training set")
        changed = {
            "learning rate": (f"{self.learning_rate:g}", self.learning_rate != LEARNING_RATE),
            "batch size": (str(self.batch_size), self.batch_size is not None),
            "epochs": (str(self.epochs), self.epochs is not None),
            "max length": (str(self.max_length), self.max_length != MAX_LENGTH),
        }
        unofficial = [f"{name} {value}" for name, (value, is_changed) in changed.items() if is_changed]
        return [*marks, *([f"not the official {', '.join(unofficial)}"] if unofficial else [])]
