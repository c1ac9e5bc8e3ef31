"""Learning curves of configurations over the words seen, with the spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..publishing.measurements import Measurement, measurement
from ..publishing.tables import main_score
from .runs import Configuration


@dataclass(frozen=True)
class Point:
    """One place of a curve.

    Attributes:
        words: seen by then, mean over seeds.
        mean: of the score.
        low: the lowest of the seeds.
        high: the highest.
        seeds: how many were measured there.
    """

    words: float
    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class LearningCurve:
    """One score over the words seen.

    Attributes:
        task: `held_out`, ...
        title: the task in words.
        name: of the score.
        chance: of a guess, where there is one.
        lines: label of a configuration -> its points, in order.
        milestones: words at the milestones of the baseline.
    """

    task: str
    title: str
    name: str
    chance: float | None
    lines: dict[str, list[Point]]
    milestones: list[float]

    @property
    def points(self) -> bool:
        """Whether the score is a share, shown in per cent."""
        return self.chance is not None or self.name.endswith("accuracy")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        lines = {label: [vars(point) for point in points] for label, points in self.lines.items()}
        return {"task": self.task, "score": self.name, "lines": lines}


def learning_curves(configurations: Sequence[Configuration], names: Mapping[str, str | None]) -> list[LearningCurve]:
    """The curves of all tasks that were measured at two places or more.

    A place is a milestone, or a step: runs of one configuration have the same plan but for the order of the text, and
    so all but the same words at each. The untrained model stands at no words.

    Args:
        configurations: what is compared.
        names: task -> the score that is followed.
    """
    found: dict[str, dict[str, dict[str, list[Measurement]]]] = {}
    for one in configurations:
        for run in one.runs.values():
            for result in _measured(run.record.events("evaluation")):
                places = found.setdefault(result.task, {}).setdefault(one.label, {})
                places.setdefault(_place(result), []).append(result)
    milestones = [row["words"] for row in next(iter(configurations[0].runs.values())).facts["milestones"]]
    curves = []
    for task, labels in found.items():
        first = next(iter(next(iter(labels.values())).values()))[0]
        name = names.get(task) or main_score(first)
        if name is None:
            continue
        lines = {label: _points(places, name) for label, places in labels.items()}
        if any(len(points) > 1 for points in lines.values()):
            curves.append(LearningCurve(task, first.title, name, first.chance, lines, milestones))
    return curves


def _measured(events: Sequence[Mapping[str, Any]]) -> list[Measurement]:
    """One measurement of a task at each step: the last, for the final model is measured on all items, not a sample."""
    return list({(m.task, m.step): m for m in map(measurement, map(dict, events))}.values())


def _place(result: Measurement) -> str:
    return result.milestone or f"step {result.step}"


def _points(places: Mapping[str, Sequence[Measurement]], name: str) -> list[Point]:
    points = []
    for results in places.values():
        values = [value for result in results if (value := result.scores.get(name)) is not None]
        if values:
            words = statistics.fmean(result.words for result in results)
            points.append(Point(words, statistics.fmean(values), min(values), max(values), len(values)))
    return sorted(points, key=lambda point: point.words)
