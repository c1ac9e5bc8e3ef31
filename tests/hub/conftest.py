"""Every test here talks to a Hub of its own on this machine; nobody's cache or token is touched, nobody waits."""

from __future__ import annotations

import dataclasses
import time
import types

import pytest
from hub.double import HubDouble
from hub.runs import copy_run, make_run, publisher_of
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import disable_progress_bars

from babylm_hf.publishing.figures import drawings
from babylm_hf.publishing.retry import Retry


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub, and a client library that knows no other."""
    with HubDouble() as double:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "ENDPOINT", double.url)
        template = double.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        disable_progress_bars()
        yield double


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client library would have waited; it does not."""
    seconds: list[float] = []
    quick = types.SimpleNamespace(**{**vars(time), "sleep": seconds.append})  # the others' `time` stays as it is
    monkeypatch.setattr("huggingface_hub.utils._http.time", quick)
    return seconds


@pytest.fixture
def api(hub, waits):
    """A client with a token that may write."""
    return HfApi(endpoint=hub.url, token=hub.token)


@pytest.fixture
def retry():
    """Retries at once; `retry.waited` has the seconds it would have waited."""
    waited: list[float] = []
    made = Retry(sleep=waited.append)
    made.waited = waited
    return made


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes a second each time: the files that a fixture has once drawn stay as they are."""

    def quick(curves):
        return [dataclasses.replace(drawing, draw=lambda: b"\x89PNG\r\n") for drawing in drawings(curves)]

    monkeypatch.setattr("babylm_hf.publishing.card.drawings", quick)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run for all tests, which none may write to."""
    return make_run(tmp_path_factory.mktemp("made") / "toy")


@pytest.fixture
def run(finished, tmp_path):
    """A run of the test's own."""
    return copy_run(finished, tmp_path / "toy")


@pytest.fixture
def publish(run, hub, api, retry):
    """Publishes the run anew at every call, as a new process would."""

    def anew(tag=None, partial=False, **options):
        return publisher_of(run, hub, retry, **options).publish(tag=tag, partial=partial)

    return anew
