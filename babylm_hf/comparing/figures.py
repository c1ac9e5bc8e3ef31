"""Figures of a comparison: learning curves, differences, phenomena. 80 mm wide, so that they fit a column of a paper.

Configurations have a colour (Okabe & Ito's palette, which colour-blind readers can tell apart), a marker and a line of
their own, and their names stand beside their lines. The same comparison gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..publishing.canvas import INK, LOG_RANGE, MUTED, STYLE, words_tick
from ..publishing.markdown import spaced
from ..publishing.sweeps import Score
from . import cells
from .comparison import Comparison, Difference, is_share
from .curves import LearningCurve, Point
from .palette import color_of, dashes_of, marker_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MM = 1 / 25.4
_WIDTH = 80 * _MM
_SMALL: dict[str, Any] = {
    **STYLE,
    "font.size": 7,
    "axes.linewidth": 0.6,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.linewidth": 0.5,
    "svg.fonttype": "none",
}
_DPI = 300
_ROW = 4.2 * _MM
_LABEL_GAP = 0.085  # between two names beside the lines, as a share of the height of the axes


@dataclass(frozen=True)
class ComparisonFigure:
    """A figure that there are data for.

    Attributes:
        name: file name without its ending.
        title: what it shows, in a few words.
        alt: the same for who cannot see it, with the numbers.
        draw: makes it, `png` or `svg`.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[str], bytes]


def figures(found: Comparison) -> list[ComparisonFigure]:
    """All that can be drawn, in the order in which a reader wants them."""
    names = {one.label: one.name for one in found.configurations}
    made = []
    if shown := [one for one in found.differences if one.comparable]:
        title = f"Differences from {found.configurations[0].name}"
        made.append(ComparisonFigure("differences", title, _alt(title, shown), partial(_forest, shown, names)))
    for curve in found.curves:
        title = f"{curve.title}: {spaced(curve.name)} over words"
        made.append(
            ComparisonFigure(f"curve_{curve.task}", title, _curve_alt(curve, names), partial(_curve, curve, names))
        )
    by_task: dict[str, list[Difference]] = {}
    for one in found.phenomenon_differences:
        if one.comparable:
            by_task.setdefault(one.score.task, []).append(one)
    for task, of_task in by_task.items():
        title = f"{of_task[0].score.title}: differences by phenomenon"
        draw = partial(_forest, of_task, names, phenomena=True)
        made.append(ComparisonFigure(f"phenomena_{task}", title, _alt(title, of_task, True), draw))
    return made


# ---- learning curves


def _curve(curve: LearningCurve, names: dict[str, str], kind: str) -> bytes:
    scale = 100 if curve.points else 1
    # The loss of an untrained model is so high that nothing else could be told apart.
    lines = {
        label: [p for p in points if p.words > 0 or curve.points] or points for label, points in curve.lines.items()
    }

    def fill(figure: Figure, panels: list[Axes]) -> None:
        (axes,) = panels
        for label, points in lines.items():
            x = [point.words for point in points]
            color = color_of(label)
            if any(point.seeds > 1 for point in points):
                low, high = ([scale * getattr(point, end) for point in points] for end in ("low", "high"))
                axes.fill_between(x, low, high, color=color, alpha=0.18, lw=0)
            y = [scale * point.mean for point in points]
            axes.plot(
                x, y, color=color, lw=1.3, ls=dashes_of(label), marker=marker_of(label), ms=3, mew=0, zorder=3,
            )  # fmt: skip
        if curve.chance is not None and curve.points:
            axes.axhline(scale * curve.chance, color=MUTED, lw=0.8, ls=(0, (2, 2)))
            axes.annotate(
                "chance", (1, scale * curve.chance), (-2, 1.5), xycoords=("axes fraction", "data"), fontsize=6,
                textcoords="offset points", color=MUTED, ha="right",
            )  # fmt: skip
        _words_axis(axes, [point for points in lines.values() for point in points])
        axes.set_ylabel(f"{spaced(curve.name)} (%)" if curve.points else f"{spaced(curve.name)} (nats)")
        axes.set_title(curve.title, loc="left")
        figure.draw_without_rendering()
        _names_beside(axes, {label: scale * points[-1].mean for label, points in lines.items()}, names)

    return _drawn([52 * _MM], fill, kind)


def _words_axis(axes: Axes, points: Sequence[Point]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    seen = [point.words for point in points if point.words > 0]
    last = max(seen, default=1)
    if seen and last / min(seen) > LOG_RANGE:
        axes.set_xscale("log")
        axes.set_xlim(min(seen) * 0.8, last * 1.1)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 3.0)))
        axes.minorticks_off()
    else:
        axes.set_xlim(0, last * 1.04)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words_tick(value)))
    axes.set_xlabel("words seen")


