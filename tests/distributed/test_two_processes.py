"""Two processes give the numbers of one, and a run may change its size when it is resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from distributed.launching import by_torchrun, launch, result_of
from tiny import REPOSITORY

SCRIPT = "train_tiny.py"


def _run(folder: Path, processes: int, *options: str) -> dict:
    return result_of(SCRIPT, folder, *options, launcher=by_torchrun(processes))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return folder, _run(folder, 1)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return folder, _run(folder, 2)


def _assert_same(result: dict, expected: dict) -> None:
    for name in ("loss", "grad_norm"):
        assert result[name] == pytest.approx(expected[name], rel=1e-5), name
    assert result["words"] == expected["words"]
    assert result["milestones"] == expected["milestones"] == ["chck_1K", "chck_500"]
    assert result["eval"]["eval_loss"] == pytest.approx(expected["eval"]["eval_loss"], rel=1e-5)
    assert result["eval"]["eval_targets"] == expected["eval"]["eval_targets"]


def test_two_processes_train_as_one(one, two):
    _assert_same(two[1], one[1])


def test_mask_weights_are_equal_on_both_ranks_and_to_the_pooled_update(one, two):
    weights = [np.load(two[0] / f"weights-{rank}.npy") for rank in (0, 1)]
    assert np.array_equal(*weights)
    assert np.ptp(weights[0]) > 0  # the policy did learn
    assert weights[0] == pytest.approx(np.load(one[0] / "weights-0.npy"), rel=1e-6)


def test_two_processes_with_accumulation(one, tmp_path):
    _assert_same(_run(tmp_path, 2, "--accumulation", "2"), one[1])


def test_a_run_stopped_at_one_process_goes_on_with_two(one, tmp_path):
    _run(tmp_path, 1, "--stop", "3")
    _assert_same(_run(tmp_path, 2, "--resume"), one[1])


def test_a_run_of_two_that_loses_one_goes_on_with_one(one, tmp_path):
    lost = launch(SCRIPT, tmp_path, "--lose", "5", launcher=by_torchrun(2))
    assert lost.returncode != 0
    assert not (tmp_path / "result.json").exists()
    assert list((tmp_path / "run").glob("checkpoint-*")), "that of the last milestone"
    _assert_same(_run(tmp_path, 1, "--resume"), one[1])


@pytest.mark.slow
def test_weights_shared_out_by_fsdp2_give_the_same_run(one, tmp_path):
    import yaml

    config = yaml.safe_load((REPOSITORY / "recipes" / "accelerate" / "fsdp2.yaml").read_text())
    config |= {"use_cpu": True, "num_processes": 2, "mixed_precision": "no"}
    (tmp_path / "fsdp2.yaml").write_text(yaml.safe_dump(config))
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(tmp_path / "fsdp2.yaml")]
    _assert_same(result_of(SCRIPT, tmp_path, launcher=launcher), one[1])
