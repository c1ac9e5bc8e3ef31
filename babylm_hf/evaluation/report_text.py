"""The printed report of one checkpoint: what was scored and how, the table, ties, and what could not be scored."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .report import WIDTH, render_table
from .score_rows import ScoreRow
from .suite import ModelResults
from .tasks import TASKS, task_spec


def rows_with_floor(found: ModelResults, floor: ModelResults | None) -> list[ScoreRow]:
    """All scores of a checkpoint, beside those of the untrained model where they were measured."""
    known = {
        (row.task, row.group, row.name): row.score
        for result in (floor.results.values() if floor is not None else ())
        for row in result.rows
    }
    note = "" if found.precision == "fp32" else f"{found.precision}: for monitoring, not comparable with other scores"
    return [
        replace(row, floor=known.get((row.task, row.group, row.name)), note=row.note or note)
        for result in found.results.values()
        for row in result.rows
    ]


def render_evaluation(found: ModelResults, floor: ModelResults | None = None, *, paradigms: bool = False) -> str:
    """The report of one checkpoint, ready to print.

    Args:
        found: its results.
        floor: those of the untrained model.
        paradigms: print every paradigm.
    """
    where = found.model + (f" at {found.revision}" if found.revision else "")
    lines = [
        where,
        _wrapped(
            f"{found.backend}, {found.precision}, scoring {found.state}, ties count as {found.ties}"
            + (", fast subsamples" if found.fast else "")
            + f", {found.seconds:.1f} s"
        ),
    ]
    rows = rows_with_floor(found, floor)
    if rows:
        lines.append(render_table(rows, paradigms=paradigms))
    notes = [*_without_rows(found), *_ties(found), *_floors(found, floor)]
    notes += [f"{task} has no score: {why}" for task, why in found.failures.items()]
    return "\n".join([*lines, *map(_wrapped, notes), ""])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _without_rows(found: ModelResults) -> Iterator[str]:
    for name, result in found.results.items():
        if not result.rows:
            yield f"{name}: {result.metric} {result.score:.3f} over {result.metrics['items']:,} items"


def _ties(found: ModelResults) -> Iterable[str]:
    for name, result in found.results.items():
        counts = result.metrics
        if any(counts.get(kind) for kind in ("ties", "near_ties", "not_a_number")):
            yield (
                f"{name}: {_counted(counts['ties'], 'tie')}, "
                f"{_counted(counts['near_ties'], 'margin')} under 0.0001 nats, "
                f"{_counted(counts['not_a_number'], 'item')} with scores that are no numbers"
                + _policies(counts.get("accuracy_by_ties"))
            )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _policies(accuracies: dict[str, float] | None) -> str:
    if not accuracies:
        return ""
    return "; accuracy " + ", ".join(f"{100 * value:.2f} with {policy}" for policy, value in accuracies.items())


def _floors(found: ModelResults, floor: ModelResults | None) -> Iterable[str]:
    if floor is None:
        for name in found.results:
            if name in TASKS and task_spec(name).floor:
                yield f"{name}: {task_spec(name).floor}; --floor measures this model's own"
