"""Whatever goes wrong on the way, nothing is lost: publishing succeeds in the end, at the latest the next time."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub.repositories import Account
from hub.runs import MILESTONES, assert_all_there, commits, save_model
from huggingface_hub import HfApi

from babylm_hf.errors import PublishError, RunFolderError
from babylm_hf.publishing import HubPublisher
from babylm_hf.publishing.ledger import Ledger

TESTS = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("no_figures")


PASSING = {
    "503 at the commit": {"pattern": "POST .*/commit/chck_1M", "status": 503},
    "503 twice at the commit": {"pattern": "POST .*/commit/chck_1M", "status": 503, "times": 2},
    "500 when it is read back": {"pattern": "GET .*/tree/", "status": 500, "skip": 1},
    "502 when the branch is made": {"pattern": "POST .*/branch/chck_2M", "status": 502},
    "504 at the announcement": {"pattern": "POST .*/preupload/", "status": 504},
    "409 at the commit": {"pattern": "POST .*/commit/main", "status": 409},
    "412 at the commit": {"pattern": "POST .*/commit/main", "status": 412},
    "connection dropped in an upload": {"pattern": "PUT /upload/", "drop": "before"},
    "connection dropped at the commit": {"pattern": "POST .*/commit/chck_2M", "drop": "before"},
    "answer to the commit lost": {"pattern": "POST .*/commit/chck_2M", "drop": "after"},
    "answer to the branch lost": {"pattern": "POST .*/branch/chck_2M", "drop": "after"},
    "connection dropped at the first question": {"pattern": "GET /api/whoami-v2", "drop": "before"},
    "503 at the repository": {"pattern": "POST /api/repos/create", "status": 503},
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_waited_for(publish, hub, run, fault):
    hub.fail(**fault)
    assert publish().sent == [*MILESTONES, "main"]
    assert [commits(hub, name) for name in ("main", *MILESTONES)] == [1, 1, 1]
    assert_all_there(hub, run)
    assert all(found.times == 0 for found in hub.faults), "the fault has struck"
    assert publish().sent == []


def test_429_waits_as_long_as_the_server_asks(publish, hub, run, retry):
    hub.fail("POST .*/commit/chck_1M", status=429, headers={"Retry-After": "37"})
    publish()
    assert retry.waited == [37.0]
    assert_all_there(hub, run)


def test_waits_grow_and_end(publish, hub, retry, run):
    away = hub.fail("POST .*/commit/chck_1M", status=503, times=100)
    with pytest.raises(PublishError, match=r"3 of 3 parts did not arrive at me/toy .*answers 503; try again later"):
        publish()
    assert len(retry.waited) == 5
    assert all(later > earlier for earlier, later in zip(retry.waited, retry.waited[1:], strict=False))
    assert hub.count("/commit/main") == 0, "where the Hub is away the others are not tried"
    away.times = 0
    assert publish().sent == [*MILESTONES, "main"]
    assert_all_there(hub, run)


def test_a_commit_made_by_somebody_meanwhile_is_kept(publish, hub, run):
    def somebody():
        hub.repository("me/toy").edit("chck_1M", notes_md=b"somebody's")

    hub.fail("POST .*/commit/chck_1M", status=200, do=somebody)
    with pytest.raises(PublishError, match=r"chck_1M: .*branch chck_1M, holds something else \(notes\.md\)"):
        publish()
    assert hub.repository("me/toy").resolve("chck_1M").files["notes.md"].content == b"somebody's"
    assert commits(hub, "main") == 1, "the others have arrived"
    hub.repository("me/toy").edit("chck_1M", notes_md=None)
    publish()
    assert_all_there(hub, run)


def test_a_branch_deleted_meanwhile_is_made_again(publish, hub, run):
    repository = hub.store.repositories
    hub.fail("POST .*/commit/chck_2M", status=200, do=lambda: repository["me/toy"].branches.pop("chck_2M"))
    publish()
    assert_all_there(hub, run)
    del hub.repository("me/toy").branches["chck_1M"]
    assert publish().sent == ["chck_1M"]
    assert_all_there(hub, run)


def test_a_branch_that_another_process_makes_first_is_used(publish, hub, run):
    def somebody():
        repository = hub.repository("me/toy")
        repository.branches["chck_1M"] = repository.branches["main"]

    hub.fail("POST .*/branch/chck_1M", status=200, do=somebody)
    publish()
    assert_all_there(hub, run)


def test_a_repository_deleted_meanwhile_is_made_again(publish, hub, run):
    hub.fail("POST .*/commit/main", status=200, do=lambda: hub.store.repositories.pop("me/toy"))
    with pytest.raises(PublishError, match=r"main: me/toy or the branch is gone from the Hub \(404\)"):
        publish()
    assert publish().sent == [*MILESTONES, "main"]
    assert_all_there(hub, run)


def test_a_full_disk_while_rendering(publish, hub, run, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("babylm_hf.publishing.card.write_whole", full)
        with pytest.raises(PublishError, match=r"No space left on device.*; make room and publish again"):
            publish()
    assert hub.count("/commit/") == 0
    publish()
    assert_all_there(hub, run)


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_an_interrupted_process(publish, hub, run, moment, monkeypatch):
    def killed(*args, **facts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        owner, name = (HubPublisher, "_commit") if moment == "before the commit" else (Ledger, "note")
        patched.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            publish()
    assert publish().unchanged == ([] if moment == "before the commit" else ["chck_1M"])
    assert [commits(hub, name) for name in ("main", *MILESTONES)] == [1, 1, 1]
    assert_all_there(hub, run)


def test_a_process_killed_in_the_middle_of_an_upload(publish, hub, run):
    killed = threading.Event()
    held = hub.fail("PUT /upload/", status=200, do=lambda: killed.wait(180))
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from huggingface_hub import HfApi\nfrom babylm_hf.publishing import HubPublisher\n"
        f"HubPublisher(HfApi(endpoint=sys.argv[1], token={hub.token!r}), 'me/toy', sys.argv[2]).publish()\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", code, hub.url, str(run), str(TESTS.parent)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while held.times and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed.set()
    assert held.times == 0, "it was uploading"
    assert publish().sent == [*MILESTONES, "main"]
    assert_all_there(hub, run)


def test_a_token_that_expires_on_the_way(publish, hub, run):
    accounts = hub.store.accounts
    hub.fail("POST .*/commit/chck_2M", status=200, do=lambda: accounts.pop(hub.token))
    with pytest.raises(PublishError, match=r"2 of 3 parts .* refuses the access token: it is not valid, or has"):
        publish()
    accounts[hub.token] = Account("me")
    assert publish().sent == ["chck_2M", "main"]
    assert_all_there(hub, run)


def test_no_network_at_all(publish, run, hub, retry, waits):
    nowhere = HubPublisher(HfApi(endpoint="http://127.0.0.1:9", token=hub.token), "me/toy", run, retry=retry)
    with pytest.raises(PublishError, match="the Hub cannot be reached; try again later"):
        nowhere.publish()
    publish()
    assert_all_there(hub, run)


def test_bytes_damaged_on_the_way_are_found(publish, hub, run):
    def damage():
        commit = hub.repository("me/toy").resolve("chck_1M")
        blob = commit.files["config.json"]
        commit.files["config.json"] = type(blob)(blob.content[:-2] + b"!\n", False)

    hub.fail("GET .*/tree/", status=200, skip=2, do=damage)
    with pytest.raises(PublishError, match=r"chck_1M, does not hold config\.json as sent; publish again"):
        publish()
    hub.repository("me/toy").branches.pop("chck_1M")
    assert publish().sent == ["chck_1M"]
    assert_all_there(hub, run)


def test_weights_that_change_while_they_are_sent(publish, hub, run):
    hub.fail("POST .*/preupload/", status=200, do=lambda: save_model(run / "chck_1M", 77))
    with pytest.raises(PublishError, match="chck_1M"):
        publish()
    publish()
    assert_all_there(hub, run)


def test_a_torn_ledger_is_gone_on_with(publish, hub, run):
    publish()
    ledger = run / "published.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-30])
    assert publish().sent == []
    assert len(Ledger(ledger, hub.url, "me/toy").entries("commit")) == 3


def test_a_milestone_deleted_here_stays_on_the_hub(publish, hub, run):
    publish()
    (run / "chck_1M" / "model.safetensors").unlink()
    for path in (run / "chck_1M").iterdir():
        path.unlink()
    (run / "chck_1M").rmdir()
    assert publish().unchanged == ["chck_2M", "main"]
    assert commits(hub, "chck_1M") == 1


def test_a_milestone_missing_here_and_there_is_named(publish, hub, run):
    (run / "chck_2M").rename(run / "elsewhere")
    with pytest.raises(RunFolderError, match=r"lacks chck_2M, .* or pass --partial"):
        publish()
    assert hub.requests == []


def test_failures_are_in_the_ledger(publish, hub, run):
    hub.fail("POST .*/commit/chck_1M", status=400)
    with pytest.raises(PublishError):
        publish()
    (failure,) = Ledger(run / "published.jsonl", hub.url, "me/toy").entries("failure")
    assert failure["revision"] == "chck_1M"
    assert re.search("400", failure["error"])
