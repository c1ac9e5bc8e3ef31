"""A comparison as text: for the terminal (80 columns), in Markdown, in LaTeX."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ..publishing.markdown import cell_code, number, setting
from ..publishing.sweeps import Score
from ..publishing.tables import MISSING, table
from .comparison import Comparison, Difference
from .statistics import Interval

WIDTH = 80
Table = tuple[str, list[str], list[list[str]]]


def tables(found: Comparison) -> Iterator[Table]:
    """Title, header and rows of each table of a report."""
    labels = [one.label for one in found.configurations]
    rows = [[one.label, one.name, ", ".join(map(str, one.runs))] for one in found.configurations]
    yield "Runs", ["", "configuration", "seeds"], rows
    if found.options:
        yield "What differs", ["option", *labels], [[n, *map(setting, v)] for n, v in found.options.items()]
    yield "Scores, mean ± SD over seeds", ["score", *labels], [_score(score, labels) for score in found.scores]
    header = ["score", "", "difference", "95 % over seeds", "g", "p", "verdict"]
    yield f"Differences from {labels[0]}", header, [_difference(one) for one in found.differences]
    items = [one for one in found.differences if one.items]
    if items:
        rows = [
            [one.score.title, one.label, *_range(one.score, one.items), str(one.items.n)] for one in items if one.items
        ]
        yield "Over paradigms, for the models at hand", ["score", "", "95 % interval", "n"], rows
    if found.phenomena:
        yield "By phenomenon", ["phenomenon", *labels], [_score(score, labels, True) for score in found.phenomena]
    if found.phenomenon_differences:
        yield f"By phenomenon, from {labels[0]}", header, [_difference(d, True) for d in found.phenomenon_differences]


def _points(score: Score) -> bool:
    return score.chance is not None or score.name.endswith("accuracy")


def _value(score: Score, value: float, signed: bool = False) -> str:
    if _points(score):
        return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
    return f"{value:+.3g}" if signed else number(value)


def _title(score: Score, phenomenon: bool) -> str:
    return score.name.replace("_", " ") if phenomenon else f"{score.title}, {score.name}"


def _score(score: Score, labels: Sequence[str], phenomenon: bool = False) -> list[str]:
    cells = []
    for label in labels:
        spread = score.spreads.get(label)
        sd = f" ± {_value(score, spread.sd)}" if spread and spread.sd is not None else ""
        cells.append(_value(score, spread.mean) + sd if spread else MISSING)
    return [_title(score, phenomenon), *cells]


def _range(score: Score, interval: Interval | None) -> list[str]:
    if interval is None:
        return [MISSING]
    return [f"{_value(score, interval.low, True)} to {_value(score, interval.high, True)}"]


def _difference(one: Difference, phenomenon: bool = False) -> list[str]:
    effect = MISSING if one.effect is None else f"{one.effect:+.1f}"
    p = MISSING if one.p_holm is None else "<.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    mean = _value(one.score, one.mean, True)
    return [_title(one.score, phenomenon), one.label, mean, *_range(one.score, one.seeds), effect, p, one.verdict]


def render_text(found: Comparison) -> str:
    """For the terminal, at most 80 columns; what is too long is cut and marked with …"""
    blocks = [_text_table(*one) for one in tables(found)]
    notes = [textwrap.fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ") for note in found.notes]
    return "\n\n".join([*blocks, "\n".join(["Notes", *notes])]) + "\n"


def _text_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    # The widest column gives way until the line fits.
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH and max(widths) > 3:
        widths[widths.index(max(widths))] -= 1

    def line(cells: list[str]) -> str:
        cut = [c if len(c) <= w else c[: w - 1] + "…" for c, w in zip(cells, widths, strict=True)]
        return "  ".join(c.ljust(w) for c, w in zip(cut, widths, strict=True)).rstrip()

    return "\n".join([title, line(header), "-" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)])


def render_markdown(found: Comparison) -> str:
    """As Markdown; every cell is escaped."""
    parts = ["# Comparison"]
    for title, header, rows in tables(found):
        shown = [[cell_code(r[0]), *map(cell_code, r[1:])] if title == "What differs" else r for r in rows]
        parts.append(f"## {title}\n\n{table([(name, 'left') for name in header], shown)}")
    return "\n\n".join([*parts, "## Notes", "\n".join(f"- {note}" for note in found.notes)]) + "\n"


_TEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {char: "\\" + char for char in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(char, char) for char in text).replace("<", r"\textless{}")


def render_latex(found: Comparison) -> str:
    """As tables of LaTeX for the package booktabs."""
    parts = []
    for title, header, rows in tables(found):
        lines = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
        head = " & ".join(map(_tex, header)) + r" \\"
        body = [rf"\begin{{tabular}}{{{'l' * len(header)}}}", r"\toprule", head, r"\midrule", *lines, r"\bottomrule"]
        opening = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}"]
        parts.append("\n".join([*opening, *body, r"\end{tabular}", r"\end{table}"]))
    return "\n\n".join([*parts, *(f"% {note}" for note in found.notes)]) + "\n"
