"""Measurements and curves, read from the events of a record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .record import Event

PAIR_CHANCE = 0.5

_TITLES = {
    "held_out": "Held-out text",
    "toy_pairs": "Minimal pairs of the toy language",
    "minimal_pairs": "Minimal pairs",
    "blimp": "BLiMP",
    "supplement": "BLiMP supplement",
    "ewok": "EWoK",
    "comps": "COMPS",
    "wug_adj": "Wug test, adjective nominalisation",
    "wug_past": "Wug test, past tense",
    "global_piqa_parallel": "GlobalPIQA, parallel",
    "global_piqa_nonparallel": "GlobalPIQA, nonparallel",
    "reading": "Reading times",
}
# Numbers about a measurement, which are no scores.
_COUNTS = ("targets", "pairs", "items", "ties", "near_ties", "not_a_number", "accuracy_p25", "accuracy_over_pairs")


@dataclass(frozen=True)
class Measurement:
    """One evaluation of one model.

    Attributes:
        task: `held_out`, `toy_pairs`, ...
        title: the task in words.
        step: optimizer steps done.
        words: words seen.
        milestone: the milestone that was measured, if it was one.
        scores: the numbers that count; losses in nats, accuracies as fractions. None where not finite.
        phenomena: accuracy of each phenomenon, for minimal pairs.
        sizes: number of pairs of each phenomenon, where it was counted.
        counts: how many targets, pairs and ties there were.
        chance: accuracy of a guess, for minimal pairs.
    """

    task: str
    title: str
    step: int
    words: int
    milestone: str | None
    scores: dict[str, float | None]
    phenomena: dict[str, float | None] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    chance: float | None = None

    def error(self, phenomenon: str | None = None) -> float | None:
        """Standard error of an accuracy, as a fraction, if its pairs were independent; None where not counted."""
        share = self.scores.get("accuracy") if phenomenon is None else self.phenomena.get(phenomenon)
        size = self.counts.get("pairs") if phenomenon is None else self.sizes.get(phenomenon)
        return math.sqrt(share * (1 - share) / size) if share is not None and size else None

    @property
    def is_pairs(self) -> bool:
        """Whether it scores minimal pairs."""
        return self.chance is not None


def measurement(event: Event) -> Measurement:
    """A measurement from an event of kind `evaluation`."""
    metrics: dict[str, Any] = dict(event["metrics"])
    task = event["task"]
    # The Trainer puts `eval_`, and for a named part of the held-out text its name, in front of every metric.
    prefix = next((name[: -len("loss")] for name in metrics if name.endswith("loss")), "")
    part = prefix.removeprefix("eval_").strip("_")
    metrics = {name.removeprefix(prefix): value for name, value in metrics.items()}
    phenomena = dict(metrics.get("phenomena") or {})
    pairs = "phenomena" in metrics
    numbers: dict[str, float | None] = {name: value for name, value in metrics.items() if _is_number(value)}
    chance = numbers.pop("chance", None)
    names = [name for name in numbers if name not in _COUNTS]
    title = event.get("title") or _TITLES.get(task, task.replace("_", " ").capitalize())
    return Measurement(
        task=f"{task}_{part}" if part else task,
        title=f"{title} ({part})" if part else title,
        step=event.get("step", 0),
        words=event.get("words", 0),
        milestone=event.get("milestone"),
        scores={name: numbers[name] for name in names},
        phenomena=phenomena,
        sizes=dict(metrics.get("phenomenon_pairs") or {}),
        counts={name: int(value) for name, value in numbers.items() if name in _COUNTS and value is not None},
        chance=event.get("chance", PAIR_CHANCE if chance is None else chance) if pairs else event.get("chance"),
    )


def _is_number(value: Any) -> bool:
    """Whether it is a number; None is one that was not finite."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def latest(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    """The last measurement of each task."""
    return {found.task: found for found in measurements}


def by_step(measurements: Iterable[Measurement]) -> list[Measurement]:
    """One measurement a step, the last one made there, in order of steps."""
    return [found for _, found in sorted({found.step: found for found in measurements}.items())]


@dataclass(frozen=True)
class Curve:
    """A number over the run.

    Attributes:
        x: words seen, or steps where words were not counted.
        y: the number at each x.
    """

    x: Sequence[float]
    y: Sequence[float]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Curves:
    """Everything that is drawn over the run.

    Attributes:
        unit: "words" or "steps".
        total: where the run ends, in that unit.
        milestones: (name, x) of each milestone reached.
        training: training loss, nats per target.
        rate: planned mask rate.
        realised: share of maskable tokens that were targets.
        held_out: title -> loss on held-out text.
        pairs: title -> accuracy on minimal pairs.
        phenomena: title -> phenomenon -> accuracy.
        weights: "highest", "top", "bottom", "lowest" -> mask weight as a multiple of the mean.
        groups: "bands" (of frequency) and "classes" (of words) -> group -> mean weight as a multiple of the mean.
        chance: accuracy of a guess.
        baselines: name -> held-out loss, nats per target.
    """

    unit: str
    total: float
    milestones: list[tuple[str, float]]
    training: Curve
    rate: Curve
    realised: Curve
    held_out: dict[str, Curve]
    pairs: dict[str, Curve]
    phenomena: dict[str, dict[str, Curve]]
    weights: dict[str, Curve]
    groups: dict[str, dict[str, Curve]]
    chance: float
    baselines: dict[str, float]


def curves(events: Sequence[Event], baselines: dict[str, float] | None = None) -> Curves:
    """All curves of a run from its events."""
    unit = "words" if any(event.get("words") for event in events) else "steps"
    axis = "words" if unit == "words" else "step"
    logs = [event for event in events if event["kind"] == "log"]
    found = [measurement(event) for event in events if event["kind"] == "evaluation"]
    tasks = {m.title: by_step(other for other in found if other.title == m.title) for m in found}

    def place(point: Measurement) -> float:
        return point.words if unit == "words" else point.step

    def score(points: Sequence[Measurement], name: str) -> Curve:
        return _curve((place(point), point.scores.get(name)) for point in points)

    pairs = {title: points for title, points in tasks.items() if points[0].is_pairs}
    return Curves(
        unit=unit,
        total=max((event.get(axis) or 0 for event in events), default=0),
        milestones=[(e["name"], _reached(e, axis)) for e in events if e["kind"] == "milestone"],
        training=_logged(logs, axis, "loss"),
        rate=_logged(logs, axis, "mask_rate"),
        realised=_logged(logs, axis, "mask_rate_realised"),
        held_out={title: score(points, "loss") for title, points in tasks.items() if "loss" in points[0].scores},
        pairs={title: score(points, "accuracy") for title, points in pairs.items()},
        phenomena={
            title: {
                name: _curve((place(point), point.phenomena.get(name)) for point in points)
                for name in points[-1].phenomena
            }
            for title, points in pairs.items()
        },
        weights=_weights([event for event in events if event["kind"] == "policy"], axis),
        groups=_groups([event for event in events if event["kind"] == "policy"], axis),
        chance=next((points[0].chance for points in pairs.values() if points[0].chance is not None), PAIR_CHANCE),
        baselines=dict(baselines or {}),
    )


def _curve(points: Iterable[tuple[float, float | None]]) -> Curve:
    known = [(x, y) for x, y in points if y is not None]
    return Curve([x for x, _ in known], [y for _, y in known])


def _reached(event: Event, axis: str) -> float:
    """Where a milestone was saved: at the words seen by then, which may be a few more than its target."""
    return event.get("words_seen") or event.get("words") or 0 if axis == "words" else event["step"]


def _logged(logs: Sequence[Event], axis: str, name: str) -> Curve:
    return _curve((event.get(axis) or 0, event.get(name)) for event in logs)


def _weights(updates: Sequence[Event], axis: str) -> dict[str, Curve]:
    """Mask weights as multiples of their mean: only ratios decide which tokens are masked."""
    picked = {
        "highest": lambda event: event["max"],
        "top": lambda event: _mean_weight(event["top"]),
        "bottom": lambda event: _mean_weight(event["bottom"]),
        "lowest": lambda event: event["min"],
    }
    usable = [event for event in updates if event.get("mean") and event.get("top") and event.get("bottom")]
    return {
        name: _curve((event.get(axis) or 0, pick(event) / event["mean"]) for event in usable)
        for name, pick in picked.items()
        if usable
    }


def _groups(updates: Sequence[Event], axis: str) -> dict[str, dict[str, Curve]]:
    """Mean weights by group; updates that came before there was any weight have none."""
    found: dict[str, dict[str, Curve]] = {}
    for kind in ("bands", "classes"):
        names = list(dict.fromkeys(name for event in updates for name in event.get(kind) or {}))
        made = {n: _curve((e.get(axis) or 0, (e.get(kind) or {}).get(n)) for e in updates) for n in names}
        if made:
            found[kind] = made
    return found


def _mean_weight(listed: Sequence[Sequence[float]]) -> float:
    return sum(float(entry[1]) for entry in listed) / len(listed)
