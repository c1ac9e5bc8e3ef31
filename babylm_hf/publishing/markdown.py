"""Text for Markdown: everything that came from data is escaped unless it was made safe here.

`environment` is what the templates run in: sandboxed, an undefined name is an error, and every string that a template
prints is escaped for running text and table cells alike. What a filter returns as `Markup` is printed as it is. Do not
join strings with `~` in a template: Jinja then escapes for HTML instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

_SPECIAL = re.compile(r"([\\`*\[\]<>|~$])|(?<!\w)_|_(?!\w)")
_LINE_START = re.compile(r"^(\s*)([#+\-=]|\d+[.)])(?=\s)")


def escape(value: Any) -> Any:
    """A string as plain Markdown text on one line, safe in a table cell too; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = " ".join(value.split()).replace("&", "&amp;")
    text = _SPECIAL.sub(lambda match: "\\" + match.group(0), text)
    return Markup(_LINE_START.sub(r"\1\\\2", text))


def code(value: Any) -> Markup:
    """A value as code in running text."""
    text = " ".join(str(value).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return Markup(f"{fence}{padding}{text}{padding}{fence}")


def cell_code(value: Any) -> Markup:
    """A value as code in a table, where a bar ends the cell even within code."""
    return Markup(code(value).replace("|", r"\|"))


def fenced(value: Any, language: str = "") -> Markup:
    """A value as a block of code, as it is."""
    text = str(value).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    # A line of data must not be taken for a marker of a generated block.
    text = text.replace("<!-- babylm_hf:", "<!-- babylm_hf ")
    return Markup(f"{fence}{language}\n{text}\n{fence}")


def quoted(value: Any) -> Markup:
    """A string as a literal of Python or JSON, for use within a block of code."""
    return Markup(json.dumps(str(value), ensure_ascii=False).replace("<!--", "<\\u0021--").replace("```", "`\\u0060`"))


def count(value: Any) -> str:
    """A whole number with thousands separated: 34,677,952."""
    return f"{int(value):,}"


def short(value: Any) -> str:
    """A large number in three digits: 34.7 M; below 10,000 as it is."""
    number = float(value)
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # The next unit is taken as soon as rounding would give a thousand of this one.
        if abs(number) >= max(size * 0.9995, 10_000):
            return f"{number / size:.3g} {unit}"
    return f"{int(number):,}" if number.is_integer() else f"{number:.3g}"


def filesize(value: Any) -> str:
    """Bytes: 54.2 MB."""
    text = short(value)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def number(value: Any) -> str:
    """A measured number in four digits, or that it was not finite."""
    return "not finite" if value is None else f"{float(value):.4g}"


def setting(value: Any) -> str:
    """The value of an option, exactly."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def percent(value: Any, digits: int = 1) -> str:
    """A fraction as per cent: 71.3 %."""
    return "not finite" if value is None else f"{100 * float(value):.{digits}f} %"


def duration(value: Any) -> str:
    """Seconds in the two largest units that matter: 1 h 23 min."""
    seconds = round(float(value))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def plural(value: Any, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 pass, 10 passes."""
    return f"{count(value)} {one if int(value) == 1 else many or one + 's'}"


def spaced(value: Any) -> str:
    """An identifier in words: subject_verb_agreement as subject verb agreement."""
    return str(value).replace("_", " ")


def listed(values: Sequence[Any], last: str = "and") -> Markup:
    """Items as prose: a, b and c."""
    items = [Markup(escape(str(value)) if not isinstance(value, Markup) else value) for value in values]
    if len(items) < 2:
        return Markup("").join(items)
    return Markup(", ").join(items[:-1]) + Markup(f" {last} ") + items[-1]


FILTERS = (
    code,
    cell_code,
    fenced,
    quoted,
    count,
    short,
    filesize,
    number,
    setting,
    percent,
    duration,
    plural,
    spaced,
    listed,
)


def environment(folders: Sequence[Path]) -> SandboxedEnvironment:
    """The templates of `folders`, earlier ones first, in the environment that the module's docstring describes."""
    loaders: list[BaseLoader] = [FileSystemLoader(folder) for folder in folders]
    jinja = SandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # With this a template's own text and the results of macros and filters count as safe; `finalize` sees the rest.
        autoescape=True,
        finalize=escape,
    )
    jinja.filters |= {function.__name__: function for function in FILTERS}
    return jinja
