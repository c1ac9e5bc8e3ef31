"""Writing the file of a new recipe: that of another one, with every option explained beside its value."""

from __future__ import annotations

import json
import keyword
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import OptionError
from .recipe import Recipe, recipe_parser

_WIDTH = 118

_DOCSTRING = '''"""{name}: say in one line what this recipe is.

Method: say what it does differently from {like}, whose settings these were, and why.

What to expect: nothing has been measured yet. After the first runs say here what they showed.

    accelerate launch {path} --demo
    accelerate launch {path} --train_file a.txt --validation_file v.txt
    babylm-hf inspect plan {path} --demo --measure 5
"""
'''

_PAPER = """\
# What the card cites as the method's publication: that of {like}. Put your own here once there is one.
"""

_FIELDS = {
    "name": "of the recipe and of the folder under runs/",
    "title": "one line, for --help and the card",
    "dataset": "the corpus on the Hub that is loaded when no text is given",
    "defaults": "where the recipe differs from the options' own defaults; every option of --help can stand here",
    "demo": "on top of that with --demo: small enough for a CPU",
    "gpu": "on top of that where there is a GPU that computes in bfloat16",
}


def new_recipe_file(name: str, folder: Path, like: Recipe) -> Path:
    """Write `folder/NAME.py`.

    Args:
        name: of the recipe: letters, digits and underscores.
        folder: an existing one.
        like: the recipe whose options are taken over.

    Returns:
        The file.

    Raises:
        OptionError: the name is no name of a Python file, the file is there already, or cannot be written.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise OptionError(f"a recipe cannot be called {name!r}: use letters, digits and underscores, such as my_masks")
    path = folder / f"{name}.py"
    try:
        with open(path, "x", encoding="utf-8") as file:  # "x" refuses what exists, a link included
            file.write(recipe_text(name, path, like))
    except FileExistsError as error:
        raise OptionError(f"{path} exists and is left as it is; choose another name") from error
    except OSError as error:
        raise OptionError(f"{path} cannot be written ({error.strerror}); name a folder that exists") from error
    return path


def recipe_text(name: str, path: Path, like: Recipe) -> str:
    """The text of a recipe's file with the options of `like`."""
    helps = {action.dest: action.help or "" for action in recipe_parser()._actions}
    parts = {
        "name": _literal(name),
        "title": _literal(f"{name}, after {like.name}"),
        "paper": "PAPER",
        "dataset": _literal(like.dataset),
        "defaults": _options(like.defaults, helps),
        "demo": _options(like.demo, {option: helps[option] for option in helps if option not in like.defaults}),
        "gpu": _options(like.gpu, helps),
    }
    empty = {"dataset": "None", "gpu": "{}"}
    lines = []
    for field, value in parts.items():
        if value == empty.get(field):
            continue
        if field in _FIELDS:
            lines.append(f"    # {_FIELDS[field]}")
        lines.append(f"    {field}={value},")
    paper = "\n".join(f"    {_literal(key)}: {_literal(value)}," for key, value in like.paper.items())
    return (
        _DOCSTRING.format(name=name, like=like.name, path=path.as_posix())
        + "\nfrom __future__ import annotations\n\nfrom babylm_hf import Recipe\n\n"
        + _PAPER.format(like=like.name)
        + f"PAPER = {{\n{paper}\n}}\n\nRECIPE = Recipe(\n"
        + "\n".join(lines)
        + '\n)\n\nif __name__ == "__main__":\n    RECIPE.main()\n'
    )


def _literal(value: Any) -> str:
    """Python that gives the value: strings in double quotes, of several lines in three."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if not isinstance(value, str):
        return repr(value)
    if "\n" in value and "\\" not in value and '"""' not in value and not value.endswith('"'):
        return f'"""{value}"""'
    return json.dumps(value, ensure_ascii=False)


def _options(values: Mapping[str, Any], helps: Mapping[str, str]) -> str:
    """Options as a dictionary, the help of each above it."""
    if not values:
        return "{}"
    lines = ["{"]
    for option, value in values.items():
        told = " ".join(helps.get(option, "").replace("%%", "%").split())  # said once, where it first stands
        lines += textwrap.wrap(told, _WIDTH, initial_indent=" " * 8 + "# ", subsequent_indent=" " * 8 + "# ")
        lines.append(f"        {_literal(option)}: {_literal(value)},")
    return "\n".join([*lines, "    }"])