def _names_beside(axes: Axes, ends: dict[str, float], names: dict[str, str]) -> None:
    """The name of each line at its right end; names that would touch are moved apart."""
    low, high = axes.get_ylim()
    places = {label: (end - low) / (high - low) for label, end in ends.items()}
    taken = -1.0
    wrapped = {label: _wrapped(f"{label} {names[label]}", 14) for label in places}
    for label in sorted(places, key=lambda label: places[label]):
        lines = wrapped[label].count("\n") + 1
        half = _LABEL_GAP * lines / 2
        places[label] = max(places[label], taken + half)
        taken = places[label] + half
    over = max(0.0, taken - 1.04)
    for label, place in places.items():
        axes.annotate(
            wrapped[label], (1, place - over), (4, 0), xycoords="axes fraction", textcoords="offset points",
            va="center", fontsize=6.5, linespacing=0.95, color=color_of(label), annotation_clip=False, parse_math=False,
        )  # fmt: skip


# ---- differences


def _forest(found: Sequence[Difference], names: dict[str, str], kind: str, *, phenomena: bool = False) -> bytes:
    """A row for every difference, with its interval; filled where it is real. A panel for every unit."""
    panels: dict[str, list[Difference]] = {}
    for one in found:
        unit = "points" if is_share(one.score) else f"{one.score.task} {one.score.name}"
        panels.setdefault(unit, []).append(one)
    labels = list(dict.fromkeys(one.label for one in found))
    heights = [_ROW * (len(rows) + 0.6) for rows in panels.values()]

    def fill(figure: Figure, all_axes: list[Axes]) -> None:
        for axes, rows in zip(all_axes, panels.values(), strict=True):
            _rows(axes, rows, len(labels) > 1, phenomena)
            axes.set_xlabel(_unit(rows[0].score), labelpad=2)
        base = found[0].baseline
        who = ", ".join(f"{label} {names[label]}" for label in labels)
        title = _wrapped(f"{who} minus {base} {names[base]}", 50)
        figure.suptitle(title, x=0.01, ha="left", fontsize=7.5, parse_math=False)

    return _drawn(heights, fill, kind, extra=(10 + 8 * len(panels)) * _MM)


def _rows(axes: Axes, rows: Sequence[Difference], many: bool, phenomena: bool) -> None:
    labels: list[str] = []
    for row, one in enumerate(rows):
        scale = 100 if is_share(one.score) else 1
        color, marker = color_of(one.label), marker_of(one.label)
        if one.interval is not None:
            low, high = scale * one.interval.low, scale * one.interval.high
            axes.plot([low, high], [row, row], color=color, lw=1.4, solid_capstyle="butt", zorder=2)
        inside = color if one.verdict == "real" else "white"
        axes.plot(
            [scale * one.mean], [row], marker=marker, ms=4.2, mew=1.1, mec=color, mfc=inside, ls="none", zorder=3,
        )  # fmt: skip
        title = cells.title(one.score, True) if phenomena else one.score.title
        repeated = bool(labels) and rows[row - 1].score == one.score
        labels.append(one.label if repeated else f"{_wrapped(title, 24)}" + (f"  {one.label}" if many else ""))
    axes.axvline(0, color=INK, lw=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), labels)
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.06 * (high - low)), max(high, 0.06 * (high - low)))


def _unit(score: Score) -> str:
    if is_share(score):
        return "points; to the right: better"
    direction = "left" if score.name in cells.LOWER_IS_BETTER else "right"
    return f"{spaced(score.name)}; to the {direction}: better"


# ---- what they share


def _drawn(heights: Sequence[float], fill: Callable[[Figure, list[Axes]], None], kind: str, extra: float = 0) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context(_SMALL):
        size = (_WIDTH, sum(heights) + extra)
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03)
        figure = Figure(figsize=size, dpi=_DPI, layout=layout, facecolor="white")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=list(heights))[:, 0])
        fill(figure, axes)
        stream = io.BytesIO()
        # Without the library's version and the date the bytes are a function of the comparison.
        metadata: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(stream, format=kind, metadata=metadata, transparent=kind == "svg")
    return stream.getvalue()


def _wrapped(text: str, width: int) -> str:
    """On lines of so many characters; a word that is longer may break after an underscore."""
    words = [part for word in text.split() for part in ([word] if len(word) <= width else re.split(r"(?<=_)", word))]
    lines = [""]
    for index, word in enumerate(words):
        gap = "" if not lines[-1] or words[index - 1].endswith("_") else " "
        if lines[-1] and len(lines[-1] + gap + word) > width:
            lines.append(word)
        else:
            lines[-1] += gap + word
    return "\n".join(lines)


def _curve_alt(curve: LearningCurve, names: dict[str, str]) -> str:
    def shown(number: float) -> str:
        return f"{100 * number:.1f} %" if curve.points else f"{number:.4g}"

    ends = [
        f"{names[label]} from {shown(points[0].mean)} to {shown(points[-1].mean)}"
        for label, points in curve.lines.items()
        if points
    ]
    return f"{curve.title}, {spaced(curve.name)} over the words seen: {'; '.join(ends)}."


def _alt(title: str, found: Sequence[Difference], phenomena: bool = False) -> str:
    rows = [
        f"{cells.title(one.score, phenomena)}, {one.label}: {cells.value(one.score, one.mean, True)} "
        f"[{cells.interval(one.score, one.interval)}], {one.verdict}"
        for one in found
    ]
    return f"{title}. {'; '.join(rows)}."
