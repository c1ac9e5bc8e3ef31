"""Faults of numbers."""

from __future__ import annotations

import json

import torch
from faults.stage import STEPS
from transformers import TrainerCallback

from babylm_hf.training.health import DivergenceWatch


class Poison(TrainerCallback):
    """Makes one weight, and so the losses of a step, or a gradient not finite; the weight is put right afterwards."""

    def __init__(self, step, gradient=False):
        self.step, self.gradient = step, gradient
        self.kept = None

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        bias = next(p for name, p in model.named_parameters() if "bias" in name)
        if self.kept is not None:
            bias.data[0] = self.kept
            self.kept = None
        if state.global_step == self.step and self.gradient:
            handle = bias.register_hook(lambda gradient: (handle.remove(), gradient * float("inf"))[1])
        elif state.global_step == self.step:
            self.kept = bias.data[0].clone()
            bias.data[0] = float("nan")


def loss_not_finite(stage):
    try:
        stage.fresh(Poison(2))
    finally:
        report = json.loads((stage.folder / "other" / "record" / "nonfinite-step-3.json").read_text())
        assert report["rows_not_finite"]
        assert set(report["rows_not_finite"]) <= set(report["rows"])


def gradient_not_finite(stage):
    stage.fresh(Poison(2, gradient=True))


def skipped(stage):
    trainer = stage.fresh(Poison(2), nonfinite="skip")
    assert trainer.state.global_step == STEPS
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def climbs(stage):
    watch = DivergenceWatch()
    for step, loss in enumerate([5, 3, 4.5, 4.6, 4.7]):
        watch.saw(step, loss)
