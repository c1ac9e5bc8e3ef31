"""Faults of processes: locks, workers, memory, signals, the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import torch
from faults.stage import STEPS, At

from babylm_hf.publishing import RunRecord
from babylm_hf.training import checkpoints
from babylm_hf.training.integrity import damage
from babylm_hf.training.lock import LOCK

HOLDER = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print(f"process {os.getpid()} on this machine", file=file, flush=True)
print("ready", flush=True)
sys.stdin.read()
"""


def locked(stage):
    before = stage.digest(".")
    path = stage.run / LOCK
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "ready\n"
    try:
        stage.resume()
    finally:
        holder.communicate()  # it ends, and its lock with it; the file stays, as after a kill
        path_left = path.exists()
        assert {name: digest for name, digest in stage.digest(".").items() if name != LOCK} == before
        assert path_left
        assert stage.resume().state.global_step == STEPS


def worker_killed(stage):
    def kill_one():
        import multiprocessing

        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        time.sleep(0.2)

    stage.fresh(At(4, kill_one), dataloader_num_workers=1, dataloader_prefetch_factor=1, max_steps=18)


def fails(error):
    def fail(*args, **options):
        raise error

    return fail


def peer_lost(stage):
    told = "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234"
    stage.resume(At(4, fails(RuntimeError(told))))


def no_memory(stage):
    stage.resume(At(4, fails(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))))


def signal_in_save(stage):
    save, before = checkpoints.write_sidecars, signal.getsignal(signal.SIGTERM)

    def save_and_hear(*arguments):
        save(*arguments)
        stage.monkeypatch.setattr(checkpoints, "write_sidecars", save)
        os.kill(os.getpid(), signal.SIGTERM)

    stage.monkeypatch.setattr(checkpoints, "write_sidecars", save_and_hear)
    trainer = stage.fresh(milestones="none")
    assert trainer.preempted
    assert signal.getsignal(signal.SIGTERM) == before
    stopped = checkpoints.newest_checkpoint(stage.folder / "other")
    assert stopped.name == f"checkpoint-{trainer.state.global_step}"
    assert damage(stage.folder / "other" / "checkpoint-2") is None
    again = stage.trainer(output="other", milestones="none")
    again.train(resume_from_checkpoint="auto")
    assert again.state.global_step == STEPS


def second_signal(stage):
    """Within the tests the second one only raises; what the system does with SIGINT by default is to end a process."""
    seen = []

    def ends_now(number):
        seen.append((number, signal.getsignal(number)))
        raise KeyboardInterrupt

    def interrupt_twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    stage.monkeypatch.setattr(signal, "raise_signal", ends_now)
    before = signal.getsignal(signal.SIGINT)
    try:
        stage.resume(At(4, interrupt_twice))
    except KeyboardInterrupt:
        assert seen == [(signal.SIGINT, signal.SIG_DFL)]
        assert signal.getsignal(signal.SIGINT) == before, "given back though the run broke off"
        assert damage(stage.newest) is None
        return
    raise AssertionError("the second signal did nothing")


def clock_backwards(stage):
    now = [time.time()]

    def back():
        now[0] -= 3600
        return now[0]

    os.utime(stage.newest, (0, 0))
    stage.monkeypatch.setattr(time, "time", back)
    trainer = stage.resume()
    assert trainer.resumed_from == stage.newest, "the newest is the one with the highest step"
    lines = RunRecord.open(stage.run / "record").events("log")
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(line["seconds"] >= 0 for line in lines)
