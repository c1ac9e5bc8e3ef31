"""In a run of several processes a mistake is said once a machine, and a fault by the process that met it."""

from __future__ import annotations

import pytest

from babylm_hf.errors import OptionError, PeerLost, Preempted, TrainingError
from babylm_hf.recipe import Recipe

RECIPE = Recipe(name="r", title="r", paper={})


@pytest.mark.parametrize(
    ("error", "process", "local", "said"),
    [
        (OptionError("--x"), 0, 0, "error: --x"),
        (OptionError("--x"), 1, 1, ""),
        (OptionError("--x"), 8, 0, "error in process 8: --x"),
        (TrainingError("rows 3"), 1, 1, "error in process 1: rows 3"),
        (PeerLost("gone"), 1, 1, ""),
        (PeerLost("gone"), 8, 0, "error in process 8: gone"),
        (Preempted("asked"), 0, 0, "stopped: asked"),
        (Preempted("asked"), 1, 1, ""),
    ],
)
def test_who_says_what(capsys, monkeypatch, error, process, local, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(Recipe, "parse", fail)
    monkeypatch.setenv("RANK", str(process))
    monkeypatch.setenv("LOCAL_RANK", str(local))
    with pytest.raises(SystemExit) as stopped:
        RECIPE.main([])
    assert stopped.value.code == (75 if isinstance(error, Preempted) else 2)
    assert capsys.readouterr().err.strip() == said
