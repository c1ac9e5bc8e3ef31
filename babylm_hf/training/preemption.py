"""Stopping in good order: a signal to end saves a complete checkpoint at the next step boundary.

Schedulers send SIGTERM some time before they kill; a person sends SIGINT. Both let the step under way end, save, and
leave with exit status 75, which a job script may take as "put me in the queue again". A second one ends at once.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from .callbacks import BabyLMCallback

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class PreemptionCallback(BabyLMCallback):
    """Turns SIGTERM and SIGINT into a checkpoint and a clean end, on all processes at the same step.

    The processes of a run hear the signal at different times, or only one of them does; they tell each other with the
    count of targets that they exchange before each step (`BabyLMTrainer.get_batch_samples`).
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous: dict[int, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Listen, where Python allows it: in the main thread."""
        self.asked = False
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._hear) for number in SIGNALS}

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.asked = True
        logger.warning(
            "%s: the run ends after this step, with a checkpoint; a second one ends it now", signal.Signals(number).name
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Save and stop, unless the run is over anyway."""
        if self.trainer.stop_asked and state.global_step < state.max_steps:
            self.trainer.preempted = True
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop listening."""
        self.release()

    def release(self) -> None:
        """Give the signals back to whom they belonged; also where training ended with an error."""
        for number, previous in self._previous.items():
            signal.signal(number, previous if previous is not None else signal.SIG_DFL)
        self._previous = {}
