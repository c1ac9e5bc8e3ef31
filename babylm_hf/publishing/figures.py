"""The figures of a card: the learning curve, and how the masks moved. Drawn from the record, the same bytes every time.

matplotlib is imported when something is drawn, and nothing of its global state is touched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .markdown import number, percent, short
from .measurements import Curve, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT = "#1f2933", "#69757f", "#dfe4e8"
BLUE, LIGHT_BLUE, ORANGE, GREEN = "#1d5f9e", "#9cc3e4", "#c8651b", "#3d7f5c"
_STYLE: dict[str, Any] = {
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
_LOG_RANGE = 20


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


def drawings(curves: Curves) -> list[Drawing]:
    """The figures that can be drawn, in the order of the card."""
    found = []
    if any(len(curve) >= 2 for curve in (*curves.held_out.values(), *curves.pairs.values(), curves.training)):
        found.append(Drawing("learning_curve", _curve_alt(curves), _curve_caption(curves), lambda: _learning(curves)))
    if len(curves.rate) >= 2:
        found.append(Drawing("masking", _mask_alt(curves), _mask_caption(curves), lambda: _masking(curves)))
    return found


# ---- the two figures


def _learning(curves: Curves) -> bytes:
    panels: list[Callable[[Axes, Curves], None]] = [_loss_panel]
    if any(len(curve) for curve in curves.pairs.values()):
        panels.append(_pairs_panel)
    return _figure(curves, panels)


def _masking(curves: Curves) -> bytes:
    return _figure(curves, [_rate_panel, _weight_panel] if curves.weights else [_rate_panel])


def _loss_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("loss (nats per target)")
    if curves.training:
        axes.plot(curves.training.x, curves.training.y, color=LIGHT_BLUE, lw=1.2, label="training (its own masks)")
    for (title, curve), color in zip(curves.held_out.items(), _colors(len(curves.held_out)), strict=True):
        if len(curve):
            axes.plot(curve.x, curve.y, color=color, lw=2, marker="o", ms=4.5, label=title.lower())
            _value(axes, curve, f"{curve.y[-1]:.2f}", color)
    for name, loss in curves.baselines.items():
        axes.axhline(loss, color=ORANGE, lw=1.2, ls=(0, (5, 3)), label=f"{name.replace('_', ' ')} ({loss:.2f})")
    _legend(axes)


def _pairs_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("minimal pairs correct (%)")
    single = len(curves.pairs) == 1
    for (title, curve), color in zip(curves.pairs.items(), _colors(len(curves.pairs)), strict=True):
        if single:
            for index, phenomenon in enumerate(curves.phenomena[title].values()):
                label = "each phenomenon" if index == 0 else None
                axes.plot(phenomenon.x, _percent(phenomenon), color=MUTED, lw=0.8, alpha=0.45, label=label)
        if len(curve):
            axes.plot(curve.x, _percent(curve), color=color, lw=2.2, marker="o", ms=4.5, label=title.lower())
            _value(axes, curve, f"{100 * curve.y[-1]:.1f}", color, scale=100)
    chance = 100 * curves.chance
    axes.axhline(chance, color=ORANGE, lw=1.2, ls=(0, (5, 3)), label=f"chance ({chance:g} %)")
    low = min([chance, *(min(_percent(c), default=chance) for p in curves.phenomena.values() for c in p.values())])
    axes.set_ylim(max(0, 10 * math.floor((low - 4) / 10)), 101)
    axes.set_yticks([tick for tick in range(0, 101, 10) if tick >= axes.get_ylim()[0]])
    _legend(axes)


def _rate_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("mask rate (% of tokens)")
    if len(curves.realised):
        axes.plot(
            curves.realised.x,
            _percent(curves.realised),
            ls="",
            marker="o",
            ms=3.2,
            color=LIGHT_BLUE,
            label="realised, mean since the last log line",
        )
    axes.plot(curves.rate.x, _percent(curves.rate), color=BLUE, lw=2, label="planned")
    axes.set_ylim(0, 1.05 * max([*_percent(curves.rate), *_percent(curves.realised)]))
    _legend(axes)


def _weight_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("mask weight (mean = 1)")
    weights = curves.weights
    axes.fill_between(
        weights["highest"].x,
        weights["lowest"].y,
        weights["highest"].y,
        color=LIGHT_BLUE,
        alpha=0.35,
        lw=0,
        label="all pieces",
    )
    axes.plot(weights["top"].x, weights["top"].y, color=GREEN, lw=2, label="mean of the 10 highest")
    axes.plot(weights["bottom"].x, weights["bottom"].y, color=ORANGE, lw=2, label="mean of the 10 lowest")
    axes.axhline(1, color=MUTED, lw=1)
    axes.set_ylim(0, 1.05 * max(weights["highest"].y))
    _legend(axes)


# ---- what they share


def _figure(curves: Curves, panels: list[Callable[[Axes, Curves], None]]) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.0, 0.75 + 2.75 * len(panels)), dpi=144, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(all_axes, panels, strict=True):
            panel(axes, curves)
            for _, x in curves.milestones:
                axes.axvline(x, color=MUTED, lw=0.7, ls=(0, (1, 3)), zorder=0)
        _words_axis(all_axes[-1], curves)
        _milestone_axis(figure, all_axes[0], curves)
        figure.align_ylabels(list(all_axes))
        stream = io.BytesIO()
        # Without the name of the library's version the bytes are a function of the record.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _words_axis(axes: Axes, curves: Curves) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    places = [x for _, x in curves.milestones if x > 0]
    if places and curves.total / min(places) > _LOG_RANGE:
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
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


def _legend(axes: Axes) -> None:
    """The legend as one row at the top, and room for it above the curves."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * (high - low))
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        box = {"frameon": True, "framealpha": 0.95, "edgecolor": "none", "borderpad": 0.15, "borderaxespad": 0.3}
        axes.legend(loc="upper left", fontsize=8.5, ncols=len(handles), columnspacing=1.6, **box)


