"""The processes of a run find together and agree; what they hear from each other is given to them here."""

from __future__ import annotations

import contextlib
import json
import socket
from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_stream, tiny_trainer
from transformers import TrainingArguments

from babylm_hf.errors import OptionError, ResumeError
from babylm_hf.training import checkpoints, together
from babylm_hf.training.integrity import write_checksums

HERE = socket.gethostname()


@pytest.fixture
def others(monkeypatch):
    """Called with what the second process tells in each exchange; the first is this one."""

    def tell(*answers):
        said = iter(answers)
        monkeypatch.setattr(together, "gather_object", lambda mine: [*mine, (next(said), "elsewhere")])

    return tell


@pytest.fixture
def launched(monkeypatch):
    def launch(processes):
        for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": processes}.items():
            monkeypatch.setenv(name, str(value))

    return launch


def checkpoint(folder, step, weights=b"weights"):
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    (made / "model.safetensors").write_bytes(weights)
    write_checksums(made)
    return made


def test_all_go_on_from_the_newest_checkpoint_that_all_have(tmp_path, others):
    kept = [checkpoint(tmp_path, step) for step in (5, 10, 15)]
    others(15)
    assert together.agree_on_checkpoint(tmp_path, kept[2], 2) == kept[2]
    others(10, 10)
    assert together.agree_on_checkpoint(tmp_path, kept[2], 2) == kept[1]
    others(12, 10, 10)  # the second's 12 is another run's leftover; it then finds its own 10
    assert together.agree_on_checkpoint(tmp_path, kept[2], 2) == kept[1]
    others(-1)
    assert together.agree_on_checkpoint(tmp_path, None, 2) is None
    assert together.agree_on_checkpoint(tmp_path, kept[2], 1) == kept[2]


def test_a_machine_without_the_checkpoint_is_named(tmp_path, others):
    kept = checkpoint(tmp_path, 5)
    others(-1)
    with pytest.raises(ResumeError, match=r"process 1 on elsewhere sees no checkp.* one sees checkpoint-5"):
        together.agree_on_checkpoint(tmp_path, kept, 2)
    others(5)
    with pytest.raises(ResumeError, match=rf"process 0 on {HERE} sees no checkpoint .*--save_on_each_node true"):
        together.agree_on_checkpoint(tmp_path, None, 2)


def test_processes_with_different_runs_before_them_are_refused(tmp_path, others):
    mine = {"seed": 0, "plan corpus_fingerprint": "a"}
    others({**mine, "weights of the checkpoint": None})
    together.require_one_run(mine, None, 2)
    others({**mine, "plan corpus_fingerprint": "b", "weights of the checkpoint": None})
    with pytest.raises(OptionError, match=r"process 1 on elsewhere has another .*corpus_fingerprint \(was 'a', is 'b'"):
        together.require_one_run(mine, None, 2)
    others({**mine, "weights of the checkpoint": "0" * 64})
    with pytest.raises(OptionError, match="weights of the checkpoint"):
        together.require_one_run(mine, checkpoint(tmp_path, 5), 2)


def test_processes_on_cpu_find_together_with_the_time_that_was_set(monkeypatch, launched):
    calls = []
    monkeypatch.setattr(together.dist, "is_initialized", lambda: False)
    monkeypatch.setattr(together.dist, "init_process_group", lambda *a, **o: calls.append((*a, o["timeout"].seconds)))
    monkeypatch.setattr(together.torch.accelerator, "is_available", lambda: False)
    args = SimpleNamespace(use_cpu=False, ddp_backend=None, ddp_timeout=20)
    together.join_on_cpu(args)
    assert not calls
    assert not args.use_cpu
    launched(2)
    together.join_on_cpu(args)
    assert calls == [("gloo", 20)]
    assert args.use_cpu, "else accelerate leaves every process alone"


def test_processes_that_did_not_find_together_are_refused(launched):
    together.check_joined(SimpleNamespace(world_size=1))
    together.check_joined(SimpleNamespace(world_size=2))  # started by mpirun, say
    launched(2)
    together.check_joined(SimpleNamespace(world_size=2))
    with pytest.raises(OptionError, match="2 processes were started, but accelerate sees 1"):
        together.check_joined(SimpleNamespace(world_size=1))


def test_first_the_main_process_then_one_of_every_machine_then_the_rest():
    order = []

    @contextlib.contextmanager
    def main_process_first(local, desc):
        order.append(("in", local))
        yield
        order.append(("out", local))

    with together.once_a_machine(SimpleNamespace(main_process_first=main_process_first), "tokenising"):
        order.append("work")
    assert order == [("in", False), ("in", True), "work", ("out", True), ("out", False)]


@pytest.mark.parametrize("writes", [True, False])
def test_a_process_writes_a_model_if_its_machine_keeps_one(tmp_path, monkeypatch, writes):
    # Stock models write in the first process of all, whatever the arguments say.
    trainer = tiny_trainer(tmp_path, tiny_stream(tmp_path, words=500))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda *_: 1)
    monkeypatch.setattr(TrainingArguments, "should_save", writes)
    trainer._save(str(tmp_path / "model"))
    found = {path.name for path in (tmp_path / "model").glob("*")}
    assert found >= {"model.safetensors", "config.json", "tokenizer.json"} if writes else not found
    if writes:
        assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == "bert"


def test_a_checkpoint_of_deepspeed_goes_on_only_where_that_is_safe_and_works(tmp_path):
    rows = tiny_stream(tmp_path, words=500)

    def trainer(deepspeed):
        made = tiny_trainer(tmp_path, rows, max_steps=4, save_strategy="steps", save_steps=2, save_total_limit=1)
        made.is_deepspeed_enabled = deepspeed
        return made

    trainer(False).train()
    with pytest.raises(ResumeError, match=r"differs in deepspeed \(was None, is True\)"):
        trainer(True).train(resume_from_checkpoint="auto")
    kept = tmp_path / "run" / "checkpoint-4"
    _, facts = checkpoints.read_sidecars(kept)
    checkpoints.check_for_deepspeed(facts, kept, 1)
    with pytest.raises(ResumeError, match="by DeepSpeed with 1 processes and goes on only with as many, not with 2"):
        checkpoints.check_for_deepspeed(facts, kept, 2)
    with pytest.raises(ResumeError, match="another machine or by another user, and DeepSpeed would unpickle it"):
        checkpoints.check_for_deepspeed({**facts, "machine": "another"}, kept, 1)
