"""The figures of a card, drawn from the record: the learning curve, and those of the masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .canvas import LIGHT_BLUE, MUTED, ORANGE, Drawing, colors, figure_of, legend, mark_last, percents
from .markdown import number, percent, short
from .mask_figures import mask_drawings
from .measurements import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawings(curves: Curves) -> list[Drawing]:
    """The figures that can be drawn, in the order of the card."""
    found = []
    if any(len(curve) >= 2 for curve in (*curves.held_out.values(), *curves.pairs.values(), curves.training)):
        found.append(Drawing("learning_curve", _curve_alt(curves), _curve_caption(curves), lambda: _learning(curves)))
    return [*found, *mask_drawings(curves)]


def _learning(curves: Curves) -> bytes:
    panels: list[Callable[[Axes, Curves], None]] = [_loss_panel]
    if any(len(curve) >= 2 for curve in curves.pairs.values()):
        panels.append(_pairs_panel)
    return figure_of(curves, panels)


def _loss_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("loss (nats per target)")
    if curves.training:
        axes.plot(curves.training.x, curves.training.y, color=LIGHT_BLUE, lw=1.2, label="training (its own masks)")
    for (title, curve), color in zip(curves.held_out.items(), colors(len(curves.held_out)), strict=True):
        if len(curve):
            axes.plot(curve.x, curve.y, color=color, lw=2, marker="o", ms=4.5, label=title.lower())
            mark_last(axes, curve, f"{curve.y[-1]:.2f}", color)
    for name, loss in curves.baselines.items():
        axes.axhline(loss, color=ORANGE, lw=1.2, ls=(0, (5, 3)), label=f"{name.replace('_', ' ')} ({loss:.2f})")
    legend(axes)


def _pairs_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("minimal pairs correct (%)")
    single = len(curves.pairs) == 1
    for (title, curve), color in zip(curves.pairs.items(), colors(len(curves.pairs)), strict=True):
        if single:
            for index, phenomenon in enumerate(curves.phenomena[title].values()):
                label = "each phenomenon" if index == 0 else None
                axes.plot(phenomenon.x, percents(phenomenon), color=MUTED, lw=0.8, alpha=0.45, label=label)
        if len(curve):
            axes.plot(curve.x, percents(curve), color=color, lw=2.2, marker="o", ms=4.5, label=title.lower())
            mark_last(axes, curve, f"{100 * curve.y[-1]:.1f}", color, scale=100)
    chance = 100 * curves.chance
    axes.axhline(chance, color=ORANGE, lw=1.2, ls=(0, (5, 3)), label=f"chance ({chance:g} %)")
    low = min([chance, *(min(percents(c), default=chance) for p in curves.phenomena.values() for c in p.values())])
    axes.set_ylim(max(0, 10 * math.floor((low - 4) / 10)), 101)
    axes.set_yticks([tick for tick in range(0, 101, 10) if tick >= axes.get_ylim()[0]])
    legend(axes)


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
        sentences.append(f"Training loss from {number(first)} to {number(last)} nats per target")
    return f"Learning curve over {short(curves.total)} {curves.unit}. " + "; ".join(sentences) + "."


def _curve_caption(curves: Curves) -> str:
    caption = f"{'Loss and accuracy' if curves.pairs else 'Loss'} over the {curves.unit} the model has seen"
    caption += "; dotted lines are milestones." if curves.milestones else "."
    if len(curves.training) and curves.held_out and len(curves.rate):
        caption += " Training loss is measured on the masks of the moment, held-out loss on masks that never change."
    return caption
