"""Recipes on two hosts (namespaces of this machine): the numbers of one process, hosts that die, disks of their own.

Each run is a recipe under `accelerate launch` with `recipes/accelerate/several_nodes.yaml`, once on each host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributed.hosts import Host, two_hosts, why_not
from safetensors.numpy import load_file
from tiny import REPOSITORY, TINY_RECIPE

from babylm_hf.training.integrity import damage

ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
CONFIGURATIONS = REPOSITORY / "recipes" / "accelerate"
RECIPE = [str(REPOSITORY / "recipes" / "hard_decay.py"), *TINY_RECIPE, "--num_train_epochs", "4"]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
PATIENCE = 200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(reason := why_not()), reason=reason or "-"),
]


@dataclass
class Run:
    """A run on both hosts; `folders[i]` is what host i writes to, `outputs[i]` what it says."""

    hosts: list[Host]
    folders: list[Path]
    caches: list[Path]

    def start(self, *options: str) -> Run:
        self.outputs = [folder.with_name(f"{folder.name}-{i}.txt") for i, folder in enumerate(self.folders)]
        self.processes = []
        for i, host in enumerate(self.hosts):
            launcher = [*ACCELERATE, str(CONFIGURATIONS / "several_nodes.yaml"), "--num_processes", "2"]
            launcher += ["--mixed_precision", "no", "--machine_rank", str(i)]
            launcher += ["--main_process_ip", self.hosts[0].address, "--main_process_port", "29500"]
            places = ["--output_dir", str(self.folders[i]), "--cache_dir", str(self.caches[i])]
            command = [*launcher, *RECIPE, *places, *options]
            self.processes.append(host.start(command, self.outputs[i], **ENVIRONMENT))
        return self

    def wait(self) -> list[int]:
        return [process.wait(timeout=PATIENCE) for process in self.processes]

    def wait_for(self, pattern: str) -> None:
        """Until the first host has written it."""
        until = time.monotonic() + PATIENCE
        while not list(self.folders[0].glob(pattern)):
            assert time.monotonic() < until, self.said(0)
            assert all(process.poll() is None for process in self.processes), self.said(0) + self.said(1)
            time.sleep(0.05)

    def said(self, host: int) -> str:
        return self.outputs[host].read_text()


def weights(folder):
    assert damage(folder) is None
    return load_file(folder / "model.safetensors")


def losses(folder):
    lines = map(json.loads, (folder / "record" / "events.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["kind"] == "log"]


def assert_equal(folder, expected, exactly=True):
    found, wanted = weights(folder), weights(expected)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        if exactly:
            assert (found[name] == values).all(), name
        else:
            assert found[name] == pytest.approx(values, abs=1e-5), name


def alone(folder, configuration):
    command = [*ACCELERATE, str(CONFIGURATIONS / f"{configuration}.yaml"), *RECIPE]
    command += ["--output_dir", str(folder / "run"), "--cache_dir", str(folder / "cache")]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "run"


@pytest.fixture
def hosts(tmp_path):
    with two_hosts(tmp_path) as both:
        yield both


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run on two hosts that nothing happened to, on a disk that both see."""
    folder = tmp_path_factory.mktemp("whole")
    with two_hosts(folder) as both:
        run = Run(both, [folder / "run"] * 2, [folder / "cache"] * 2).start()
        assert run.wait() == [0, 0], run.said(0) + run.said(1)
    return folder / "run"


def test_two_hosts_train_as_one_process_and_as_two(whole, tmp_path):
    (tmp_path / "one").mkdir()
    one = alone(tmp_path / "one", "cpu")
    two = alone(tmp_path / "two", "two_cpu_processes")
    manifest = json.loads((two / "record" / "run.json").read_text())
    assert manifest["hardware"]["processes"] == 2
    assert losses(whole) == pytest.approx(losses(one), rel=1e-5)
    assert_equal(whole, one, exactly=False)
    assert_equal(whole, two)


@pytest.mark.parametrize("victim", [1, 0])
def test_a_host_that_dies_is_noticed_and_the_run_goes_on_later(whole, hosts, tmp_path, victim):
    run = Run(hosts, [tmp_path / "run"] * 2, [tmp_path / "cache"] * 2).start()
    run.wait_for("checkpoint-*")
    run.processes[victim].kill()
    began = time.monotonic()
    assert run.processes[1 - victim].wait(timeout=60) not in (0, None)
    assert time.monotonic() - began < 60
    assert "another process of the run has ended, so this one cannot go on" in run.said(1 - victim)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    run.start("--resume_from_checkpoint", "auto")
    assert run.wait() == [0, 0], run.said(0) + run.said(1)
    assert_equal(tmp_path / "run", whole)


def test_a_pulled_cable_is_noticed_after_the_time_that_was_set(hosts, tmp_path):
    run = Run(hosts, [tmp_path / "run"] * 2, [tmp_path / "cache"] * 2).start("--ddp_timeout", "15")
    run.wait_for("checkpoint-*")
    hosts[1].unplug()
    began = time.monotonic()
    assert 0 not in run.wait()
    assert time.monotonic() - began < 60
    for host in (0, 1):
        assert "another process of the run cannot be reached any more" in run.said(host)


def test_disks_of_their_own(whole, hosts, tmp_path):
    places = [tmp_path / f"disk{i}" for i in (0, 1)]
    run = Run(hosts, [place / "run" for place in places], [place / "cache" for place in places])
    for place in places:
        place.mkdir()
    run.start("--save_on_each_node", "true")
    run.wait_for("checkpoint-*")
    run.processes[1].kill()
    assert run.processes[0].wait(timeout=60) != 0
    again = ("--save_on_each_node", "true", "--resume_from_checkpoint", "auto")
    run.start(*again)
    assert run.wait() == [0, 0], run.said(0) + run.said(1)
    for folder in run.folders:
        assert_equal(folder, whole)
        assert {path.name for path in folder.glob("chck_*")} == {path.name for path in whole.glob("chck_*")}
        assert all(damage(path) is None for path in [*folder.glob("chck_*"), *folder.glob("checkpoint-*")])
    # The first line after a resume is the mean of the steps since then.
    assert losses(run.folders[0])[2:] == losses(whole)[2:]


def test_a_disk_without_the_checkpoint_is_named(hosts, tmp_path):
    places = [tmp_path / f"disk{i}" for i in (0, 1)]
    for place in places:
        place.mkdir()
    run = Run(hosts, [place / "run" for place in places], [place / "cache" for place in places]).start()
    run.wait_for("checkpoint-*")
    run.processes[1].kill()
    assert run.processes[0].wait(timeout=60) != 0
    left = run.folders[1]
    assert not left.exists() or not any(left.iterdir()), "the second host writes nothing of the run"
    run.start("--resume_from_checkpoint", "auto")
    assert 0 not in run.wait()
    for host in (0, 1):
        assert f"process 1 on {hosts[1].name} sees no checkpoint in" in run.said(host)
