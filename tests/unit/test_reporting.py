"""A run with `--report_to` hands its metrics to the integrations of the stock Trainer: numbers, with their steps."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from tiny import tiny_stream, tiny_tokenizer, tiny_trainer
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from babylm_hf.masking import DataCollatorForGuidedMasking
from babylm_hf.training.reporting import scalars

STEPS = 6
EVERY_LINE = {"loss", "grad_norm", "learning_rate", "targets", "mask_rate", "mask_rate_realised", "mask_clipped"}
EVERY_LINE |= {"pass", "words", "memory_gb", "epoch"}
ADAPTIVE = {f"policy/{name}" for name in ("updates", "mean", "min", "max")}


class FakeReporter(TrainerCallback):
    """Keeps what it is given, as the stock integrations get it."""

    def __init__(self):
        self.lines = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.lines.append((state.global_step, dict(logs)))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return tiny_stream(tmp_path_factory.mktemp("rows"), words=1500)


def measured(model, tokenizer, milestone):
    return {"pairs": 4, "accuracy": 0.75, "paradigms": {"filler gap": 0.5}, "about": {"data": "four pairs"}}


def trained(folder, rows, reporter, **options):
    defaults = {"max_steps": STEPS, "milestones": "500", "milestone_tasks": {"four": measured}, "logging_steps": 2}
    trainer = tiny_trainer(folder, rows, report_to=reporter, eval_dataset=rows, **{**defaults, **options})
    trainer.train()
    trainer.finish()
    return trainer


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "fake", FakeReporter)


def reporter_of(trainer, kind=FakeReporter):
    return next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, kind))


def test_a_reporter_gets_numbers_under_the_names_of_the_page(fake, tmp_path, rows):
    trainer = trained(tmp_path, rows, "fake")
    lines = reporter_of(trainer).lines
    for _, logs in lines:
        assert all(type(value) in (int, float) and np.isfinite(value) for value in logs.values()), logs
    training = {step: logs for step, logs in lines if "loss" in logs}
    assert sorted(training) == [2, 4, 6]
    for step, logs in training.items():
        assert logs.keys() >= EVERY_LINE | ADAPTIVE
        assert logs["words"] == trainer.plan.words_after[step - 1]
        assert logs["pass"] == trainer.plan.step(step - 1).pass_index
        assert logs["mask_rate"] == trainer.mask_rate(step - 1)
        assert logs["policy/updates"] == step / 2
        assert logs["policy/min"] < logs["policy/mean"] < logs["policy/max"]
    assert training[6]["words_per_second"] > 0
    assert training[6]["policy/mean"] == pytest.approx(trainer.policy.summary()["mean"])


def test_targets_are_counted_and_give_the_rate_that_was_realised(fake, tmp_path, rows):
    def lines(folder, every):
        trainer = trained(tmp_path / folder, rows, "fake", logging_steps=every)
        return [logs for _, logs in reporter_of(trainer).lines if "loss" in logs]

    each, whole = lines("1", 1), lines("6", STEPS)
    assert len(each) == STEPS
    assert sum(logs["targets"] for logs in each) == whole[0]["targets"]
    maskable = [logs["targets"] / logs["mask_rate_realised"] for logs in each]
    assert whole[0]["mask_rate_realised"] == pytest.approx(whole[0]["targets"] / sum(maskable))
    assert all(abs(logs["mask_rate_realised"] - logs["mask_rate"]) < 0.05 for logs in each)


def test_held_out_text_and_tasks_are_reported_at_milestones_and_at_the_end(fake, tmp_path, rows):
    trainer = trained(tmp_path, rows, "fake")
    lines = reporter_of(trainer).lines
    milestone = trainer.plan.milestones[0]
    tasks = {step: logs for step, logs in lines if "eval_four/accuracy" in logs}
    assert set(tasks) == {0, milestone.step, STEPS}
    for step, logs in tasks.items():
        assert logs["eval_four/accuracy"] == 0.75
        assert logs["eval_four/paradigms/filler_gap"] == 0.5
        assert logs["words"] == (trainer.plan.words_after[step - 1] if step else 0)
    assert {step for step, logs in lines if "eval_loss" in logs} == {0, milestone.step, STEPS}


def test_a_guided_policy_reports_where_its_targets_come_from(fake, tmp_path, rows):
    collator = DataCollatorForGuidedMasking(tiny_tokenizer(), mlm_probability=0.3, warmup=0.2, mask_update_steps=2)
    trainer = trained(tmp_path, rows, "fake", collator=collator, logging_steps=1)
    names = {name for _, logs in reporter_of(trainer).lines for name in logs if name.startswith("policy/")}
    assert {"policy/updates", "policy/mean", "policy/weighed"} <= names
    assert any(name.startswith("policy/sources/") for name in names)
    assert any(name.startswith("policy/accuracy_by_source/") and name.endswith("/accuracy") for name in names)


def test_tensorboard_draws_all_of_it(tmp_path, rows, monkeypatch, caplog):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    trained(tmp_path, rows, "tensorboard")
    assert "Trainer is attempting to log a value" not in caplog.text
    board = events.EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    assert {f"train/{name}" for name in EVERY_LINE | ADAPTIVE} <= set(board.Tags()["scalars"])
    assert "eval/four/accuracy" in board.Tags()["scalars"]
    assert [event.step for event in board.Scalars("train/targets")] == [2, 4, 6]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_stock_callbacks_of_wandb_and_trackio_pass_it_on(name, tmp_path, rows, monkeypatch):
    logged = []
    module = types.ModuleType(name)
    module.__version__ = "0.21.1"
    quiet = types.SimpleNamespace(_label=lambda **_: None, id="1", name="run", summary={}, config={})
    module.init = lambda **_: None
    module.run, module.config, module.finish = quiet, Config(), lambda: None
    module.log, module.define_metric = logged.append, lambda *_, **__: None
    module.watch = lambda *_, **__: None
    module.context_vars = types.SimpleNamespace(current_space_id=types.SimpleNamespace(get=lambda: None))
    monkeypatch.setitem(sys.modules, name, module)
    for part in ("wandb.sdk", "wandb.sdk.lib", "wandb.sdk.lib.config_util"):
        monkeypatch.setitem(sys.modules, part, types.SimpleNamespace(ConfigError=ValueError))
    monkeypatch.setattr(integration_utils, f"is_{name}_available", lambda: True)
    monkeypatch.setenv("WANDB_WATCH", "false")
    trained(tmp_path, rows, name)
    training = {line["train/global_step"]: line for line in logged if "train/loss" in line}
    assert sorted(training) == [2, 4, 6]
    for line in training.values():
        assert {f"train/{name}" for name in EVERY_LINE | ADAPTIVE} <= line.keys()
        assert all(type(value) in (int, float) for value in line.values())


class Config(dict):
    """As wandb's, which takes options."""

    def update(self, values, **_):
        super().update(values)


def test_only_finite_numbers_pass():
    facts = {"a": 1, "b": {"1,000-9,999": 2.5, "of a word": np.float32(0.5)}, "c": [1], "d": None, "e": "x", "f": True}
    facts |= {"g": float("nan")}
    assert scalars(facts, "p") == {"p/a": 1.0, "p/b/1000-9999": 2.5, "p/b/of_a_word": 0.5}
