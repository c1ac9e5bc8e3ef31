"""The process that publishes beside a training: what it sends, how it makes way, and what happens when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hub.runs import MILESTONES, assert_all_there, commits, publisher_of

from babylm_hf.errors import PublishError
from babylm_hf.publishing.background import BackgroundPublisher
from babylm_hf.publishing.retry import Retry

pytestmark = pytest.mark.usefixtures("no_figures", "waits")


@pytest.fixture
def background(run, hub):
    # Where all tests run at once a process that gives way may wait for minutes.
    return BackgroundPublisher(publisher_of(run, hub, Retry(attempts=2, first_wait=0.0)), gives_way=False)


def until(condition):
    """Wait for something to be so."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_process_of_the_lowest_priority_sends_all(background, hub, run):
    background.gives_way = True
    for name in (*MILESTONES, "main"):
        background.submit(name)
    assert background._process.pid != os.getpid()
    until(lambda: os.sched_getscheduler(background._process.pid) == os.SCHED_IDLE)
    outcome = background.wait()
    assert sorted(outcome.sent) == [*MILESTONES, "main"]
    assert [commits(hub, name) for name in ("main", *MILESTONES)] == [1, 1, 1]
    assert_all_there(hub, run)
    assert background._process is None
    background.submit("main")
    assert background.wait().unchanged == ["main"]


def test_what_fails_is_tried_with_the_next_and_at_the_end(background, hub, run, caplog):
    away = hub.fail("POST .*/commit/", status=503, times=10**6)
    background.submit(MILESTONES[0])
    until(lambda: background.outcome.failed)
    assert "chck_1M could not be published yet: the Hub answers 503; try again later" in caplog.text
    background.submit(MILESTONES[1])
    until(lambda: set(background.outcome.failed) == set(MILESTONES))
    with pytest.raises(PublishError, match=r"2 of 2 parts did not arrive at me/toy \(.*the Hub answers 503; try again"):
        background.wait()
    away.times = 0
    background.submit("main")
    assert sorted(background.wait().sent) == [*MILESTONES, "main"]
    assert_all_there(hub, run)


def test_a_process_that_is_killed_leaves_its_work_to_the_run(background, hub, run):
    killed = threading.Event()
    held = hub.fail("PUT /upload/", status=200, do=lambda: killed.wait(120))
    background.submit(MILESTONES[0])
    until(lambda: held.times == 0)
    os.kill(background._process.pid, signal.SIGKILL)
    killed.set()
    background.submit(MILESTONES[1])
    assert background.wait().sent == MILESTONES
    assert all(commits(hub, name) == 1 for name in MILESTONES)


def test_the_process_ends_with_the_run_that_started_it():
    code = "from babylm_hf.publishing.worker import main; main()"
    settings = (
        '{"endpoint": "http://127.0.0.1:9", "token": null, "repo_id": "me/toy", "run_dir": "x", "private": true, '
        '"gives_way": false, "retry": {"attempts": 2, "first_wait": 0, "longest_wait": 0}}'
    )
    gone = subprocess.run([sys.executable, "-c", code], input=settings + "\n", text=True, timeout=60, check=False)
    assert gone.returncode == 1
    over = subprocess.run([sys.executable, "-c", code], input=settings + "\nnull\n", text=True, timeout=60, check=False)
    assert over.returncode == 0


def test_the_sending_thread_is_given_its_priority_back_by_the_one_that_reads_orders():
    code = (
        "import os, threading\nfrom babylm_hf.publishing.worker import give_way\n"
        "give_way(True)\nassert os.sched_getscheduler(0) == os.SCHED_IDLE\n"
        "thread = threading.Thread(target=give_way, args=(False,))\nthread.start()\nthread.join()\n"
        "assert os.sched_getscheduler(0) == os.SCHED_OTHER\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=120, check=True)
