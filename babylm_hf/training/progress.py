"""What a run shows while it trains: a bar on a terminal, a line now and then in a log file; milestones in both."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm
from transformers import TrainerControl, TrainerState, TrainingArguments

from .callbacks import BabyLMCallback

if TYPE_CHECKING:
    from .trainer import BabyLMTrainer

SECONDS_BETWEEN_LINES = 30.0
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} words [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class WordsProgressCallback(BabyLMCallback):
    """Words seen, words per second, loss and time left, on standard error of the main process.

    Args:
        bar: draw a bar; otherwise print a line every half minute, as suits a log file.
    """

    def __init__(self, bar: bool = True) -> None:
        self.wants_bar = bar
        self.bar: Any = None
        self.active = False
        self.begun = (0.0, 0)  # when, and at how many words
        self.last = 0.0
        self.measured: dict[str, Mapping[str, Any]] = {}
        self.where: tuple[int, str | None] = (0, None)  # words and milestone of what was measured

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say what is about to happen, and open the bar at the words a resumed run stands at."""
        self.active = state.is_world_process_zero
        if not self.active:
            return
        words, self.last = self.trainer.words_seen, time.monotonic()
        self.begun = (self.last, words)
        self._say(opening(self.trainer))
        if self.wants_bar:
            total = self.trainer.plan.total_words
            self.bar = tqdm(
                total=total, initial=words, unit=" words", unit_scale=True, bar_format=_BAR, dynamic_ncols=True
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar a few times a second at most."""
        self._say_measured()
        if self.bar is not None and (now := time.monotonic()) - self.last > 0.25:
            self.last = now
            self.bar.update(self.trainer.words_seen - self.bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """The newest training loss stands behind the bar, or makes a line if the last one is old enough."""
        if not self.active or "loss" not in (logs or {}):
            return
        assert logs is not None
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {logs['loss']:.3f}", refresh=False)
        elif not self.wants_bar and (now := time.monotonic()) - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            self._say(self._line(logs["loss"], state))

    def on_fact(self, kind: str, facts: dict[str, Any]) -> None:
        """Measurements at one point of the run are shown together, on one line."""
        if not self.active:
            return
        if kind == "evaluation":
            if (where := (facts["words"], facts.get("milestone"))) != self.where:
                self._say_measured()
            self.where = where
            self.measured[facts["task"]] = facts["metrics"]
        elif kind == "milestone":
            self._say_measured()

    def on_model_ready(self, folder: Path, milestone: str | None) -> None:
        """The final model is the last thing a run says, and where it lies."""
        if self.active and milestone is None:
            found = headline(self.measured)
            self.measured = {}
            self._say(f"Done: {self.trainer.words_seen:,} words{'; ' + found if found else ''}")
            self._say(f"Model and card: {folder}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        self._say_measured()
        if self.bar is not None:
            self.bar.update(self.trainer.words_seen - self.bar.n)
            self.bar.close()
            self.bar = None

    def _line(self, loss: float, state: TrainerState) -> str:
        """The state of the run for a log file."""
        words, total = self.trainer.words_seen, self.trainer.plan.total_words
        since, at = self.begun
        speed = (words - at) / max(self.last - since, 1e-9)
        left = f", {duration((total - words) / speed)} left" if speed > 0 else ""
        done = f"{words:>11,} words  {words / max(total, 1):4.0%}  step {state.global_step:,} of {state.max_steps:,}"
        return f"{done}  loss {loss:.3f}  {speed:,.0f} words/s{left}"

    def _say_measured(self) -> None:
        """One line for what was measured at a milestone, or between two; nothing where nothing was."""
        if self.measured:
            words, name = self.where
            self._say(f"{words:>11,} words  {f'{name}  ' if name else ''}{headline(self.measured)}")
        self.measured = {}

    def _say(self, line: str) -> None:
        """A line above the bar, or just a line."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)


def opening(trainer: BabyLMTrainer) -> str:
    """What the run is, in one line."""
    plan, model = trainer.plan, trainer.model
    size = sum(parameter.numel() for parameter in model.parameters())
    shown = f"{size / 1e6:.1f} M" if size >= 1e6 else f"{size / 1e3:.0f} k"
    done = trainer.state.global_step
    more = f", going on at step {done:,}" if done else ""
    return f"{shown} parameters, {plan.total_words:,} words in {plan.total_steps:,} steps{more}"


def headline(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Loss and accuracy of every task measured, in one line."""
    parts = []
    for task, metrics in measured.items():
        if task == "held_out":
            loss = next((v for k, v in metrics.items() if k.endswith("_loss")), None)
            parts.append(f"held-out loss {loss:.3f}" if loss is not None else "")
            nelbo = next((v for k, v in metrics.items() if k.endswith("_nelbo")), None)
            parts.append(f"NELBO {nelbo:.3f}" if nelbo is not None else "")
        elif isinstance(value := metrics.get("accuracy"), float):
            parts.append(f"{task} {value:.1%}")
    return "  ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as a clock shows them: `1:02:03`, `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
