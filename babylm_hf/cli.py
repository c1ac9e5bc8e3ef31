"""The command `babylm-hf`: what is done to text, tokenizers and finished runs. Training is done by recipes.

Nothing heavy is imported before it is needed: `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import Any

from . import __version__
from .environment import share_the_machine
from .errors import EXIT_USER_ERROR, BabyLMError, OptionError

COMMANDS = (
    "corpus",
    "tokenizer",
    "masks",
    "inspect",
    "evaluate",
    "submission",
    "finetune",
    "generate",
    "likelihood",
    "card",
    "publish",
    "sweep",
    "compare",
)
"""The files of `babylm_hf.commands`, in the order of `--help`."""


def main(argv: list[str] | None = None) -> None:
    """Run one command; a mistake of the user's ends with one sentence and exit status 2."""
    share_the_machine()
    try:
        parser = build_parser()
        options, rest = parser.parse_known_args(argv)
        options.rest = rest
        if options.rest and not getattr(options, "takes_rest", False):
            parser.error(f"unrecognized arguments: {' '.join(options.rest)}")
        options.action(options)
    except BabyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise OptionError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = _Parser(prog="babylm-hf", description="Text, tokenizers, scores and cards for pretraining on little text.")
    parser.add_argument("--version", action="version", version=f"babylm_hf {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f".commands.{name}", __package__).add(commands)
    return parser


if __name__ == "__main__":
    main()
