"""The figures of the masks: the rate and the spread of weights, weights by group of pieces, the noise schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .canvas import BLUE, GREEN, LIGHT_BLUE, MUTED, ORANGE, Drawing, drawn, figure_of, legend, percents, shades
from .markdown import number, percent, short
from .measurements import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..masking import NoiseRate

_GROUP_TITLES = {"bands": "count in the corpus", "classes": "kind of piece"}
_GROUP_CAPTION = (
    "Mean mask weight of groups of pieces as multiples of the mean over all: by how often they occur in the corpus, "
    "and by their kind."
)

_DRAWS = 20_000


def mask_drawings(curves: Curves) -> list[Drawing]:
    """The figures of the masks that the record has data for."""
    found = []
    if len(curves.rate) >= 2:
        found.append(Drawing("masking", _mask_alt(curves), _mask_caption(curves), lambda: _masking(curves)))
    if any(len(curve) >= 2 for groups in curves.groups.values() for curve in groups.values()):
        found.append(Drawing("mask_weights", _group_alt(curves), _GROUP_CAPTION, lambda: _group_figure(curves)))
    return found


def _masking(curves: Curves) -> bytes:
    return figure_of(curves, [_rate_panel, _weight_panel] if curves.weights else [_rate_panel])


def _group_figure(curves: Curves) -> bytes:
    def panel(kind: str) -> Callable[[Axes, Curves], None]:
        return lambda axes, curves: _group_panel(axes, curves, kind)

    return figure_of(curves, [panel(kind) for kind in curves.groups])


def _rate_panel(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("mask rate (% of tokens)")
    if len(curves.realised):
        axes.plot(
            curves.realised.x,
            percents(curves.realised),
            ls="",
            marker="o",
            ms=3.2,
            color=LIGHT_BLUE,
            label="realised, mean since the last log line",
        )
    axes.plot(curves.rate.x, percents(curves.rate), color=BLUE, lw=2, label="planned")
    axes.set_ylim(0, 1.05 * max([*percents(curves.rate), *percents(curves.realised)]))
    legend(axes)


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
    legend(axes)


def _group_panel(axes: Axes, curves: Curves, kind: str) -> None:
    axes.set_ylabel(f"mean weight by\n{_GROUP_TITLES[kind]} (all = 1)")
    groups = {name: curve for name, curve in curves.groups[kind].items() if len(curve)}
    for (name, curve), color in zip(groups.items(), shades(len(groups), kind == "bands"), strict=True):
        axes.plot(curve.x, curve.y, color=color, lw=2, label=name)
    axes.axhline(1, color=MUTED, lw=1)
    axes.set_ylim(0, 1.1 * max(max(curve.y) for curve in groups.values()))
    legend(axes)


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


def _group_alt(curves: Curves) -> str:
    sentences = []
    for kind, groups in curves.groups.items():
        last = {name: curve.y[-1] for name, curve in groups.items() if len(curve)}
        high, low = max(last, key=lambda name: last[name]), min(last, key=lambda name: last[name])
        ends = f"highest for {high} ({number(last[high])}), lowest for {low} ({number(last[low])})"
        sentences.append(f"by {_GROUP_TITLES[kind]} {ends}")
    return f"Mask weights over {short(curves.total)} {curves.unit}; at the last update " + "; ".join(sentences) + "."


# ---- the noise schedule of masked diffusion


def schedule_drawings(folder: Path) -> list[Drawing]:
    """The figure of a run's noise schedule, if it has one; `folder` is that of the record."""
    saved = folder / "masking.json"
    if not saved.is_file() or json.loads(saved.read_text(encoding="utf-8"))["options"]["noise_schedule"] is None:
        return []
    from ..masking.saved import saved_noise  # only here: it imports torch, which no other card needs

    return [noise_drawing(*saved_noise(folder))]


def noise_drawing(rate: NoiseRate, total_steps: int) -> Drawing:
    """The mask rates that a noise schedule draws, and what a row of each counts, at the start and the end of a run."""
    schedule = rate.schedule
    means = [schedule.mean_rate(share) for share in (0.0, 1.0)]
    moved = f", {percent(means[1])} at last" if schedule.moving else ""
    alt = f"Noise schedule {schedule.name}: mean mask rate {percent(means[0])}{moved}; loss weight by mask rate below."
    caption = "How often each mask rate is drawn, and the weight of a row's loss at it, on a logarithmic axis."
    return Drawing("noise_schedule", alt, caption, lambda: _noise_figure(rate, total_steps))


def _noise_figure(rate: NoiseRate, total_steps: int) -> bytes:
    moments = {"first step": 0, "last step": total_steps - 1} if rate.schedule.moving else {"every step": 0}

    def fill(_: Figure, all_axes: list[Axes]) -> None:
        density, weight = all_axes
        for (name, step), color in zip(moments.items(), (BLUE, ORANGE), strict=False):
            rates, weights = _drawn_rates(rate, step, total_steps)
            density.hist(rates, bins=100, range=(0, 1), density=True, histtype="step", lw=2, color=color, label=name)
            weight.plot(rates, weights, ls="", marker=".", ms=2, color=color, label=name)
        density.set_ylabel("density of rows")
        weight.set_ylabel("weight of a row's loss")
        weight.set_yscale("log")
        weight.set_xlim(0, 1)
        weight.set_xlabel("mask rate")
        legend(density)

    return drawn(2, fill)


def _drawn_rates(rate: NoiseRate, step: int, total_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates and weights of many rows of one step, spread evenly over the schedule, each float64 `[n]`."""
    from ..masking import MaskRows

    numbers = np.arange(_DRAWS)
    rows = MaskRows(
        np.zeros((_DRAWS, 1), np.int64), np.ones((_DRAWS, 1), bool), numbers, 0, 0, step,
        total_steps=total_steps, places=numbers, step_rows=_DRAWS,
    )  # fmt: skip
    made = rate.draw(rows)
    return np.asarray(made.rate, np.float64), np.asarray(made.weight, np.float64)
