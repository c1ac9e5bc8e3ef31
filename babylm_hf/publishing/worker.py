"""The process that sends milestones while training goes on in another; `background.BackgroundPublisher` starts it.

It has an interpreter of its own, so it never holds the one that training needs, and the system's lowest priority, so it
computes checksums only in moments that training leaves. It ends with the run that started it, however that ends.

Lines of JSON come in: first the settings, then names of branches, at last null. For every batch sent a line goes out:
    {"kind": "outcome", "sent": [branch, ...], "unchanged": [...], "failed": {branch: why}}
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, TextIO

from .outcome import Outcome, short
from .publisher import HubPublisher
from .retry import Retry


def settings_of(publisher: HubPublisher) -> dict[str, Any]:
    """What another process needs to publish the same run to the same repository."""
    retry = publisher.retry
    return {
        "endpoint": publisher.api.endpoint,
        "token": publisher.api.token,
        "repo_id": publisher.repo_id,
        "run_dir": str(publisher.run_dir.resolve()),
        "private": publisher.private,
        "retry": {name: getattr(retry, name) for name in ("attempts", "first_wait", "longest_wait")},
    }


def publisher_of(settings: dict[str, Any]) -> HubPublisher:
    """The publisher that `settings_of` described."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=settings["endpoint"], token=settings["token"])
    retry = Retry(**settings["retry"])
    return HubPublisher(api, settings["repo_id"], settings["run_dir"], private=settings["private"], retry=retry)


def give_way(way: bool) -> None:
    """Run only where nothing else wants the processor, or like any other process again."""
    if hasattr(os, "SCHED_IDLE"):  # Linux
        with contextlib.suppress(OSError):  # Of the main thread, which sends, whichever thread asks for it
            os.sched_setscheduler(os.getpid(), os.SCHED_IDLE if way else os.SCHED_OTHER, os.sched_param(0))
    elif way and hasattr(os, "nice"):
        os.nice(19)


def batches(lines: TextIO) -> Iterator[list[str]]:
    """Names of branches as they come in, those that have waited together.

    The process ends at once where the lines do without a null: then the run is gone, and whoever resumes it publishes.
    """
    waiting: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in lines:
            name = json.loads(line)
            waiting.put(name)
            if name is None:
                give_way(False)  # the run does nothing more but wait for us
                return
        os._exit(1)

    threading.Thread(target=read, name="babylm_hf publisher's orders", daemon=True).start()
    names: list[str] = []
    while (name := waiting.get()) is not None:
        names.append(name)
        if waiting.empty():
            yield names
            names = []
    if names:
        yield names


def send(publisher: HubPublisher, names: list[str]) -> Outcome:
    """Send branches whose folders are complete."""

    def one(name: str) -> bool:
        publisher.ensure_prepared()
        publisher.reopen()
        return publisher.send(publisher.run.package(name))

    outcome = Outcome()
    publisher.send_all({name: partial(one, name) for name in names}, outcome)
    return outcome


def main() -> None:
    """Send what comes in; what fails waits for the next batch."""
    from huggingface_hub.utils import disable_progress_bars

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then ends us
    settings = json.loads(sys.stdin.readline())
    if settings["gives_way"]:
        give_way(True)
    disable_progress_bars()
    logging.basicConfig(format="%(message)s")
    publisher = publisher_of(settings)
    left: list[str] = []
    for names in batches(sys.stdin):
        outcome = send(publisher, list(dict.fromkeys([*left, *names])))
        left = list(outcome.failed)
        failed = {name: short(error) for name, error in outcome.failed.items()}
        told = {"kind": "outcome", "sent": outcome.sent, "unchanged": outcome.unchanged, "failed": failed}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
