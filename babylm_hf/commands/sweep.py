"""`babylm-hf sweep`: train a recipe with several seeds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf sweep`."""
    sweep = commands.add_parser(
        "sweep",
        help="train a recipe with several seeds, compare variants, publish them all",
        epilog="Options that are not listed here are those of the recipe, for every run.",
        allow_abbrev=False,  # --seed is an option of the recipe, not short for --seeds
    )
    sweep.add_argument("recipe", help="name or file of a recipe")
    sweep.add_argument("--seeds", nargs="+", type=int, required=True, help="one run each")
    sweep.add_argument("--output_dir", type=Path, help="folder of the sweep; runs/RECIPE_sweep without it")
    sweep.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=OPTIONS",
        help="options to compare, such as soft='--masking soft'; may be repeated, the first is the baseline",
    )
    sweep.add_argument("--launcher", help="what starts a run, such as 'accelerate launch'; this Python without it")
    sweep.add_argument("--publish", metavar="NAMESPACE/NAME", help="publish each run, the card and a collection")
    sweep.add_argument("--public", action="store_true", help="open the repositories to all; they are private without")
    sweep.set_defaults(action=run_sweep, takes_rest=True)


def run_sweep(options: argparse.Namespace) -> None:
    """Train what is not finished yet, write the card, publish if asked."""
    from ..sweep import publish_sweep, sweep_options

    sweep = sweep_options(vars(options))
    if options.publish:
        check_before(options.publish)
    folder = sweep.train()
    print(f"card of the sweep: {folder.path / 'README.md'}")
    if options.publish:
        from huggingface_hub import HfApi

        repo_ids = publish_sweep(folder, HfApi(), options.publish, private=not options.public)
        print(f"published: {', '.join(repo_ids.values())}")


def check_before(prefix: str) -> None:
    """Refuse a name, a token or a namespace before the first run rather than after the last."""
    from huggingface_hub import HfApi

    from ..publishing.access import check_name, full_name

    check_name(prefix)
    full_name(HfApi(), prefix)
