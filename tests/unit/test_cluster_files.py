"""The configurations for accelerate are read by accelerate, and the job scripts are shell scripts."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from tiny import REPOSITORY

CONFIGURATIONS = sorted((REPOSITORY / "recipes" / "accelerate").glob("*.yaml"))
SCRIPTS = sorted((REPOSITORY / "recipes" / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_accelerate_takes_the_configuration(path):
    config = load_config_from_file(str(path))
    assert config.num_processes >= 1
    parsed = launch_command_parser().parse_args(["--config_file", str(path), "recipes/hard_decay.py", "--demo"])
    assert parsed.config_file == str(path)
    assert (config.num_machines > 1) == (path.stem == "several_nodes")


def test_the_configuration_for_two_processes_starts_two(tmp_path):
    # MULTI_CPU, which sounds right, starts one.
    script = tmp_path / "script.py"
    script.write_text("import os; print('process', os.environ.get('RANK'), 'of', os.environ.get('WORLD_SIZE'))")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    command = [*launcher, str(REPOSITORY / "recipes" / "accelerate" / "two_cpu_processes.yaml"), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert {line for line in done.stdout.splitlines() if line.startswith("process")} == {
        "process 0 of 2", "process 1 of 2",
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_job_scripts_are_sound_and_name_configurations_that_exist(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    named = [word for word in text.split() if word.startswith("recipes/accelerate/")]
    assert named
    assert all((REPOSITORY / word).is_file() for word in named)
    assert "--resume_from_checkpoint auto" in text


def test_there_is_one_for_every_kind_of_machine():
    assert {path.stem for path in CONFIGURATIONS} == {
        "cpu", "two_cpu_processes", "one_gpu", "several_gpus", "several_nodes", "fsdp2", "deepspeed",
    }  # fmt: skip
    assert {path.stem for path in SCRIPTS} == {"one_node", "several_nodes", "seeds"}
