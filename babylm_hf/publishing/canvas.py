"""What the figures share: style, panels over the words seen, legends. The same data gives the same bytes.

matplotlib is imported when something is drawn, and nothing of its global state is touched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .measurements import Curve, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT = "#1f2933", "#69757f", "#dfe4e8"
BLUE, LIGHT_BLUE, ORANGE, GREEN = "#1d5f9e", "#9cc3e4", "#c8651b", "#3d7f5c"
STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "axes.unicode_minus": True,
    "svg.hashsalt": "babylm_hf",
}
# A range of milestones wider than this is drawn on a logarithmic axis: most of the learning lies in its first tenth.
LOG_RANGE = 20


@dataclass(frozen=True)
class Drawing:
    """A figure that the record has data for.

    Attributes:
        name: file name without its ending.
        alt: what it shows, for who cannot see it.
        caption: what to know when reading it.
        draw: makes the PNG.
    """

    name: str
    alt: str
    caption: str
    draw: Callable[[], bytes]


def figure_of(curves: Curves, panels: list[Callable[[Axes, Curves], None]]) -> bytes:
    """Panels over the words seen, one above the other, with the milestones as dotted lines; PNG."""

    def fill(figure: Figure, all_axes: list[Axes]) -> None:
        for axes, panel in zip(all_axes, panels, strict=True):
            panel(axes, curves)
            for _, x in curves.milestones:
                axes.axvline(x, color=MUTED, lw=0.7, ls=(0, (1, 3)), zorder=0)
        _words_axis(all_axes[-1], curves)
        _milestone_axis(figure, all_axes[0], curves)

    return drawn(len(panels), fill)


def drawn(panels: int, fill: Callable[[Figure, list[Axes]], None]) -> bytes:
    """A figure of some panels with one horizontal axis, filled by `fill`; PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 0.75 + 2.75 * panels), dpi=144, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        all_axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
        fill(figure, all_axes)
        figure.align_ylabels(all_axes)
        stream = io.BytesIO()
        # Without the name of the library's version the bytes are a function of the record.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _words_axis(axes: Axes, curves: Curves) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    places = [x for _, x in curves.milestones if x > 0]
    if places and curves.total / min(places) > LOG_RANGE:
        axes.set_xscale("log")
        axes.set_xlim(min(places) * 0.7, curves.total * 1.25)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        note = ", logarithmic"
    else:
        axes.set_xlim(0, curves.total * 1.06 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(8))
        note = ""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words_tick(value)))
    axes.set_xlabel("words seen" + note if curves.unit == "words" else "optimizer steps" + note)


def _milestone_axis(figure: Figure, axes: Axes, curves: Curves) -> None:
    """The names of the milestones above the first panel; names that would touch their neighbour are left out."""
    from matplotlib.ticker import NullFormatter, NullLocator

    if not curves.milestones:
        return
    figure.draw_without_rendering()
    top = axes.twiny()
    top.set_xscale(axes.get_xscale())
    top.set_xlim(axes.get_xlim())
    top.grid(False)
    width = axes.get_window_extent().width
    low, high = axes.transAxes.inverted(), axes.transData
    shown: list[tuple[float, str]] = []
    taken = math.inf
    # From the right, so that the last milestone always has its name.
    for name, x in reversed(curves.milestones):
        at = low.transform(high.transform((x, 0)))[0] * width
        label = name.removeprefix("chck_")
        needed = 12.0 * len(label) + 10
        if at + needed / 2 <= taken:
            shown.append((x, label))
            taken = at - needed / 2
    top.set_xticks([x for x, _ in shown], [label for _, label in shown], fontsize=8)
    top.xaxis.set_minor_locator(NullLocator())
    top.xaxis.set_minor_formatter(NullFormatter())
    top.tick_params(axis="x", length=3, color=MUTED, pad=2)
    top.set_xlabel("milestones", fontsize=8, color=MUTED, labelpad=4)
    top.spines["top"].set_visible(False)


def legend(axes: Axes) -> None:
    """The legend as one row at the top, and room for it above the curves."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * (high - low))
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        box = {"frameon": True, "framealpha": 0.95, "edgecolor": "none", "borderpad": 0.15, "borderaxespad": 0.3}
        axes.legend(loc="upper left", fontsize=8.5, ncols=len(handles), columnspacing=1.6, **box)


def mark_last(axes: Axes, curve: Curve, text: str, color: str, scale: float = 1) -> None:
    """The last number of a curve, beside its end."""
    axes.annotate(
        text,
        (curve.x[-1], scale * curve.y[-1]),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        fontweight="bold",
        color=color,
        annotation_clip=False,
    )


def colors(how_many: int) -> list[str]:
    """Colours of lines that have no order."""
    palette = [BLUE, GREEN, "#7a4a94", "#a03d3d", INK]
    return [palette[index % len(palette)] for index in range(how_many)]


def shades(how_many: int, ordered: bool) -> list[Any]:
    """Colours of lines: light to dark where they have an order."""
    if not ordered:
        return colors(how_many)
    import matplotlib as mpl

    return [mpl.colormaps["viridis_r"](0.1 + 0.85 * index / max(1, how_many - 1)) for index in range(how_many)]


def percents(curve: Curve) -> list[float]:
    """The values of a curve in per cent."""
    return [100 * y for y in curve.y]


def words_tick(value: float) -> str:
    """A number of words at an axis: 1M, 500K."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
