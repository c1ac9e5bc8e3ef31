"""What two configurations earned on the same items, paradigm by paradigm, from the outcomes in their records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..evaluation.outcomes import credits_of
from ..publishing.measurements import measurement
from .runs import Configuration, Run
from .statistics import Stratum, stratum

# Recorded scores are rounded nowhere: what the outcomes add up to must be the same number.
_CLOSE = 1e-9

Outcomes = Mapping[str, Mapping[str, Any]]


def strata(ours: Configuration, base: Configuration, task: str, phenomenon: str | None = None) -> list[Stratum] | None:
    """The paired differences of a task's main score, or of a phenomenon, item by item.

    Returns:
        None where a record has no outcomes of its final model, the items are not the same, or the outcomes do not add
        up to the score that was recorded.
    """
    runs = [*ours.runs.values(), *base.runs.values()]
    found = [_outcomes(run, task) for run in runs]
    if any(one is None for one in found) or len({one["sha256"] for one in found if one}) != 1:
        return None
    read = {id(run): _paradigms(one["paradigms"], phenomenon) for run, one in zip(runs, found, strict=True) if one}
    if any(not _adds_up(read[id(run)], _recorded(run, task, phenomenon)) for run in runs):
        return None
    weights = {name: weight for name, (weight, _) in read[id(runs[0])].items()}

    def credits(one: Configuration, name: str) -> dict[int, np.ndarray]:
        return {seed: read[id(run)][name][1] for seed, run in one.runs.items()}

    return [stratum(weight, credits(ours, name), credits(base, name)) for name, weight in weights.items()]


def units(ours: Configuration, base: Configuration, task: str) -> list[Stratum]:
    """Where no single outcomes are recorded: the paradigms that both have, or else phenomena, as if they were items."""
    means = []
    for one in (ours, base):
        runs = {seed: _named(run, task) for seed, run in one.runs.items()}
        shared = set.intersection(*map(set, runs.values()))
        means.append({seed: {name: values[name] for name in shared} for seed, values in runs.items()})
    names = sorted(set(next(iter(means[0].values()))) & set(next(iter(means[1].values()))))
    if not names:
        return []
    a, b = ({seed: np.array([v[name] for name in names]) for seed, v in side.items()} for side in means)
    return [stratum(1.0, a, b)]


def _outcomes(run: Run, task: str) -> dict[str, Any] | None:
    found = run.record.outcomes(task)
    return found if found and found["step"] == run.facts["position"]["step"] else None


def _paradigms(listed: Outcomes, phenomenon: str | None) -> dict[str, tuple[float, np.ndarray]]:
    """Weight and credits of each paradigm; within a phenomenon every item counts the same."""
    chosen = {name: one for name, one in listed.items() if phenomenon is None or one["phenomenon"] == phenomenon}
    total = sum(len(one["outcomes"]) for one in chosen.values())

    def weight(one: Mapping[str, Any]) -> float:
        return float(one["weight"]) if phenomenon is None else len(one["outcomes"]) / total

    return {name: (weight(one), credits_of(one["outcomes"])) for name, one in sorted(chosen.items())}


def _adds_up(paradigms: Mapping[str, tuple[float, np.ndarray]], recorded: float | None) -> bool:
    score = sum(weight * credits.mean() for weight, credits in paradigms.values())
    return bool(paradigms) and recorded is not None and math.isclose(score, recorded, abs_tol=_CLOSE)


def _metrics(run: Run, task: str) -> dict[str, Any]:
    step = run.facts["position"]["step"]
    events = [e for e in run.record.events("evaluation") if measurement(e).task == task and e.get("step") == step]
    return dict(events[-1]["metrics"]) if events else {}


def _recorded(run: Run, task: str, phenomenon: str | None) -> float | None:
    metrics = _metrics(run, task)
    value = metrics.get("accuracy") if phenomenon is None else (metrics.get("phenomena") or {}).get(phenomenon)
    return None if value is None else float(value)


def _named(run: Run, task: str) -> dict[str, float]:
    metrics = _metrics(run, task)
    found = metrics.get("paradigms") or metrics.get("phenomena") or {}
    return {name: float(value) for name, value in found.items() if value is not None}
