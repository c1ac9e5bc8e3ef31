"""Pictures of a plan, of masks and of predictions, in the style of the cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..publishing.canvas import BLUE, GREEN, INK, MUTED, ORANGE, drawn, words_tick
from .predictions import TokenPrediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..masking.inspection import TokenMask

_LONGEST_PIECE = 12


def plan_picture(facts: dict[str, Any]) -> bytes:
    """Mask rate and row length over the words of a plan, with its milestones; PNG.

    Args:
        facts: of `plan_facts`.
    """
    total, rates = facts["plan"]["total_words"], facts["rates"]

    def fill(figure: Figure, panels: list[Axes]) -> None:
        from matplotlib.ticker import FuncFormatter

        if rates:
            panels[0].plot([r["words"] for r in rates], [100 * r["mask_rate"] for r in rates], color=BLUE, lw=2)
            panels[0].set_ylim(bottom=0)
            panels[0].set_ylabel("mask rate (%)")
        steps = [0.0]
        planned = facts["plan"]["total_steps"]
        for stage in facts["stages"]:
            steps.append(steps[-1] + stage["steps"] / planned * total)
        panels[-1].stairs([s["seq_length"] for s in facts["stages"]], steps, color=GREEN, lw=2, baseline=None)
        panels[-1].set_ylim(0, 1.15 * max(s["seq_length"] for s in facts["stages"]))
        panels[-1].set_ylabel("tokens in a row")
        panels[-1].set_xlim(0, total * 1.02 or 1)
        panels[-1].set_xlabel("words shown; dotted: milestones")
        panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: words_tick(value)))
        for axes in panels:
            for milestone in facts["plan"]["milestones"]:
                axes.axvline(milestone["words_seen"], color=MUTED, lw=0.7, ls=(0, (1, 3)), zorder=0)

    return drawn(2 if rates else 1, fill)


def prediction_picture(predictions: Sequence[TokenPrediction]) -> bytes:
    """A row for every token: the guesses from left to right, darker where likelier, the right one in orange; PNG."""
    top = len(predictions[0].guesses)

    def fill(figure: Figure, panels: list[Axes]) -> None:
        from matplotlib.patches import Rectangle

        (axes,) = panels
        figure.set_size_inches(max(4.0, 3.2 + 1.25 * top), 0.7 + 0.36 * len(predictions))
        for row, prediction in enumerate(predictions):
            for column, (piece, probability) in enumerate(prediction.guesses):
                right = column + 1 == prediction.rank
                box: dict[str, Any] = {
                    "alpha": 0.06 + 0.84 * probability,
                    "facecolor": ORANGE if right else BLUE,
                    "edgecolor": "none",
                }
                axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, **box))
                label = f"{_short(piece)}  {100 * probability:.0f} %"
                color = "white" if probability > 0.6 else INK
                axes.text(
                    column, row, label, ha="center", va="center", fontsize=8, color=color, parse_math=False,
                    fontweight="bold" if right else "normal",
                )  # fmt: skip
            if prediction.probability is not None:
                own = f"{100 * prediction.probability:.1f} %, rank {prediction.rank:,}"
                axes.text(top - 0.42, row, own, va="center", fontsize=8, color=MUTED)
        axes.set_xlim(-0.5, top + (0.5 if any(p.probability is not None for p in predictions) else -0.5))
        axes.set_ylim(len(predictions) - 0.5, -0.5)
        axes.set_xticks([*range(top), top - 0.02], [*(f"guess {column + 1}" for column in range(top)), "the token"])
        axes.set_yticks(range(len(predictions)), [_short(p.token) or "(next)" for p in predictions])
        for tick in axes.get_yticklabels():
            tick.set_parse_math(False)
        axes.tick_params(length=0, labelcolor=INK)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.xaxis.tick_top()

    return drawn(1, fill)


def mask_picture(tokens: Sequence[TokenMask], title: str) -> bytes:
    """A bar for every token: the probability with which it is masked; PNG.

    Args:
        tokens: of `babylm_hf.masking.inspection.sentence_probabilities`.
        title: which run, and when.
    """
    highest = max((token.probability for token in tokens), default=0.0) or 1.0

    def fill(figure: Figure, panels: list[Axes]) -> None:
        (axes,) = panels
        figure.set_size_inches(5.2, 0.9 + 0.27 * len(tokens))
        rows = range(len(tokens))
        axes.barh(rows, [100 * token.probability for token in tokens], height=0.72, color=BLUE)
        for row, token in enumerate(tokens):
            shown = f"{100 * token.probability:.1f} %" if token.probability else "never"
            axes.text(100 * token.probability + 1.2 * highest, row, shown, va="center", fontsize=8, color=MUTED)
        axes.set_yticks(rows, [_short(token.shown) for token in tokens])
        for tick in axes.get_yticklabels():
            tick.set_parse_math(False)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(len(tokens) - 0.4, -0.6)
        axes.set_xlim(0, 114 * highest)
        axes.set_xlabel("probability of being masked (%)")
        axes.set_title(title, loc="left", fontsize=10, parse_math=False)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)

    return drawn(1, fill)


def _short(piece: str) -> str:
    return piece if len(piece) <= _LONGEST_PIECE else piece[: _LONGEST_PIECE - 1] + "…"
