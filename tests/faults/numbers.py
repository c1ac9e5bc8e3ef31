"""Faults of numbers."""

from __future__ import annotations

import json

import torch
from faults.stage import STEPS
from stops import Poison

from babylm_hf.training.health import DivergenceWatch


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
