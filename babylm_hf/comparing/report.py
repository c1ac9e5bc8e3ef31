"""A comparison as text: for the terminal (80 columns), in Markdown, in LaTeX."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ..publishing.markdown import cell_code, setting
from ..publishing.sweeps import Score
from ..publishing.tables import MISSING, table
from . import cells
from .comparison import Comparison, Difference

WIDTH = 80
_MAX_LINES = 4
Table = tuple[str, list[str], list[list[str]]]


def tables(found: Comparison) -> Iterator[Table]:
    """Title, header and rows of each table of a report."""
    labels = [one.label for one in found.configurations]
    rows = [[one.label, one.name, ", ".join(map(str, one.runs))] for one in found.configurations]
    yield "Runs", ["", "configuration", "seeds"], rows
    if found.options:
        yield "What differs", ["option", *labels], [[n, *map(setting, v)] for n, v in found.options.items()]
    yield "Scores, mean ± SD over seeds", ["score", *labels], [_scores(score, labels) for score in found.scores]
    yield from _difference_tables(f"Differences from {labels[0]}", "score", found.differences, phenomena=False)
    if found.phenomena:
        rows = [_scores(score, labels, True) for score in found.phenomena]
        yield "By phenomenon, mean ± SD over seeds", ["phenomenon", *labels], rows
    if found.phenomenon_differences:
        title = f"By phenomenon, differences from {labels[0]}"
        yield from _difference_tables(title, "phenomenon", found.phenomenon_differences, phenomena=True)


def _difference_tables(title: str, what: str, found: Sequence[Difference], *, phenomena: bool) -> Iterator[Table]:
    names = [[cells.title(one.score, phenomena), one.label] for one in found]
    rows = [
        [
            *name,
            cells.value(one.score, one.mean, True),
            cells.interval(one.score, one.interval),
            cells.effect(one.effect),
            cells.p_value(one.p_holm),
            one.verdict,
        ]
        for name, one in zip(names, found, strict=True)
    ]
    yield title, [what, "", "diff.", "95 % interval", "g", "p", "verdict"], rows
    if any(one.items for one in found):
        rows = [
            [*name, cells.interval(one.score, one.seeds), cells.interval(one.score, one.items), _drawn(one)]
            for name, one in zip(names, found, strict=True)
            if one.items
        ]
        yield f"{title}: the parts", [what, "", "over seeds", "over items", "n"], rows


def _drawn(one: Difference) -> str:
    return f"{one.items.n:,} {one.drawn}" if one.items else MISSING


def _scores(score: Score, labels: Sequence[str], phenomenon: bool = False) -> list[str]:
    return [cells.title(score, phenomenon), *(cells.mean_and_sd(score, label) for label in labels)]


def render_text(found: Comparison) -> str:
    """For the terminal, at most 80 columns"""
    blocks = [_text_table(*one) for one in tables(found)]
    notes = [textwrap.fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ") for note in found.notes]
    return "\n\n".join([*blocks, "\n".join(["Notes", *notes])]) + "\n"


def _text_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    # The widest column gives way until the line fits.
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH and max(widths) > 3:
        widths[widths.index(max(widths))] -= 1

    def lines(row: list[str]) -> str:
        """A cell that is too long goes on below."""
        cut = [textwrap.wrap(cell, width)[:_MAX_LINES] or [""] for cell, width in zip(row, widths, strict=True)]
        below = zip_longest(*cut, fillvalue="")
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(part, widths, strict=True)).rstrip() for part in below)

    return "\n".join([title, lines(header), "-" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1)), *map(lines, rows)])


def render_markdown(found: Comparison) -> str:
    """As Markdown; every cell is escaped."""
    parts = ["# Comparison"]
    for title, header, rows in tables(found):
        shown = [[cell_code(r[0]), *map(cell_code, r[1:])] if title == "What differs" else r for r in rows]
        parts.append(f"## {title}\n\n{table([(name, 'left') for name in header], shown)}")
    return "\n\n".join([*parts, "## Notes", "\n".join(f"- {note}" for note in found.notes)]) + "\n"


_TEX = {"\\": r"\textbackslash{}", "−": "$-$", "±": r"$\pm$", "–": "--"}
_TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {char: "\\" + char for char in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(char, char) for char in text).replace("<", r"\textless{}")


def render_latex(found: Comparison) -> str:
    """As tables of LaTeX for the package booktabs."""
    parts = ["% babylm-hf compare; needs \\usepackage{booktabs}"]
    for title, header, rows in tables(found):
        lines = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
        head = " & ".join(map(_tex, header)) + r" \\"
        body = [rf"\begin{{tabular}}{{{'l' * len(header)}}}", r"\toprule", head, r"\midrule", *lines, r"\bottomrule"]
        opening = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}"]
        parts.append("\n".join([*opening, *body, r"\end{tabular}", r"\end{table}"]))
    return "\n\n".join([*parts, *(f"% {note}" for note in found.notes)]) + "\n"
