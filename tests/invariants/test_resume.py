"""A run that is stopped and resumed ends bit for bit where the uninterrupted one ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stops import StopAfter
from tiny import tiny_stream, tiny_trainer

from babylm_hf.errors import ResumeError

STEPS = 9


def _run(folder, rows, resume=None, callbacks=(), **options):
    trainer = tiny_trainer(
        folder,
        rows,
        dropout=0.1,
        max_steps=STEPS,
        save_strategy="steps",
        save_steps=1000,
        callbacks=list(callbacks),
        **options,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def _losses(trainer):
    return {line["step"]: line["loss"] for line in trainer.state.log_history if "loss" in line}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    rows = tiny_stream(folder, words=1500)
    return rows, _run(folder, rows)


@pytest.mark.parametrize("step", [1, 2, 5, 8])
def test_resume_at_any_step_is_bit_equal(tmp_path, uninterrupted, step):
    rows, whole = uninterrupted
    _run(tmp_path, rows, callbacks=[StopAfter(step)])
    torch.rand(step)  # whatever else drew random numbers in between does not matter
    resumed = _run(tmp_path, rows, resume="auto")
    assert resumed.state.global_step == STEPS
    assert _losses(resumed) == _losses(whole)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert whole.policy.state().keys() == resumed.policy.state().keys()
    for name, value in whole.policy.state().items():
        assert np.array_equal(value, resumed.policy.state()[name]), name
    for name, value in whole.statistics.numpy().items():
        assert np.array_equal(value, resumed.statistics.numpy()[name]), name


def test_workers_and_accumulation_may_change_on_resume(tmp_path, uninterrupted):
    rows, whole = uninterrupted
    _run(tmp_path, rows, callbacks=[StopAfter(4)])
    resumed = _run(tmp_path, rows, resume="auto", dataloader_num_workers=2)
    assert _losses(resumed) == _losses(whole)


def test_the_stop_step_itself_was_not_repeated(tmp_path, uninterrupted):
    rows, _ = uninterrupted
    _run(tmp_path, rows, callbacks=[StopAfter(3)])
    resumed = _run(tmp_path, rows, resume="auto")
    steps = [line["step"] for line in resumed.state.log_history if "loss" in line]
    assert steps == list(range(1, STEPS + 1))


def test_a_run_with_muon_resumes_bit_for_bit(tmp_path, uninterrupted):
    rows, adamw = uninterrupted
    whole = _run(tmp_path / "whole", rows, muon=True)
    _run(tmp_path / "cut", rows, callbacks=[StopAfter(4)], muon=True)
    with pytest.raises(ResumeError, match=r"differs in muon_momentum \(was '0.95', is '0.9'\)\."):
        _run(tmp_path / "cut", rows, resume="auto", muon=True, muon_momentum=0.9)
    resumed = _run(tmp_path / "cut", rows, resume="auto", muon=True)
    assert _losses(resumed) == _losses(whole) != _losses(adamw)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
