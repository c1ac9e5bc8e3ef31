"""The run record survives what happens to runs: torn lines, resumes, restarts, numbers that are no numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.errors import RunFolderError
from babylm_hf.publishing import RunRecord


def events(record, kind=None):
    return [{name: value for name, value in event.items() if name != "time"} for event in record.events(kind)]


def test_what_is_written_is_read_again(tmp_path):
    record = RunRecord.create(tmp_path / "record", {"name": "run", "family": "masked"})
    record.append("log", step=1, words=10, loss=np.float32(2.5))
    record.append("evaluation", step=1, task="held_out", metrics={"eval_loss": 3.0}, milestone=None)
    record.update(track="strict")
    again = RunRecord.open(tmp_path / "record")
    assert again.manifest == {"format": 1, "name": "run", "family": "masked", "track": "strict"}
    assert events(again, "log") == [{"kind": "log", "step": 1, "words": 10, "loss": 2.5}]
    assert [event["kind"] for event in again.events()] == ["log", "evaluation"]
    assert not list((tmp_path / "record").glob(".*")), "temporary files are left behind"


def test_values_become_plain_json(tmp_path):
    record = RunRecord.create(tmp_path, {"family": "masked", "folder": Path("/home/someone/runs/x")})
    assert record.manifest["folder"] == "x", "no folder of this machine"
    record.append("log", step=1, loss=float("nan"), norm=np.inf, ids=np.arange(3), pair=(1, np.int64(2)), on={3, 1})
    (event,) = events(record)
    assert event == {
        "kind": "log",
        "step": 1,
        "loss": None,
        "norm": None,
        "ids": [0, 1, 2],
        "pair": [1, 2],
        "on": [1, 3],
    }
    json.loads((tmp_path / "events.jsonl").read_text(), parse_constant=pytest.fail)
    with pytest.raises(TypeError, match="object"):
        record.append("log", thing=object())
    assert len(record.events()) == 1


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_passed_over_and_mended(tmp_path, cut):
    record = RunRecord.create(tmp_path, {})
    record.append("log", step=1, words="wörter")
    record.append("log", step=2, words="wörter")
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    # Without its line break alone the line is still whole.
    whole = [1, 2] if cut == 1 else [1]
    assert [event["step"] for event in record.events()] == whole
    record.append("log", step=3)
    assert [event["step"] for event in RunRecord.open(tmp_path).events()] == [*whole, 3]
    assert path.read_bytes().endswith(b"}\n")


@given(cut=st.integers(0, 400))
def test_any_cut_leaves_a_readable_record(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("record")
    record = RunRecord.create(folder, {})
    for step in range(4):
        record.append("log", step=step, text="ü\n|")
    path = folder / "events.jsonl"
    content = path.read_bytes()[: max(0, path.stat().st_size - cut)]
    path.write_bytes(content)
    kept = [event["step"] for event in record.events()]
    assert kept == list(range(len(kept)))
    record.append("end", step=9)
    assert [event["step"] for event in record.events()] == [*kept, 9]


def test_damage_in_the_middle_is_named(tmp_path):
    record = RunRecord.create(tmp_path, {})
    record.append("log", step=1)
    with open(tmp_path / "events.jsonl", "a") as stream:
        stream.write("not json\n")
    record.append("log", step=2)
    with pytest.raises(RunFolderError, match=r"events\.jsonl, line 2"):
        record.events()


def test_a_resume_supersedes_later_events(tmp_path):
    record = RunRecord.create(tmp_path, {})
    for step in (1, 2, 3, 4):
        record.append("log", step=step, try_=1)
    record.append("milestone", step=4, name="chck_1M")
    record.append("resume", step=2, checkpoint="checkpoint-2")
    for step in (3, 4):
        record.append("log", step=step, try_=2)
    record.append("resume", step=3, checkpoint="checkpoint-3")
    kept = [(event["step"], event.get("try_")) for event in record.events("log")]
    assert kept == [(1, 1), (2, 1), (3, 2)]
    assert record.events("milestone") == []
    assert len(record.history()) == 9, "nothing is ever erased"


def test_a_run_that_starts_again_from_nothing_supersedes_all(tmp_path):
    RunRecord.create(tmp_path, {"seed": 0}).append("log", step=5)
    again = RunRecord.create(tmp_path, {"seed": 1})
    assert [event["kind"] for event in again.events()] == ["resume"]
    assert again.manifest["seed"] == 1


def test_seconds_are_summed_over_sessions(tmp_path):
    record = RunRecord.create(tmp_path, {})
    assert record.seconds() is None
    record.append("log", step=10, seconds=100.0)
    record.append("log", step=20, seconds=200.0)
    record.append("resume", step=10, checkpoint="checkpoint-10")
    record.append("log", step=20, seconds=90.0)
    record.append("end", step=30, seconds=180.0)
    assert record.seconds() == 380.0


def test_a_folder_without_a_usable_record_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="holds no run record"):
        RunRecord.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunRecord.open(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RunFolderError, match="format 1"):
        RunRecord.open(tmp_path)
