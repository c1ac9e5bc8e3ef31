"""Callbacks that end or spoil a training at a step."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState


class StopAfter(TrainerCallback):
    """Ends training at a step, by default with a checkpoint, as a preempted job does; the plan stays what it was."""

    def __init__(self, step: int, save: bool = True) -> None:
        self.step, self.save = step, save

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step == self.step:
            control.should_training_stop = True
            control.should_save |= self.save


class Poison(TrainerCallback):
    """Makes one weight, and so the losses of a step, or a gradient not finite; the weight is put right afterwards."""

    def __init__(self, step: int, gradient: bool = False) -> None:
        self.step, self.gradient = step, gradient
        self.kept: Any = None

    def on_step_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        bias = next(p for name, p in model.named_parameters() if "bias" in name)
        if self.kept is not None:
            bias.data[0] = self.kept
            self.kept = None
        if state.global_step == self.step and self.gradient:
            handle = bias.register_hook(lambda gradient: (handle.remove(), gradient * float("inf"))[1])
        elif state.global_step == self.step:
            self.kept = bias.data[0].clone()
            bias.data[0] = float("nan")
