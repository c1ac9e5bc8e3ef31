"""The figures of a report: scores by phenomenon, and scores over the words seen. The same data gives the same bytes.

matplotlib is imported when something is drawn, without a display, and nothing of its global state is touched.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .score_rows import ScoreRow, group_rows, task_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _FAINT = "#1f2933", "#69757f", "#dfe4e8"
_BLUE, _LIGHT_BLUE, _ORANGE = "#1d5f9e", "#9cc3e4", "#c8651b"
_CURVES = (_BLUE, "#3d7f5c", "#7a4a94", "#a03d3d", "#8a6d1d", _INK)
_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": _MUTED,
    "ytick.color": _INK,
    "text.color": _INK,
}
_WIDTH, _ROW = 7.2, 0.235  # inches
# Words on an axis wider than this are drawn logarithmically: most of the learning lies in its first tenth.
_LOG_RANGE = 20


def phenomenon_figure(results: Sequence[ScoreRow], path: str | Path) -> str:
    """Draw every task and its phenomena with chance and untrained floor, as a PNG.

    Args:
        results: rows of any number of tasks, in the order in which they are drawn.
        path: where the PNG goes; its folder is made.

    Returns:
        the alternative text, which the file carries as its description too.

    Raises:
        OptionError: there is nothing to draw.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    lines = _lines(results)
    if not lines:
        raise OptionError("There are no scores to draw.")
    alt = _phenomenon_alt(results)
    with matplotlib.style.context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.95 + _ROW * (lines[-1].y + 1)), layout="constrained")
        _phenomenon_axes(figure.subplots(), lines)
        _save(figure, path, alt)
    return alt


