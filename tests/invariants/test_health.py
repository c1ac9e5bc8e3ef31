"""A run that meets numbers that are not finite, or is told to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys

import pytest
import torch
from stops import Poison
from tiny import tiny_stream, tiny_trainer
from transformers import TrainerCallback

from babylm_hf.errors import RunFolderError, TrainingError
from babylm_hf.training.health import DivergenceWatch, HealthMonitor

STEPS = 6


class Signal(TrainerCallback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, number, step):
        self.number, self.step = number, step

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), self.number)


def trainer(folder, callbacks, **options):
    rows = tiny_stream(folder, words=1500)
    options = {"save_strategy": "steps", "save_steps": 1000, "max_steps": STEPS, **options}
    return tiny_trainer(folder, rows, callbacks=callbacks, **options)


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_is_used(tmp_path):
    run = trainer(tmp_path, [Poison(2)])
    with pytest.raises(TrainingError, match=r"step 3: rows .* have a loss that is not finite"):
        run.train()
    poisoned = [name for name, p in run.model.named_parameters() if not torch.isfinite(p).all()]
    assert len(poisoned) == 1, "only the weight that was made so; no update spread it"
    report = json.loads((tmp_path / "run" / "record" / "nonfinite-step-3.json").read_text())
    planned = {int(row) for row in run.plan.step(2).rows}
    assert report["step"] == 3
    assert set(report["rows"]) == planned
    assert set(report["rows_not_finite"]) <= planned
    assert report["rows_not_finite"]


def test_or_the_step_is_left_out(tmp_path, caplog):
    run = trainer(tmp_path, [Poison(2)], nonfinite="skip")
    with caplog.at_level(logging.WARNING):
        run.train()
    assert run.health.skipped == 1
    assert "step 3: rows" in caplog.text
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    assert run.state.global_step == STEPS
    assert run.state.log_history[-2]["skipped_steps"] == 1


def test_put_off_the_check_still_comes_before_a_save(tmp_path):
    monitor = HealthMonitor("stop", tmp_path, deferred=True)
    monitor.begin_step([])
    monitor.check(0, torch.tensor(1.0), torch.nn.Linear(1, 1))
    monitor.check(1, torch.tensor(float("inf")), torch.nn.Linear(1, 1))
    with pytest.raises(TrainingError, match="step 2: the losses are finite, but the gradients are not finite"):
        monitor.flush()
    monitor.flush()  # said once


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_and_the_run_goes_on_from_it(tmp_path, number):
    whole = trainer(tmp_path / "whole", [])
    whole.train()
    before = signal.getsignal(number)
    stopped = trainer(tmp_path / "stopped", [Signal(number, 2)])
    stopped.train()
    assert stopped.preempted
    assert stopped.state.global_step == 4, "the step under way ends, and the next, whose rows were taken by then"
    assert signal.getsignal(number) == before
    note = tmp_path / "stopped" / "run" / "record" / "preempted"
    assert note.is_file()
    resumed = trainer(tmp_path / "stopped", [])
    resumed.train(resume_from_checkpoint="auto")
    assert not resumed.preempted
    assert not note.exists()
    assert resumed.state.global_step == STEPS
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_a_run_without_room_does_not_start(tmp_path, monkeypatch):
    run = trainer(tmp_path, [])
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    with pytest.raises(RunFolderError, match=r"the run needs about .* MB, and 1\.0 KB are free"):
        run.train()
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_disk_that_fills_up_stops_the_run_with_all_before_it_whole(tmp_path, monkeypatch):
    run = trainer(tmp_path, [], save_steps=2)
    from babylm_hf.training import watched

    seen = []

    def require(folder, needed, what):
        seen.append(what)
        if seen.count("a checkpoint") == 2:
            raise RunFolderError("no room")

    monkeypatch.setattr(watched, "require_space", require)
    with pytest.raises(RunFolderError, match="no room"):
        run.train()
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = trainer(tmp_path, [], save_steps=1000)
    monkeypatch.undo()
    resumed.train(resume_from_checkpoint="auto")
    assert resumed.state.global_step == STEPS


def test_a_loss_that_climbs_is_said_once(caplog):
    watch = DivergenceWatch(margin=1.0, patience=3)
    with caplog.at_level(logging.WARNING):
        for step, loss in enumerate([5, 3, 4.5, 3.5, 4.1, 4.2, 4.3, 5, 6, 7]):
            watch.saw(step, loss)
    assert caplog.text.count("seems to diverge") == 1
    assert "step 6: the training loss is 4.30, 1.30 above its lowest" in caplog.text


def test_logs_tell_speed_and_memory(tmp_path):
    run = trainer(tmp_path, [])
    run.train()
    lines = [line for line in run.state.log_history if "loss" in line]
    assert all(line["memory_gb"] > 0.05 for line in lines)
    assert all(line["words_per_second"] > 0 for line in lines[1:])
