"""Parsers that end with one sentence, say what was probably meant, and show examples in their help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from .errors import OptionError

_INDENT = "  "


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean KNOWN?` for the known word that is most like `word`, nothing if none is."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class HelpfulParser(argparse.ArgumentParser):
    """An argument parser whose mistakes are `OptionError`s that name the nearest word."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake instead of printing the usage."""
        end = "" if message.endswith("?") else f"; see {self.prog} --help"
        raise OptionError(f"{message}{end}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # The stock sentence lists every choice: for commands and policies that is a paragraph.
        choices = None if action.choices is None else [str(choice) for choice in action.choices]
        if choices is None or value in action.choices:  # type: ignore[operator]
            return
        near = did_you_mean(str(value), choices)
        known = near or f"; choose from {', '.join(choices)}"
        raise argparse.ArgumentError(action, f"there is no {value!r}{known}")

    def options(self) -> list[str]:
        """Every option string it knows."""
        return [string for action in self._actions for string in action.option_strings]

    def unknown_option(self, word: str) -> NoReturn:
        """Refuse a word that is left over."""
        what = "option" if word.startswith("-") else "word"
        self.error(f"unknown {what} {word}{did_you_mean(word.split('=')[0], self.options())}")


class CommandParser(HelpfulParser):
    """A parser of `babylm-hf` or of one of its commands.

    Attributes:
        takes_rest: whether options it does not know belong to a recipe.
    """

    takes_rest = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(*args, **kwargs)
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the stock one; the words are kept so that a mistake can be told by them."""
        self._words = [] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Where something is missing, first look for an option with a slip in its name."""
        if "required" in message and not self.takes_rest:
            for word in self._words:
                name = word.split("=")[0]
                if name.startswith("--") and not any(known.startswith(name) for known in self.options()):
                    near = did_you_mean(name, self.options())
                    if near:
                        super().error(f"unknown option {name}{near}")
        super().error(message)

    def show(self, examples: Sequence[str], notes: str = "") -> None:
        """Put examples, one a line, and further text under the help."""
        given = [self.epilog] if self.epilog else []
        shown = [f"{'example' if len(examples) == 1 else 'examples'}:\n" + "\n".join(_INDENT + e for e in examples)]
        self.epilog = "\n\n".join([*given, *(shown if examples else []), *([notes] if notes else [])])


class _Formatter(argparse.HelpFormatter):
    """Wraps paragraphs of prose, and leaves blocks with indented lines as they are."""

    def add_argument(self, action: argparse.Action) -> None:
        """As the stock one, which forgets how far the names of commands are indented."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            longest = max((len(word) for word in action.choices), default=0)
            self._action_max_length = max(self._action_max_length, longest + self._current_indent + 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = text.split("\n\n")
        return "\n\n".join(
            block if f"\n{_INDENT}" in block else super(_Formatter, self)._fill_text(block, width, indent)
            for block in blocks
        )


def commands_of(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, CommandParser]]:
    """Every command that does something, as (its words, its parser): `("corpus stats", ...)`."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below and isinstance(parser, CommandParser):
        yield name, parser
    for action in below:
        for word, child in action.choices.items():
            yield from commands_of(child, f"{name} {word}".strip())
