"""Kill a small run again and again, resume it each time, and compare what is left with the run that nobody killed.

    python tests/distributed/kills.py --runs 40 --folder /somewhere/new

Each run is a process of its own, forked from this one, which has imported everything. It is killed with SIGKILL either
at a random moment, or at the n-th time it is about to rename, write or remove something: inside saves. It is resumed
with `auto` until it ends. Then the final model and every milestone must be those of the uninterrupted run, bit for bit,
every folder must be as its checksums say, and the record must tell of each milestone once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tiny import tiny_stream, tiny_trainer

from babylm_hf.publishing import RunRecord
from babylm_hf.training import RecordCallback
from babylm_hf.training.checkpoints import newest_checkpoint
from babylm_hf.training.integrity import damage, sha256_of

MOST_SESSIONS = 60


def train(folder: Path, rows: object) -> None:
    """The run: three milestones, a checkpoint every third step, an adaptive policy, a moving average."""
    trainer = tiny_trainer(
        folder, rows, dropout=0.1, batch_size=24, save_strategy="steps", save_steps=3, ema_decay=0.99,
        milestones="500,1K,2K", eval_dataset=rows, max_eval_tokens=500, callbacks=[RecordCallback()],
    )  # fmt: skip
    newest = newest_checkpoint(folder / "run")
    fresh = newest is None and not (folder / "run" / "record" / "run.json").exists()
    trainer.train(resume_from_checkpoint=None if fresh else "auto")
    trainer.finish()


def session(folder: Path, rows: object, die_at_call: int | None = None) -> int:
    """Fork a process that trains; it kills itself at a call to the file system if told to. Returns its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        quiet = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if die_at_call is not None:
            _die_at(die_at_call)
        train(folder, rows)
        status = 0
    finally:
        os._exit(status)


def _die_at(count: int) -> None:
    """Kill this process when it is about to change the file system for the `count`-th time."""
    left = [count]

    def deadly(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("replace", "rename", "unlink", "mkdir", "rmdir", "fsync"):
        setattr(os, name, deadly(getattr(os, name)))
    shutil.rmtree = deadly(shutil.rmtree)
    Path.write_text = deadly(Path.write_text)  # type: ignore[method-assign]


def run_killed(folder: Path, rows: object, whole_seconds: float, chance: random.Random, kills: int) -> dict[str, int]:
    """One run that is killed `kills` times, and resumed until it ends."""
    folder.mkdir(parents=True)
    counts = {"at a random moment": 0, "at a change of files": 0}
    for number in range(MOST_SESSIONS):
        by_call = chance.random() < 0.5
        kill = number < kills
        child = session(folder, rows, chance.randint(1, 60) if kill and by_call else None)
        if kill and not by_call:
            time.sleep(chance.uniform(0, whole_seconds))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            counts["at a change of files" if by_call else "at a random moment"] += 1
        elif status == 0:
            return counts
        else:
            raise AssertionError(f"a resumed session failed:\n{(folder / 'output.txt').read_text()[-3000:]}")
    raise AssertionError(f"the run did not end in {MOST_SESSIONS} sessions")


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
    models = {name: sha256_of(run / name / "model.safetensors") for name in (".", *folders)}
    return models | {"losses": json.dumps(logged)}


def compare(folder: Path, runs: int, kills: int, seed: int) -> str:
    """The uninterrupted run, then the killed ones; returns a line of figures, raises AssertionError at a difference."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = tiny_stream(folder / "data", words=1500)
    (folder / "whole").mkdir()
    began = time.monotonic()
    assert os.waitpid(session(folder / "whole", rows), 0)[1] == 0, (folder / "whole" / "output.txt").read_text()[-3000:]
    seconds = time.monotonic() - began
    expected = outcome(folder / "whole")
    total: dict[str, int] = {}
    for number in range(runs):
        counts = run_killed(folder / f"killed-{number}", rows, seconds, chance, kills)
        got = outcome(folder / f"killed-{number}")
        assert got == expected, f"run {number} ended elsewhere: {[n for n in expected if got.get(n) != expected[n]]}"
        total = {name: total.get(name, 0) + count for name, count in counts.items()}
        shutil.rmtree(folder / f"killed-{number}")
    kinds = ", ".join(f"{count} {name}" for name, count in total.items())
    return f"{runs} runs, {sum(total.values())} kills ({kinds}); all {len(expected) - 1} models bit-equal each time"


def main() -> None:
    """Run it by hand, with as many runs as wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=3, help="of every run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    if options.folder is not None:
        print(compare(options.folder, options.runs, options.kills, options.seed))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(compare(Path(folder) / "kills", options.runs, options.kills, options.seed))


if __name__ == "__main__":
    main()
