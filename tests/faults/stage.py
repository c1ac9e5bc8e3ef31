"""A small run that was stopped in the middle, for faults to happen to."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stops import StopAfter
from tiny import tiny_stream, tiny_trainer
from transformers import TrainerCallback

from babylm_hf.training import RecordCallback
from babylm_hf.training.integrity import write_checksums

STEPS = 6
OPTIONS: dict[str, Any] = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 2, "milestones": "300"}
CARD = {"name": "toy", "card": {"licence": "mit", "language": "en", "author": None}}


class At(TrainerCallback):
    """Does something in the middle of a step, counted from 0."""

    def __init__(self, step: int, do: Callable[[], Any]) -> None:
        self.step, self.do = step, do

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.do()


@dataclass
class Stage:
    """A folder with a run that has checkpoints of steps 2 and 4, a milestone, and 2 steps to go.

    Attributes:
        folder: with `run` in it, and `data`.
        rows: what it was trained on.
        monkeypatch: of the test.
    """

    folder: Path
    rows: Any
    monkeypatch: pytest.MonkeyPatch

    @property
    def run(self) -> Path:
        """The output folder."""
        return self.folder / "run"

    @property
    def newest(self) -> Path:
        """The newest checkpoint."""
        return self.run / "checkpoint-4"

    def trainer(self, *callbacks: Any, output: str = "run", **options: Any) -> Any:
        """A trainer for the run, or for another output folder."""
        rows = options.pop("rows", self.rows)
        given = [RecordCallback(CARD), *callbacks]
        return tiny_trainer(self.folder, rows, callbacks=given, output_dir=self.folder / output, **OPTIONS | options)

    def resume(self, *callbacks: Any, **options: Any) -> Any:
        """Go on from the newest whole checkpoint to the end."""
        trainer = self.trainer(*callbacks, **options)
        trainer.train(resume_from_checkpoint="auto")
        return trainer

    def fresh(self, *callbacks: Any, **options: Any) -> Any:
        """A new run, in another folder, to its end."""
        trainer = self.trainer(*callbacks, output="other", **options)
        trainer.train()
        return trainer

    def forge(self) -> None:
        """Make the newest checkpoint's checksums fit what has been done to it."""
        write_checksums(self.newest)

    def digest(self, *names: str) -> dict[str, str]:
        """sha256 of every file in some folders of the run."""
        files = [path for name in names for path in sorted((self.run / name).rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def build(folder: Path) -> Any:
    """The run, made once; returns its rows."""
    rows = tiny_stream(folder / "data", words=1500)
    Stage(folder, rows, pytest.MonkeyPatch()).trainer(StopAfter(4, save=False)).train()
    return rows


def copy(made: Path, rows: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A run of one's own."""
    shutil.copytree(made / "run", folder / "run")
    return Stage(folder, rows, monkeypatch)


def cut(path: Path) -> None:
    """Leave out the last bytes of a file."""
    os.truncate(path, path.stat().st_size - 3)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def quick(drawings: Any) -> Any:
    """The figures of cards as a few bytes each: drawing them takes longer than a run."""
    return lambda curves: [dataclasses.replace(d, draw=lambda: b"\x89PNG\r\n") for d in drawings(curves)]
