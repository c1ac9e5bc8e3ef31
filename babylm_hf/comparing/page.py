"""A comparison as one HTML page that needs nothing else: style, script and figures are inside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..publishing.canvas import FAINT, INK, MUTED
from ..publishing.markdown import count, setting, spaced
from ..publishing.sweeps import Score
from . import cells
from .comparison import Comparison, Difference, is_share
from .figures import ComparisonFigure, figures
from .palette import PALETTE, index_of

TEMPLATE = "page.html.jinja"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", FAINT: "var(--rule)", "#ffffff": "var(--paper)"}
_VARIABLES |= {light: f"var(--series-{index})" for index, (light, _) in enumerate(PALETTE)}
_SIZE = re.compile(r'\b(?:width|height)="[\d.]+pt" ')
_MEANINGS = {
    "real": "the data support it",
    "not shown": "the data do not tell it from chance",
    "too few seeds": "one seed says nothing of a method",
    "no spread": "the difference is the same for every seed, so there is no error to judge by",
    "incomparable": "measured on other items, tokens or text",
}


def render_html(found: Comparison) -> str:
    """The page. All that came from records is escaped; nothing is loaded from anywhere."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    labels = [one.label for one in found.configurations]
    return jinja.get_template(TEMPLATE).render(
        version=__version__,
        palette=PALETTE,
        title=listed(dict.fromkeys(one.name for one in found.configurations)),
        configurations=[_configuration(one) for one in found.configurations],
        labels=labels,
        verdicts=[_verdicts(found, one.label) for one in found.configurations[1:]],
        figures=[_figure(one) for one in figures(found)],
        differences=[_difference(one) for one in found.differences],
        phenomena=[_difference(one, True) for one in found.phenomenon_differences],
        scores=[_score(score, labels) for score in found.scores],
        phenomenon_scores=[_score(score, labels, True) for score in found.phenomena],
        options={name: [setting(value) for value in values] for name, values in found.options.items()},
        runs=_runs(found),
        values=_values(found),
        several_tasks=len({score.task for score in found.phenomena}) > 1,
        meanings=_MEANINGS,
        notes=found.notes,
    )


def inline_svg(drawn: str, alt: str) -> Markup:
    """A drawing of matplotlib's as an element of a page: as wide as its place, in the colours of the page.

    Args:
        drawn: the SVG file; its text is escaped already.
        alt: what it shows.
    """
    body = drawn[drawn.index("<svg ") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    for light, variable in _VARIABLES.items():
        body = body.replace(light, variable)
    body = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1var(--sans)", body)
    # Names of groups would be those of the next figure too; what is referred to is named by its content.
    body = body.replace('<g id="', '<g data-id="')
    opening = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return opening + Markup(_SIZE.sub("", body.removeprefix("<svg "), count=2))


def listed(names: Iterable[str]) -> str:
    """Names as prose: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _figure(one: ComparisonFigure) -> dict[str, Any]:
    return {"title": one.title, "alt": one.alt, "svg": inline_svg(one.draw("svg").decode("utf-8"), one.alt)}


def _configuration(one: Any) -> dict[str, Any]:
    facts = next(iter(one.runs.values())).facts
    return {
        "label": one.label,
        "series": index_of(one.label) % len(PALETTE),
        "name": one.name,
        "title": facts["method"]["title"],
        "seeds": list(one.runs),
        "words": count(facts["position"]["words"]),
        "parameters": count(facts["model"]["num_parameters"] or 0),
    }


def _verdicts(found: Comparison, label: str) -> dict[str, Any]:
    ours = [one for one in found.differences if one.label == label]
    parts = [one for one in found.phenomenon_differences if one.label == label]
    return {
        "label": label,
        "series": index_of(label) % len(PALETTE),
        "name": next(one.name for one in found.configurations if one.label == label),
        "scores": [_difference(one) for one in ours],
        "real": [_difference(one, True) for one in parts if one.verdict == "real"],
        "phenomena": len(parts),
    }


def _difference(one: Difference, phenomenon: bool = False) -> dict[str, Any]:
    score, interval = one.score, one.interval
    direction = cells.better(one)
    return {
        "task": score.title,
        "title": cells.title(score, phenomenon),
        "label": one.label,
        "series": index_of(one.label) % len(PALETTE),
        "mean": cells.value(score, one.mean, True),
        "sort": one.mean,
        "unit": "points" if is_share(score) else "",
        "interval": cells.interval(score, interval),
        "over_seeds": cells.interval(score, one.seeds),
        "over_items": cells.interval(score, one.items),
        "drawn": f"{one.items.n:,} {one.drawn}" if one.items else "",
        "effect": cells.effect(one.effect),
        "effect_sort": one.effect,
        "p": cells.p_value(one.p_holm),
        "p_sort": one.p_holm,
        "verdict": one.verdict,
        "better": None if direction is None or one.verdict != "real" else "better" if direction else "worse",
    }


def _score(score: Score, labels: list[str], phenomenon: bool = False) -> dict[str, Any]:
    spreads = [score.spreads.get(label) for label in labels]
    return {
        "task": score.title,
        "title": cells.title(score, phenomenon),
        "chance": cells.value(score, score.chance) if score.chance is not None else "",
        "cells": [
            (cells.mean_and_sd(score, label), spread.mean if spread else None)
            for label, spread in zip(labels, spreads, strict=True)
        ],
    }


def _runs(found: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "label": one.label,
            "series": index_of(one.label) % len(PALETTE),
            "name": run.facts["name"],
            "seed": seed,
            "source": _shown_source(run.source),
            "words": run.facts["position"]["words"],
            "shown_words": count(run.facts["position"]["words"]),
            "step": count(run.facts["position"]["step"]),
            "complete": run.facts["position"]["complete"],
        }
        for one in found.configurations
        for seed, run in one.runs.items()
    ]


def _shown_source(source: str) -> str:
    """A repository as it was named; of a folder no more than its last two names, for a page is passed on."""
    folder = Path(source)
    return str(Path(*folder.resolve().parts[-2:])) if folder.exists() else source


def _values(found: Comparison) -> list[dict[str, Any]]:
    scores = [*((one, False) for one in found.scores), *((one, True) for one in found.phenomena)]
    return [
        {
            "task": score.title,
            "name": spaced(score.name),
            "label": label,
            "series": index_of(label) % len(PALETTE),
            "seed": seed,
            "shown": cells.value(score, value),
            "sort": value,
        }
        for score, _ in scores
        for label, spread in score.spreads.items()
        for seed, value in spread.values.items()
    ]
