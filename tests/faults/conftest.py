"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest
from faults.stage import build, copy, quick

from babylm_hf.publishing.figures import drawings


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of a run that was stopped in the middle, and its rows."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("babylm_hf.publishing.card.drawings", quick(drawings))
        return folder, build(folder)


@pytest.fixture
def stage(made, tmp_path, monkeypatch):
    """A copy of that run for one test."""
    monkeypatch.setattr("babylm_hf.publishing.card.drawings", quick(drawings))
    return copy(*made, tmp_path, monkeypatch)
