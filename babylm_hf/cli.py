"""The command `babylm-hf`: what is done to text, tokenizers and finished runs. Training is done by recipes.

Nothing heavy is imported before it is needed: `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from . import __version__
from .environment import send_no_telemetry, share_the_machine
from .errors import EXIT_PREEMPTED, EXIT_USER_ERROR, BabyLMError, Preempted
from .parsing import CommandParser, commands_of
from .terminal import no_bars_without_a_terminal, say_error

COMMANDS = (
    "doctor",
    "new_recipe",
    "corpus",
    "tokenizer",
    "inspect",
    "masks",
    "evaluate",
    "finetune",
    "submission",
    "generate",
    "likelihood",
    "sweep",
    "compare",
    "card",
    "publish",
    "completion",
)
"""The files of `babylm_hf.commands`, in the order of `--help`."""

EXIT_CODES = """exit status:
  0    done
  1    done, but something asked for came out wrong: a task without a score, a check that failed
  2    a mistake in the options or the text, or a run that failed; one sentence says what to do
  75   asked to stop (SIGTERM, SIGINT) while training: a checkpoint was saved, the same command goes on
  130  interrupted"""


def main(argv: list[str] | None = None) -> None:
    """Run one command; a mistake of the user's ends with one sentence and exit status 2."""
    share_the_machine()
    send_no_telemetry()
    no_bars_without_a_terminal()
    words = sys.argv[1:] if argv is None else argv
    try:
        parser = build_parser()
        if not words:
            parser.print_help()
            return
        options, rest = parser.parse_known_args(words)
        options.rest = rest
        if rest and not options.parser.takes_rest:
            options.parser.unknown_option(rest[0])
        options.action(options)
        sys.stdout.flush()
    except Preempted as stopped:
        say_error("stopped", stopped, "yellow")
        sys.exit(EXIT_PREEMPTED)
    except BabyLMError as error:
        say_error("error", error)
        sys.exit(EXIT_USER_ERROR)
    except BrokenPipeError:  # `babylm-hf ... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def build_parser() -> CommandParser:
    """All commands and their options, with their examples."""
    from .commands.examples import EXAMPLES, FIRST

    parser = CommandParser(
        prog="babylm-hf", description="Text, tokenizers, scores and cards for pretraining on little text."
    )
    parser.add_argument("--version", action="version", version=f"babylm_hf {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f".commands.{name}", __package__).add(commands)
    parser.show(FIRST, EXIT_CODES)
    for name, command in commands_of(parser):
        command.show(EXAMPLES.get(name, ()))
        command.takes_rest = bool(command.get_default("takes_rest"))
        command.set_defaults(parser=command)
    return parser


if __name__ == "__main__":
    main()
