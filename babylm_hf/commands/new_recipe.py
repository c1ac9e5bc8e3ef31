"""`babylm-hf new-recipe`: write the file of a recipe of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf new-recipe`."""
    new = commands.add_parser(
        "new-recipe",
        help="write the file of a recipe of your own, each option explained",
        description="Write a recipe that begins with the options of another one, each with a comment that says what "
        "it does. It runs as it is, also with --demo. A file that exists is never overwritten.",
    )
    new.add_argument("name", help="of the recipe: letters, digits and underscores")
    new.add_argument("--like", default="hard_decay", metavar="RECIPE", help="name or file of the recipe to begin with")
    new.add_argument(
        "--folder", type=Path, metavar="DIR", help="where to write; recipes/ without it, or here where there is none"
    )
    new.set_defaults(action=write_recipe)


def write_recipe(options: argparse.Namespace) -> None:
    """Write the file and say what to do next."""
    from ..recipe_files import new_recipe_file
    from ..sweep import find_recipe, load_recipe

    folder = options.folder or (Path("recipes") if Path("recipes").is_dir() else Path())
    path = new_recipe_file(options.name, folder, load_recipe(find_recipe(options.like)))
    print(f"{path}: begins as {options.like}; now edit it, then")
    print(f"  babylm-hf inspect plan {path} --demo\n  accelerate launch {path} --demo")
