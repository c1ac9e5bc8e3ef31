"""Every command that a page shows is run, on small texts and models, page by page, and the Hub is the double.

    make test-slow, or: pytest -m slow tests/docs/test_commands.py -k sweep -rP

A page begins in a folder with what it takes for granted (`workplace.py`), and its commands follow each other as they do
for a reader. `small.py` says what is made smaller. What cannot be run here stands in `NOT_RUN`; that its options exist
is checked by `test_pages.py` as for all others. `-rP` shows what the commands have said.
"""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from docs.markdown import FILES, commands
from docs.small import recipe_in, small
from docs.workplace import publish_what_is_taken_for_granted
from hub.repositories import Account
from tiny import REPOSITORY

from babylm_hf.cli import main
from babylm_hf.sweep import load_recipe
from babylm_hf.training.preemption import PreemptionCallback

NOT_RUN = {
    "pip install": "the network; .ci/run installs the package with it",
    "make ": "tests, style and types; .ci/run",
    "pytest ": "tests, which run themselves",
    "mkdir -p ~/": "the reader's own folder",
    "hf auth login": "a person who types a token",
    "sbatch ": "Slurm",
    "accelerate/one_gpu.yaml": "a GPU",
    "accelerate/several_gpus.yaml": "four GPUs",
    "--num_machines 2 --num_processes 8": "eight GPUs",
    "benchmarks/weak_scaling.py": "two cores that nothing else uses",
    "benchmarks/matched_masking.py": "thirty trainings",
}
"""What cannot be run here: a piece of the command -> what it takes."""

PAGES = {
    path: found
    for path in FILES
    if path.name != "CHANGELOG.md" and (found := [(where, words) for where, words in commands(path) if words])
}


def why_not(words):
    """What running a command takes that is not here, or None."""
    line = " ".join(words)
    return next((reason for piece, reason in NOT_RUN.items() if piece in line), None)


RUN = {path: run for path, found in PAGES.items() if (run := [one for one in found if why_not(one[1]) is None])}


@pytest.fixture
def here(workplace, tmp_path, monkeypatch, hub):
    """A folder for the commands of a page, and a reader who is signed in."""
    folder = tmp_path / "here"
    shutil.copytree(workplace, folder)
    monkeypatch.chdir(folder)
    hub.store.accounts[hub.token] = Account("me", "write", ("team", "ns"))
    for name, value in {
        "HF_TOKEN": hub.token,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("babylm_hf.sweep.subprocess", SimpleNamespace(run=run_of_a_sweep))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", RUN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_commands_of_a_page_run(path, here, hub, monkeypatch):
    publish_what_is_taken_for_granted(" ".join(word for _, words in RUN[path] for word in words), hub)
    ended = {}
    for where, words in RUN[path]:
        for stream in (sys.stdout, sys.stderr):
            print(f"\n$ {shlex.join(words)}", file=stream, flush=True)
        if "--resume_from_checkpoint" in words:
            with monkeypatch.context() as patch:
                patch.setattr(PreemptionCallback, "on_train_begin", stopped_at_once)
                assert run(words[: words.index("--resume_from_checkpoint")]) == 75
        ended[f"{where} {shlex.join(words)}"] = run(words)
    assert {command: status for command, status in ended.items() if status} == {}


def test_the_list_of_what_is_not_run_names_shown_commands_only():
    lines = [" ".join(words) for found in PAGES.values() for _, words in found]
    assert [piece for piece in NOT_RUN if not any(piece in line for line in lines)] == []
    assert sum(map(len, RUN.values())) > 100
    assert {words[0] for found in RUN.values() for _, words in found} == {"babylm-hf", "accelerate", "python"}


def stopped_at_once(callback, *_, **__):
    """A signal to end that comes before the first step has ended."""
    callback.asked = True


def run(words):
    """Run a command made small; its exit status."""
    words = small(words)
    try:
        if words[0] == "babylm-hf":
            main(words[1:])
            return 0
        recipe, place = recipe_in(words)
        if "--resume_from_checkpoint" not in words:  # another run in the place of the one that is there
            shutil.rmtree(recipe.parse(words[place + 1 :]).training.output_dir, ignore_errors=True)
        if "--config_file" in words:
            return launch(words[2 : place + 1], words[place + 1 :])
        recipe.main(words[place + 1 :])
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


def run_of_a_sweep(command, check):
    """What a sweep starts as a process, without the seconds that the imports of a process take."""
    try:
        load_recipe(Path(command[1])).main(command[2:])
    except SystemExit as stopped:
        return subprocess.CompletedProcess(command, stopped.code or 0)
    return subprocess.CompletedProcess(command, 0)


def launch(launcher, options):
    """`accelerate launch` as it is; of several machines all are this one."""
    command = [sys.executable, "-m", "accelerate.commands.launch", *launcher, *options]
    commands = [command]
    if "--machine_rank" in command:
        rank, port = (command.index(name) + 1 for name in ("--machine_rank", "--main_process_port"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            command[port] = str(free.getsockname()[1])
        commands = [[*command[:rank], number, *command[rank + 1 :]] for number in ("0", "1")]
    started = [subprocess.Popen(one) for one in commands]
    try:
        return max(abs(process.wait(timeout=900)) for process in started)
    finally:
        for process in started:
            process.kill()
