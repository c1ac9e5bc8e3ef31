"""What every task has in common: a description, items, and results in one form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import CorpusError
from ...lines import json_lines
from ..score_rows import ScoreRow
from ..scoring_plan import AnyRequest

State = Literal["p25", "p26"]
"""The two states of the official scoring code, which give different numbers."""

Ties = Literal["first", "coin", "half"]
"""What equal best scores earn: `first` the first candidate's verdict, as `p25`; `coin` a draw, as `p26`; `half` the
expected value of the draw, one half for two candidates."""

NEAR_TIE = 1e-4  # margins in nats below which another order of summation may decide


def default_ties(state: State) -> Ties:
    """The policy a state is reported with: its own, or for the unseeded draw of `p26` the expected value of it."""
    return "first" if state == "p25" else "half"


@dataclass(frozen=True)
class TaskResult:
    """What a task makes of the scores of one model.

    Attributes:
        task: its name.
        metric: name of the main score.
        score: the main score as a fraction.
        rows: all scores, for tables and figures.
        metrics: everything that is written as JSON, scores as fractions.
        predictions: what the official `predictions.json` holds; None for tasks outside it.
        scores: float64, a row for each item: summed (or mean) log-probability of each candidate, NaN beyond the last.
        records: for tasks that report one line a row, those lines.
        files: further files of the official result tree, name -> text.
        folder: name of the data folder, which official results are filed under.
        outcomes: of every item, as `babylm_hf.evaluation.outcomes` writes them; None for tasks without right and wrong.
    """

    task: str
    metric: str
    score: float
    rows: tuple[ScoreRow, ...]
    metrics: dict[str, Any]
    predictions: dict[str, Any] | None = None
    scores: np.ndarray | None = None
    records: tuple[dict[str, Any], ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    outcomes: dict[str, Any] | None = None


class Task(ABC):
    """The data of a task, read; it can score any number of models.

    Attributes:
        name: of the task.
        folder: name of the folder or file stem the data came from, which official results are filed under.
    """

    name: str
    folder: str

    @abstractmethod
    def requests(self, tokenizer: Any, backend: str) -> list[AnyRequest]:
        """What a model is asked, for one tokenizer."""

    @abstractmethod
    def result(self, values: Sequence[np.ndarray], ties: Ties) -> TaskResult:
        """The scores, from the log-probabilities of each request's tokens, in the order of `requests`."""

    @abstractmethod
    def source(self, request: int) -> str:
        """Where a request's item stands: file and line."""


@dataclass(frozen=True)
class TaskSpec:
    """A task that can be asked for by name.

    Attributes:
        name: on the command line.
        title: in words.
        chance: what guessing scores, as a fraction; None where guessing has no score.
        load: reads the data at a path, in the reading of a state.
        full: name of the folder in `full_eval`; None where there is none.
        fast: name of the folder in `fast_eval`; None for a task that is not scored at checkpoints.
        official: name of the task's folder in the official result tree; None for tasks outside it.
        states: where the official pipeline has it.
        same_data: whether full and fast data are the same, so that either may stand in for the other.
        floor: published scores of an untrained model where they are far from chance, in words.
    """

    name: str
    title: str
    chance: float | None
    load: Callable[[Path, State], Task]
    full: str | None = None
    fast: str | None = None
    official: str | None = None
    states: tuple[State, ...] = ("p25", "p26")
    same_data: bool = False
    floor: str = ""


def read_rows(path: Path, what: str, fields: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, Path]]:
    """The lines of a `.jsonl` file or of all those of a folder, in the order of their names: row, place, file.

    Args:
        path: file or folder.
        what: what an item is called in a message.
        fields: the fields an item needs, and their types.

    Raises:
        CorpusError: nothing there, or a line that is no such item; the message names the file and the line.
    """
    if not path.exists():
        raise CorpusError(f"{path}: no such file or folder of {what}.")
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"{path}: the folder has no .jsonl file of {what}.")
    for file in files:
        found = 0
        for row, place in json_lines(file):
            found += 1
            yield _checked(row, place, what, fields), place, file
        if not found:
            raise CorpusError(f"{file}: the file holds no {what}.")


def _checked(row: Any, place: str, what: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row if isinstance(row, dict) else {}
    for name, kind in fields.items():
        if not isinstance(found.get(name), kind):
            words = {"str": "text", "list": "list"}.get(getattr(kind, "__name__", ""), "number")
            raise CorpusError(f"{place}: an item of {what} needs the {words} field {name}.")
    return found


@dataclass
class Counts:
    """Correct and all, by name, in the order in which the names came."""

    earned: dict[str, float] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, credit: float) -> None:
        """One more item under a name."""
        self.earned[name] = self.earned.get(name, 0.0) + credit
        self.total[name] = self.total.get(name, 0) + 1

    def accuracy(self) -> dict[str, float]:
        """Share that is correct, by name."""
        return {name: self.earned[name] / self.total[name] for name in self.total}
