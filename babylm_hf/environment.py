"""Settings of the process that have to be made before torch is loaded."""

from __future__ import annotations

import os

# A tiny model gains nothing from more, and waking them costs.
MOST_THREADS = 8


def share_the_machine() -> None:
    """Let idle OpenMP threads sleep instead of spin, unless the user has chosen.

    Small models make thousands of parallel regions a second. Where anything else wants a core, a spinning thread keeps
    the one that has work from running: on two cores beside one other process a step of the demonstration model took
    10 times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def send_no_telemetry() -> None:
    """Have the libraries of Hugging Face tell nobody what is run, unless the user has chosen otherwise."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def use_the_cores() -> None:
    """Give a run that `accelerate launch` started as a single process the cores it may use, up to `MOST_THREADS`.

    Unless told otherwise (`--num_cpu_threads_per_process 2`), `accelerate launch` sets one thread, which is meant for
    several processes on a machine and leaves all but one core idle. Its one cannot be told from a user's own
    `OMP_NUM_THREADS=1`: that holds under plain `python`, and `taskset` holds everywhere.
    """
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ and os.environ.get("WORLD_SIZE", "1") == "1"
    if launched and os.environ.get("OMP_NUM_THREADS") == "1":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        os.environ["OMP_NUM_THREADS"] = str(min(cores, MOST_THREADS))
