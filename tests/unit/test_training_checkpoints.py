"""Checkpoints: sidecars, the newest complete one, foreign runs, whole folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import tiny_causal_model, tiny_causal_tokenizer, tiny_model, tiny_tokenizer

from babylm_hf.errors import ResumeError, RunFolderError
from babylm_hf.models import PRESETS, build_model
from babylm_hf.training import checkpoints
from babylm_hf.training.integrity import write_checksums


def _complete(folder, step):
    path = folder / f"checkpoint-{step}"
    checkpoints.write_sidecars(path, {"policy.weights": np.arange(3, dtype=np.float32)}, {"step": step})
    for name in ("trainer_state.json", "optimizer.pt", "scheduler.pt"):
        (path / name).write_text("{}")
    write_checksums(path)
    return path


def test_sidecars_come_back_as_they_were(tmp_path):
    checkpoints.write_sidecars(tmp_path, {"a": np.array([1, 2]), "b": np.array(0.5)}, {"step": 3})
    arrays, facts = checkpoints.read_sidecars(tmp_path)
    assert facts == {"step": 3}
    assert arrays["a"].tolist() == [1, 2]
    assert float(arrays["b"]) == 0.5


def test_the_newest_complete_checkpoint_is_found_by_number_not_by_name(tmp_path):
    for step in (9, 10, 100):
        _complete(tmp_path, step)
    (tmp_path / "checkpoint-100" / "optimizer.pt").unlink()
    (tmp_path / "checkpoint-notes").mkdir()
    assert checkpoints.newest_checkpoint(tmp_path).name == "checkpoint-10"
    assert checkpoints.newest_checkpoint(tmp_path / "absent") is None


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"{"])
def test_a_damaged_sidecar_is_an_error_that_names_the_checkpoint(tmp_path, damage):
    path = _complete(tmp_path, 4)
    (path / checkpoints.STATE_ARRAYS).write_bytes(damage)
    with pytest.raises(ResumeError, match="checkpoint-4"):
        checkpoints.read_sidecars(path)


@pytest.mark.parametrize("trace", ["record/run.json", "checkpoint-5/x", "chck_1M/x"])
def test_a_folder_that_holds_a_run_is_refused(tmp_path, trace):
    (tmp_path / trace).parent.mkdir(parents=True)
    (tmp_path / trace).write_text("{}")
    with pytest.raises(RunFolderError, match="already holds a run"):
        checkpoints.resolve_resume(tmp_path, None)


def test_auto_in_an_empty_folder_starts_anew(tmp_path):
    assert checkpoints.resolve_resume(tmp_path, "auto") is None
    assert checkpoints.resolve_resume(tmp_path / "absent", None) is None


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="not a folder"):
        checkpoints.resolve_resume(tmp_path, str(tmp_path / "absent"))


def test_the_difference_between_two_runs_is_named(tmp_path):
    saved = json.loads(json.dumps({"seed": 0, "data": "a", "stages": [(0, 64)]}))
    checkpoints.check_identity(saved, {"seed": 0, "data": "a", "stages": [(0, 64)]}, tmp_path)
    with pytest.raises(ResumeError, match=r"seed \(was 0, is 1\)"):
        checkpoints.check_identity(saved, {"seed": 1, "data": "a", "stages": [(0, 64)]}, tmp_path)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_is_the_same_after_it_was_saved(preset, tmp_path):
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "num_hidden_layers": 1}
    causal = {"objective": "causal"} if "llama" in preset else {}
    model = build_model(preset, tiny_causal_tokenizer() if causal else tiny_tokenizer(), **sizes, **causal)
    model.save_pretrained(tmp_path)
    saved = checkpoints.model_facts(type(model.config).from_pretrained(tmp_path))
    assert saved == checkpoints.model_facts(model.config)
    assert saved["model num_hidden_layers"] == 1


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "deberta", "llama", "gpt2", "gemma2"])
def test_so_is_that_of_any_model(architecture, tmp_path):
    make = tiny_causal_model if architecture in ("llama", "gpt2", "gemma2") else tiny_model
    model = make(architecture)
    model.save_pretrained(tmp_path)
    saved = checkpoints.model_facts(type(model.config).from_pretrained(tmp_path))
    assert saved == checkpoints.model_facts(model.config)


def test_a_folder_takes_its_name_only_when_whole(tmp_path):
    folder = tmp_path / "chck_1M"
    with checkpoints.written_whole(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("1")
        assert not folder.exists()
    assert (folder / "new").read_text() == "1"

    def interrupted():
        with checkpoints.written_whole(folder) as temporary:
            temporary.mkdir()
            (temporary / "new").write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (folder / "new").read_text() == "1"
    with checkpoints.written_whole(folder) as temporary:
        temporary.mkdir()
        (temporary / "newer").write_text("3")
    assert sorted(path.name for path in folder.iterdir()) == ["babylm_files.json", "newer"]
    assert [path.name for path in tmp_path.iterdir()] == ["chck_1M"]
