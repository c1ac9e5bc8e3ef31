"""Scores as rows: what every task hands to the table, the figures and the JSON of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ScoreRow:
    """One score of one task.

    A task's rows need not hold its overall score: without a row whose `group` and `name` are both empty it is the plain
    mean over the rows that have a name, and a group's score without a row that has no `name` the plain mean over its
    rows. A task that is averaged in another way (entity tracking: a mean of means) brings those rows along.

    Attributes:
        task: what was measured, such as `blimp`.
        group: the phenomenon, domain or item set within the task; empty if it has none.
        name: the paradigm or file within the group; empty for the score of the whole group or task.
        score: a fraction: accuracy and F1 0 to 1, a correlation -1 to 1; printed times 100.
        n: items that were scored.
        chance: what guessing gives, as a fraction; None where guessing has no score (reading times).
        floor: what the same model gives before training, as a fraction, where that was measured.
        metric: name of the score.
        spread: standard deviation over seeds, as a fraction, where there are several.
        note: what a reader must know before comparing the score, such as `first 100 examples only`.
    """

    task: str
    group: str
    name: str
    score: float
    n: int
    chance: float | None
    floor: float | None = None
    metric: str = "accuracy"
    spread: float | None = None
    note: str = ""


def task_rows(rows: Iterable[ScoreRow]) -> dict[str, ScoreRow]:
    """The overall score of each task, in the order in which the tasks come."""
    tasks: dict[str, list[ScoreRow]] = {}
    for row in rows:
        tasks.setdefault(row.task, []).append(row)
    return {task: _summary(found, task, "") for task, found in tasks.items()}


def group_rows(rows: Iterable[ScoreRow], task: str) -> dict[str, ScoreRow]:
    """The score of each group of a task, in the order in which the groups come; rows without a group are left out."""
    groups: dict[str, list[ScoreRow]] = {}
    for row in rows:
        if row.task == task and row.group:
            groups.setdefault(row.group, []).append(row)
    return {group: _summary(found, task, group) for group, found in groups.items()}


def as_dict(rows: Iterable[ScoreRow]) -> dict[str, Any]:
    """The rows by task, ready for JSON: overall score, groups, and every row as it is."""
    rows = list(rows)
    return {
        task: {
            **_fields(summary),
            "groups": {group: _fields(row) for group, row in group_rows(rows, task).items()},
            "rows": [asdict(row) for row in rows if row.task == task and row.name],
        }
        for task, summary in task_rows(rows).items()
    }


def _summary(rows: Sequence[ScoreRow], task: str, group: str) -> ScoreRow:
    """The row that has the score already, or the plain mean of those with a name."""
    given = [row for row in rows if row.group == group and not row.name]
    if given:
        return given[0]
    # Rows without a name are the groups' own scores: counting them too would count their items twice.
    single = [row for row in rows if row.name] or list(rows)
    return ScoreRow(
        task=task,
        group=group,
        name="",
        score=float(np.mean([row.score for row in single])),
        n=sum(row.n for row in single),
        chance=_mean([row.chance for row in single]),
        floor=_mean([row.floor for row in single]),
        metric=single[0].metric,
        # The spread of a mean is not the mean of the spreads: only the task itself can measure it.
        spread=single[0].spread if len(single) == 1 else None,
        note="; ".join(dict.fromkeys(row.note for row in single if row.note)),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _fields(row: ScoreRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in ("task", "group", "name")}