def _value(axes: Axes, curve: Curve, text: str, color: str, scale: float = 1) -> None:
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


def _colors(how_many: int) -> list[str]:
    palette = [BLUE, GREEN, "#7a4a94", "#a03d3d", INK]
    return [palette[index % len(palette)] for index in range(how_many)]


def _percent(curve: Curve) -> list[float]:
    return [100 * y for y in curve.y]


def _tick(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


# ---- the figures in words


def _curve_alt(curves: Curves) -> str:
    sentences = []
    for title, curve in curves.held_out.items():
        if len(curve) >= 2:
            sentences.append(f"{title}: loss from {number(curve.y[0])} to {number(curve.y[-1])} nats per target")
    for title, curve in curves.pairs.items():
        if len(curve) >= 2:
            sentences.append(f"{title}: accuracy from {percent(curve.y[0])} to {percent(curve.y[-1])}")
    if not sentences and len(curves.training) >= 2:
        first, last = curves.training.y[0], curves.training.y[-1]
        sentences.append(f"training loss from {number(first)} to {number(last)} nats per target")
    return f"Learning curve over {short(curves.total)} {curves.unit}. " + "; ".join(sentences) + "."


def _curve_caption(curves: Curves) -> str:
    caption = f"Loss and accuracy over the {curves.unit} the model has seen; dotted lines are milestones."
    if len(curves.training) and curves.held_out:
        caption += " Training loss is measured on the masks of the moment, held-out loss on masks that never change."
    return caption


def _mask_alt(curves: Curves) -> str:
    first, last = curves.rate.y[0], curves.rate.y[-1]
    text = f"Mask rate over {short(curves.total)} {curves.unit}: {percent(first)} at first, {percent(last)} at last."
    if curves.weights:
        high, low = curves.weights["highest"].y[-1], curves.weights["lowest"].y[-1]
        text += f" At the last update mask weights lie between {number(low)} and {number(high)} times their mean."
    return text


def _mask_caption(curves: Curves) -> str:
    caption = "Share of the maskable tokens that became targets."
    if curves.weights:
        caption += (
            " Below: mask weights as multiples of their mean; a piece at 2 is masked twice as often as the average."
        )
    return caption
