"""How scores, intervals and p-values are written, in every kind of report alike."""

from __future__ import annotations

import math

from ..publishing.markdown import number, spaced
from ..publishing.sweeps import Score
from ..publishing.tables import MISSING
from .comparison import Difference, is_share
from .statistics import Interval

LOWER_IS_BETTER = ("loss", "nelbo", "perplexity")
"""Scores of which less is better."""
_LARGE = 100


def value(score: Score, number_: float | None, signed: bool = False) -> str:
    """A score, or with its sign a difference of scores; shares in per cent, their differences in points."""
    if number_ is None:
        return MISSING
    if is_share(score):
        return _minus(f"{100 * number_:+.1f}" if signed else f"{100 * number_:.1f}")
    if signed:
        return _minus(f"{number_:+.3f}" if abs(number_) < _LARGE else f"{number_:+.4g}")
    return _minus(number(number_))


def title(score: Score, phenomenon: bool = False) -> str:
    """What the score is of, in words."""
    return spaced(score.name) if phenomenon else f"{score.title}, {spaced(score.name)}"


def mean_and_sd(score: Score, label: str) -> str:
    """Mean and standard deviation over the seeds of a configuration."""
    spread = score.spreads.get(label)
    if spread is None:
        return MISSING
    if spread.sd is None:
        return value(score, spread.mean)
    if is_share(score) or spread.sd == 0:
        return f"{value(score, spread.mean)} ± {value(score, spread.sd)}"
    # two digits of the deviation, and the mean to the same place
    places = min(5, max(0, 1 - math.floor(math.log10(spread.sd))))
    return _minus(f"{spread.mean:.{places}f} ± {spread.sd:.{places}f}")


def interval(score: Score, found: Interval | None) -> str:
    """Its two ends."""
    return MISSING if found is None else f"{value(score, found.low, True)} to {value(score, found.high, True)}"


def p_value(p: float | None) -> str:
    """Three digits, and no more."""
    return MISSING if p is None else "<.001" if p < 0.001 else f"{p:.3f}"


def effect(g: float | None) -> str:
    """Hedges' g."""
    return MISSING if g is None else _minus(f"{g:+.1f}")


def better(one: Difference) -> bool | None:
    """Whether the configuration is the better one, by the mean; None where they are equal."""
    if one.mean == 0:
        return None
    return (one.mean < 0) == (one.score.name in LOWER_IS_BETTER)


def _minus(text: str) -> str:
    return text.replace("-", "−") if "e-" not in text else text