def words_figure(
    curve: Mapping[str, Sequence[tuple[int, float]]], path: str | Path, *, chance: Mapping[str, float] | None = None
) -> str:
    """Draw scores over the words that the model has seen, as a PNG.

    Args:
        curve: for each task its points: words seen, and the score as a fraction.
        path: where the PNG goes; its folder is made.
        chance: for each task what guessing gives, as a fraction; drawn as a dashed line in the task's colour.

    Returns:
        the alternative text, which the file carries as its description too.

    Raises:
        OptionError: no task has two points.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    drawn = {task: sorted(points) for task, points in curve.items() if len(points) >= 2}
    if not drawn:
        raise OptionError("A figure over the words seen needs the scores of at least two milestones.")
    alt = _words_alt(drawn)
    with matplotlib.style.context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.0), layout="constrained")
        _words_axes(figure.subplots(), drawn, chance or {})
        _save(figure, path, alt)
    return alt


# ---- by phenomenon


@dataclass(frozen=True)
class _Line:
    """A line of the figure: where it stands (in rows from the top), its score, and the scores that it sums up."""

    y: float
    label: str
    row: ScoreRow
    parts: tuple[float, ...]
    is_task: bool


def _lines(rows: Sequence[ScoreRow]) -> list[_Line]:
    lines: list[_Line] = []
    y = 0.0
    for task, summary in task_rows(rows).items():
        own = [row for row in rows if row.task == task and row.name]
        groups = group_rows(rows, task)
        loose = [row for row in own if not row.group]
        title = task if summary.metric == "accuracy" else f"{task} ({summary.metric})"
        lines.append(_Line(y, title, summary, (), True))
        below: list[tuple[str, ScoreRow, tuple[float, ...]]] = []
        if len(loose) > 1 or groups:
            below = [(row.name, row, ()) for row in loose]
        for group, row in groups.items():
            below.append((group, row, tuple(one.score for one in own if one.group == group)))
        for label, row, parts in below:
            y += 1
            metric = "" if row.metric == summary.metric else f" ({row.metric})"
            lines.append(_Line(y, label.replace("_", " ") + metric, row, parts if len(parts) > 1 else (), False))
        y += 1.6
    return lines


def _phenomenon_axes(axes: Axes, lines: Sequence[_Line]) -> None:
    seen: set[str] = set()

    def once(label: str) -> str | None:
        if label in seen:
            return None
        seen.add(label)
        return label

    for line in lines:
        _draw_line(axes, line, once)
    values = [100 * value for line in lines for value in (line.row.score, line.row.chance or 0, *line.parts)]
    axes.set_xlim(min(0.0, min(values) - 3), 101 if max(values) > 50 else 1.1 * max(5.0, *values))
    axes.set_ylim(lines[-1].y + 0.8, -0.8)
    axes.set_yticks([line.y for line in lines], [line.label for line in lines])
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if line.is_task else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel("score × 100")
    axes.figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=8.5, handletextpad=0.3)


def _draw_line(axes: Axes, line: _Line, once: Any) -> None:
    row, y = line.row, line.y
    score = 100 * row.score
    axes.plot([100 * part for part in line.parts], [y] * len(line.parts), ls="", marker="o", ms=3, alpha=0.8,
              color=_LIGHT_BLUE, label=once("single paradigms") if line.parts else None)  # fmt: skip
    if row.chance is not None:
        axes.plot([100 * row.chance] * 2, [y - 0.36, y + 0.36], color=_ORANGE, lw=1.6, label=once("chance"))
    if row.floor is not None:
        axes.plot([100 * row.floor], [y], ls="", marker="o", ms=5, mfc="white", mec=_MUTED, label=once("untrained"))
    if row.spread is not None:
        axes.errorbar([score], [y], xerr=[100 * row.spread], color=_BLUE, lw=1.2, capsize=2.5)
    axes.plot([score], [y], ls="", marker="D" if line.is_task else "o", ms=6, color=_BLUE, label=once("score"))
    axes.annotate(
        f"{score:.1f}" + (f" ±{100 * row.spread:.1f}" if row.spread is not None else ""),
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        fontweight="bold" if line.is_task else "normal",
        annotation_clip=False,
    )


def _phenomenon_alt(rows: Sequence[ScoreRow]) -> str:
    sentences = []
    for task, summary in task_rows(rows).items():
        groups = group_rows(rows, task) or {row.name: row for row in rows if row.task == task and row.name}
        text = f"{task}: {100 * summary.score:.1f}"
        if summary.chance is not None:
            text += f", chance {100 * summary.chance:.1f}"
        if len(groups) > 1:
            low, high = (pick(groups, key=lambda name: groups[name].score) for pick in (min, max))
            text += (
                f"; lowest {low.replace('_', ' ')} {100 * groups[low].score:.1f}"
                f", highest {high.replace('_', ' ')} {100 * groups[high].score:.1f}"
            )
        sentences.append(text)
    return "Scores times 100 by phenomenon. " + ". ".join(sentences) + "."


# ---- over the words seen


def _words_axes(axes: Axes, curves: Mapping[str, Sequence[tuple[int, float]]], chance: Mapping[str, float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    words = [count for points in curves.values() for count, _ in points if count > 0]
    ends = []
    for index, (task, points) in enumerate(curves.items()):
        color = _CURVES[index % len(_CURVES)]
        axes.plot(
            *zip(*[(x, 100 * y) for x, y in points], strict=True), color=color, lw=2, marker="o", ms=4, clip_on=False
        )
        ends.append((100 * points[-1][1], f"{task} {100 * points[-1][1]:.1f}", color))
        if task in chance:
            axes.axhline(100 * chance[task], color=color, lw=1, ls=(0, (4, 3)), alpha=0.7)
    axes.margins(y=0.08)
    start = [0] if any(x == 0 for points in curves.values() for x, _ in points) else []
    if max(words) > _LOG_RANGE * min(words):
        axes.set_xscale("symlog", linthresh=min(words))
        axes.set_xlim(start[0] if start else min(words), max(words))
        tens = [10**power for power in range(12) if min(words) <= 10**power <= max(words)]
        axes.set_xticks([*start, *tens])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(right=max(words))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.set_xlabel("words seen")
    axes.set_ylabel("score × 100")
    axes.grid(axis="both")
    _end_labels(axes, ends)
    if set(chance) & set(curves):
        axes.set_title("dashed: chance", loc="left", fontsize=8.5, color=_MUTED)


def _end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """The name and last score of every curve to its right; labels that would overlap are moved apart."""
    low, high = axes.get_ylim()
    step = 0.052 * (high - low)
    placed = -float("inf")
    for y, text, color in sorted(ends):
        placed = max(y, placed + step)
        axes.annotate(
            text,
            (1, placed),
            xycoords=("axes fraction", "data"),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=color,
            annotation_clip=False,
        )


def _words_alt(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    sentences = [
        f"{task} from {100 * points[0][1]:.1f} at {_short(points[0][0])} to {100 * points[-1][1]:.1f} at "
        f"{_short(points[-1][0])}"
        for task, points in curves.items()
    ]
    return "Scores times 100 over the words seen. " + "; ".join(sentences) + "."


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _save(figure: Figure, path: str | Path, alt: str) -> None:
    """The whole PNG or none; without the version of the library, with the alternative text."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None, "Description": alt})
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)
