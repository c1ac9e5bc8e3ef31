"""Tasks at every milestone of a run: functions for `BabyLMTrainer(milestone_tasks=...)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from .folders import data_root
from .scoring_plan import Backend
from .suite import TaskSuite
from .tasks.base import State

Measure = Callable[[Any, Any, str | None], dict[str, Any]]


def milestone_tasks(
    names: Sequence[str], data: str | Path | None, backend: Backend, *, state: State = "p26", fast: bool = True
) -> dict[str, Measure]:
    """A function of (model, tokenizer, milestone) for each task, which gives its metrics for the record.

    Args:
        names: tasks, as in `babylm-hf evaluate --tasks`.
        data: the official evaluation data.
        backend: how the model is scored.
        state: whose reading of the tasks.
        fast: the subsamples for checkpoints; the final model is measured on the same data, so that the curve is one.

    Raises:
        OptionError: the data of a task are missing or cannot be read. A run is not started without what it should
            measure.
    """
    root = None if data is None else data_root(data)
    found: dict[str, Measure] = {}
    for name in names:
        suite = TaskSuite([name], root, fast=fast, state=state)
        (task,) = suite.tasks
        if task == "aoa":
            raise OptionError("--eval_tasks aoa: its score needs all checkpoints; use babylm-hf evaluate --milestones.")
        about = {}
        if data is not None and "=" not in name and not Path(data).exists():  # a data set on the Hub, with its own id
            about = {"dataset": {"id": str(data), "task": suite.tasks[task].folder}}
        found[task] = _measure(suite, task, backend, about)
    return found


def _measure(suite: TaskSuite, task: str, backend: Backend, about: dict[str, Any]) -> Measure:
    def measure(model: Any, tokenizer: Any, milestone: str | None) -> dict[str, Any]:
        results, failures, _ = suite.score(model, tokenizer, backend)
        if failures:
            raise OptionError(f"--eval_tasks: {failures[task]}")
        facts: dict[str, Any] = {"scoring": suite.state, "precision": _precision(model)}
        if about:
            facts["about"] = about
        if milestone is None and results[task].outcomes:
            facts["outcomes"] = results[task].outcomes
        return {**facts, **_for_record(results[task].metrics)}

    return measure


def _precision(model: Any) -> str:
    return str(next(model.parameters()).dtype).removeprefix("torch.")


def _for_record(metrics: dict[str, Any]) -> dict[str, Any]:
    """What a record keeps of the metrics: the parts that every item has its own name for are left out."""
    kept = {name: value for name, value in metrics.items() if not name.startswith("by_")}
    if len(kept.get("paradigms", ())) == kept.get("items"):
        del kept["paradigms"]
    if not kept.get("phenomena"):
        kept.pop("phenomena", None)
    return kept
