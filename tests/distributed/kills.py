"""Kill a small run again and again, resume it each time, and compare what is left with the run that nobody killed.

    python tests/distributed/kills.py --runs 40 --folder /somewhere/new
    python tests/distributed/kills.py --runs 40 --publish

Each run is a process of its own, forked from this one, which has imported everything. It is killed with SIGKILL either
at a random moment, or at the n-th time it is about to rename, write or remove something: inside saves. It is resumed
with `auto` until it ends. Then the final model and every milestone must be those of the uninterrupted run, bit for bit,
every folder must be as its checksums say, and the record must tell of each milestone once.

With `--publish` the run also publishes its milestones, to a Hub on this machine. It is then also killed when it is
about to send bytes there, and its publisher, a process of its own, is killed alone. In the end every branch must hold
the bytes of its folder, and nothing is left to send.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a forked process cannot use the threads of the one before
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hub.double import HubDouble
from huggingface_hub import HfApi, constants
from tiny import tiny_stream, tiny_trainer

from babylm_hf.publishing import HubPublisher, RunRecord, card
from babylm_hf.publishing.figures import drawings
from babylm_hf.publishing.remote import read_branch
from babylm_hf.publishing.retry import Retry
from babylm_hf.training import PublishCallback, RecordCallback
from babylm_hf.training.checkpoints import newest_checkpoint
from babylm_hf.training.integrity import damage, sha256_of

MOST_SESSIONS = 60
CHANGES = ("replace", "rename", "unlink", "mkdir", "rmdir", "fsync")
KINDS = ("at a random moment", "at a change of files", "of the publisher alone")
CARD = {"card": {"licence": "apache-2.0", "language": "en", "author": None}}


@dataclass
class Job:
    """A run that is made many times over.

    Attributes:
        rows: what it trains on.
        hub: address of a Hub to publish to; None to publish nothing.
        seconds: how long it takes when nobody kills it.
        changes: how often it changes files, or sends to the Hub, in that time.
    """

    rows: Any
    hub: str | None = None
    seconds: float = 0.0
    changes: int = 0

    def publisher(self, folder: Path) -> HubPublisher:
        """Publishes the run of a folder to a repository of its own."""
        api = HfApi(endpoint=self.hub, token=HubDouble.token)
        return HubPublisher(api, f"me/{folder.name}", folder / "run", retry=Retry(first_wait=0.2))


@dataclass
class Tally:
    """How often runs were killed, and where."""

    runs: int = 0
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    commits: int = 0

    def said(self, models: int) -> str:
        """One line of figures."""
        kinds = ", ".join(f"{count} {name}" for name, count in self.kills.items())
        sent = f"; {self.commits} commits to {self.runs * models} branches, all as on disk" if self.commits else ""
        return f"{self.runs} runs, {sum(self.kills.values())} kills ({kinds}); all {models} models bit-equal{sent}"


def train(folder: Path, job: Job) -> None:
    """The run: three milestones, a checkpoint every third step, an adaptive policy, a moving average."""
    publishing = [] if job.hub is None else [PublishCallback(job.publisher(folder))]
    trainer = tiny_trainer(
        folder, job.rows, dropout=0.1, batch_size=24, save_strategy="steps", save_steps=3, ema_decay=0.99,
        milestones="500,1K,2K", eval_dataset=job.rows, max_eval_tokens=500,
        callbacks=[RecordCallback({"name": "toy", **CARD}), *publishing],
    )  # fmt: skip
    newest = newest_checkpoint(folder / "run")
    fresh = newest is None and not (folder / "run" / "record" / "run.json").exists()
    trainer.train(resume_from_checkpoint=None if fresh else "auto")
    trainer.finish()


def session(folder: Path, job: Job, die_at_change: int | None = None) -> int:
    """Fork a process that trains; it kills itself at a change if told to, else counts them. Returns its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        quiet = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        changes = count_changes(die_at_change, network=job.hub is not None)
        train(folder, job)
        (folder / "changes.txt").open("w").write(str(changes[0]))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def count_changes(die_at: int | None, network: bool) -> list[int]:
    """Count in the list's only entry how often this process changes files or sends; kill it before the one given."""
    done = [0]

    def counting(function):
        def call(*arguments, **options):
            done[0] += 1
            if done[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in CHANGES:
        setattr(os, name, counting(getattr(os, name)))
    shutil.rmtree = counting(shutil.rmtree)
    Path.write_text = counting(Path.write_text)  # type: ignore[method-assign]
    if network:
        for name in ("send", "sendall"):
            setattr(socket.socket, name, counting(getattr(socket.socket, name)))
    return done


def run_killed(folder: Path, job: Job, chance: random.Random, kills: int, tally: Tally) -> None:
    """One run that is killed `kills` times, and resumed until it ends."""
    folder.mkdir(parents=True)
    for number in range(MOST_SESSIONS):
        kind = chance.choice(KINDS if job.hub is not None else KINDS[:2]) if number < kills else None
        by_change = chance.randint(1, max(1, job.changes * 2 // 3)) if kind == KINDS[1] else None
        child = session(folder, job, by_change)
        if kind in (KINDS[0], KINDS[2]):
            moment, patience = chance.uniform(0, 0.8 * job.seconds), time.monotonic() + job.seconds
            while kind == KINDS[2] and not children_of(child) and time.monotonic() < patience:
                time.sleep(0.02)
            time.sleep(moment if kind == KINDS[0] else moment / 4)
            targets = [child] if kind == KINDS[0] else children_of(child)
            for target in targets:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(target, signal.SIGKILL)
            tally.kills[KINDS[2]] += len(targets) if kind == KINDS[2] else 0
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            tally.kills[str(kind)] += 1
        elif status == 0:
            tally.runs += 1
            return
        else:
            raise AssertionError(f"a resumed session failed:\n{(folder / 'output.txt').read_text()[-3000:]}")
    raise AssertionError(f"the run did not end in {MOST_SESSIONS} sessions")


def children_of(process: int) -> list[int]:
    """The processes that a process has started (Linux); none where it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def outcome(folder: Path) -> dict[str, str]:
    """sha256 of every model of a finished run; refuses damaged folders and milestones told twice."""
    run = folder / "run"
    record = RunRecord.open(run / "record")
    milestones = [event["name"] for event in record.events("milestone")]
    folders = sorted(path.name for path in run.glob("chck_*"))
    assert sorted(milestones) == folders, f"{folder}: the record tells of {milestones}, there are {folders}"
    assert len(record.events("end")) == 1, f"{folder}: the end is told {len(record.events('end'))} times"
    for path in (run, *(run / name for name in folders)):
        assert (found := damage(path)) is None, f"{path}: {found}"
    left = [path.name for path in run.iterdir() if path.name.endswith((".partial", ".old"))]
    assert not left, f"{folder}: {left} was left behind"
    logged = [(e["step"], e["loss"]) for e in record.events("log")]
    models = {name: sha256_of(run / name / "model.safetensors") for name in folders}
    return {"main": sha256_of(run / "model.safetensors"), **models, "losses": json.dumps(logged)}


def published(folder: Path, job: Job, expected: dict[str, str]) -> int:
    """Commits that the run made; refuses a branch that lacks something or is there for nothing."""
    publisher = job.publisher(folder)
    result = publisher.publish()
    assert not result.sent, f"{folder}: {result.sent} had not been published, and the run had said nothing"
    api, names = publisher.api, [name for name in expected if name != "losses"]
    heads = {ref.name: ref.target_commit for ref in api.list_repo_refs(publisher.repo_id).branches}
    assert sorted(heads) == sorted(names), f"{folder}: the Hub has {sorted(heads)}"
    for name in names:
        there = read_branch(api, publisher.repo_id, heads[name]).files["model.safetensors"]
        assert there.name == expected[name], f"{folder}: another model is on {name}"
    return sum(len(api.list_repo_commits(publisher.repo_id, revision=name)) - 1 for name in names)


def start_hub() -> tuple[int, str]:
    """A Hub in a process of its own: its number and its address."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with HubDouble() as hub:
            os.write(writing, hub.url.encode())
            os.close(writing)
            signal.pause()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        url = told.read()
    constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_XET = False, True
    constants.ENDPOINT, constants.HF_TOKEN_PATH = url, os.devnull
    constants.HUGGINGFACE_CO_URL_TEMPLATE = url + "/{repo_id}/resolve/{revision}/{filename}"
    return child, url


def without_pictures(curves: Any) -> list[Any]:
    """The figures of a card as a few bytes each: drawing them takes longer than the run."""
    return [dataclasses.replace(drawing, draw=lambda: b"\x89PNG\r\n") for drawing in drawings(curves)]


def compare(folder: Path, runs: int, kills: int, seed: int, hub: str | None = None) -> str:
    """The uninterrupted run, then the killed ones; returns a line of figures, raises AssertionError at a difference."""
    chance, tally = random.Random(seed), Tally()
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(tiny_stream(folder / "data", words=1500), hub)
    (folder / "whole").mkdir()
    began = time.monotonic()
    status = os.waitpid(session(folder / "whole", job), 0)[1]
    assert status == 0, (folder / "whole" / "output.txt").read_text()[-3000:]
    job.seconds = time.monotonic() - began
    job.changes = int((folder / "whole" / "changes.txt").read_text())
    expected = outcome(folder / "whole")
    number = 0  # more than were asked for where sessions ended before they were to be killed
    while number < runs or sum(tally.kills.values()) < min(kills, 2) * runs:
        run = folder / f"killed-{number}"
        run_killed(run, job, chance, kills, tally)
        got = outcome(run)
        assert got == expected, f"run {number} ended elsewhere: {[n for n in expected if got.get(n) != expected[n]]}"
        if hub is not None:
            tally.commits += published(run, job, expected)
        shutil.rmtree(run)
        number += 1
        print(f"{number}/{runs}: {sum(tally.kills.values())} kills", file=sys.stderr, flush=True)
    return tally.said(len(expected) - 1)


def main() -> None:
    """Run it by hand, with as many runs as wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=3, help="of every run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--publish", action="store_true", help="to a Hub on this machine, and kill that too")
    options = parser.parse_args()
    card.drawings = without_pictures
    hub, url = start_hub() if options.publish else (None, None)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = options.folder or Path(folder) / "kills"
            print(compare(place, options.runs, options.kills, options.seed, url))
    finally:
        if hub is not None:
            os.kill(hub, signal.SIGKILL)


if __name__ == "__main__":
    main()
