"""Threads of a run that `accelerate launch` started."""

from __future__ import annotations

import os

import pytest

from babylm_hf.environment import MOST_THREADS, use_the_cores


def threads(monkeypatch: pytest.MonkeyPatch, cores: int, **environment: str) -> str | None:
    for name in ("ACCELERATE_MIXED_PRECISION", "WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    use_the_cores()
    return os.environ.get("OMP_NUM_THREADS")


def test_a_single_launched_process_gets_the_cores_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = {"ACCELERATE_MIXED_PRECISION": "no", "OMP_NUM_THREADS": "1"}
    assert threads(monkeypatch, 2, **launched) == "2"
    assert threads(monkeypatch, 64, **launched) == str(MOST_THREADS)
    assert threads(monkeypatch, 2, **launched, WORLD_SIZE="1") == "2"


def test_whatever_was_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = {"ACCELERATE_MIXED_PRECISION": "no"}
    assert threads(monkeypatch, 4, OMP_NUM_THREADS="1") == "1"  # plain python
    assert threads(monkeypatch, 4) is None
    assert threads(monkeypatch, 4, **launched, OMP_NUM_THREADS="1", WORLD_SIZE="2") == "1"
    assert threads(monkeypatch, 4, **launched, OMP_NUM_THREADS="3") == "3"
