"""A report people can read: the scores of an evaluation as a table, as figures, and as JSON.

Scores are printed times 100 beside what guessing gives and, where it was measured, beside the untrained model's score:
without those two numbers no score of a small model means anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from .report_figures import phenomenon_figure, words_figure
from .score_rows import ScoreRow, as_dict, group_rows, task_rows

__all__ = ["ScoreRow", "as_dict", "group_rows", "phenomenon_figure", "render_table", "task_rows", "words_figure"]

WIDTH = 80
_COLUMNS = ("score", "chance", "floor", "n")
_SIZES = (11, 7, 7, 9)


def render_table(results: Iterable[ScoreRow], *, paradigms: bool = False) -> str:
    """The scores as a table of at most 80 columns: every task, under it its groups.

    Args:
        results: rows in the order in which they are printed.
        paradigms: print the rows within the groups too.
    """
    rows = list(results)
    lines = [_line("", *_COLUMNS)]
    notes: list[str] = []
    for task, summary in task_rows(rows).items():
        lines += ["-" * WIDTH, _score_line(_title(summary), summary, notes)]
        lines += [_score_line(label, row, notes) for label, row in _parts(rows, task, paradigms)]
    lines += ["-" * WIDTH, "scores times 100; chance: guessing; floor: the untrained model; n: items"]
    for index, note in enumerate(notes):
        star = "*" * (1 + index) + " "
        lines += textwrap.wrap(note, WIDTH, initial_indent=star, subsequent_indent=" " * len(star))
    return "\n".join(lines)


def _parts(rows: list[ScoreRow], task: str, paradigms: bool) -> Iterator[tuple[str, ScoreRow]]:
    """What stands below a task: its groups, or the rows of a task that has none, and on demand the rows of groups."""
    groups = group_rows(rows, task)
    loose = [row for row in rows if row.task == task and row.name and not row.group]
    summary = task_rows(rows)[task]
    if len(loose) > 1 or groups or summary in rows:
        for row in loose:
            metric = "" if row.metric == summary.metric else f" ({row.metric})"
            yield f"  {_words(row.name)}{metric}", row
    for group, row in groups.items():
        yield f"  {_words(group)}", row
        within = [one for one in rows if one.task == task and one.group == group and one.name]
        if paradigms and (len(within) > 1 or any(one.name != group for one in within)):
            yield from ((f"    {one.name}", one) for one in within)


def _title(row: ScoreRow) -> str:
    return row.task if row.metric == "accuracy" else f"{row.task} ({row.metric})"


def _score_line(label: str, row: ScoreRow, notes: list[str]) -> str:
    score = _times_100(row.score) + (f" ±{100 * row.spread:.1f}" if row.spread is not None else "")
    if row.note:
        if row.note not in notes:
            notes.append(row.note)
        label += " " + "*" * (1 + notes.index(row.note))
    return _line(label, score, _times_100(row.chance), _times_100(row.floor), f"{row.n:,}")


def _line(label: str, *values: str) -> str:
    cells = "".join(f"{value:>{size}}" for value, size in zip(values, _SIZES, strict=True))
    room = WIDTH - len(cells)
    return (label if len(label) <= room else label[: room - 1] + "…").ljust(room) + cells


def _times_100(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
