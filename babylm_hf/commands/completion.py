"""`babylm-hf completion`: let the shell complete commands, options and files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Any) -> None:
    """`babylm-hf completion`."""
    completion = commands.add_parser(
        "completion",
        help="print what a shell needs to complete commands and options",
        description="Print a completion script. Put it where your shell looks for completions and open a new shell; "
        "for zsh that folder must be in fpath before compinit is called.",
    )
    completion.add_argument("shell", choices=_SHELLS, help="which shell")
    completion.set_defaults(action=print_completion)


def print_completion(options: argparse.Namespace) -> None:
    """Print the script that shtab makes of all parsers."""
    import shtab

    from ..cli import build_parser
    from ..parsing import commands_of

    parser = build_parser()
    for _, command in commands_of(parser):
        for action in command._actions:
            if action.type is Path or action.metavar in ("RUN", "FILE", "DIR") or action.dest in ("model", "source"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
