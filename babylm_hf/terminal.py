"""What the terminal can show: colours where somebody looks, no progress bars where nobody does."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Literal, TextIO

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}
_QUIET = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


def coloured(stream: TextIO) -> bool:
    """Whether colours belong on a stream: `NO_COLOR` and `FORCE_COLOR` decide, else whether it is a terminal.

    Source: https://no-color.org, https://force-color.org.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: Literal["bold", "red", "green", "yellow"], stream: TextIO | None = None) -> str:
    """The text in a colour, or as it is where colours do not belong on the stream (standard output without it)."""
    if not coloured(sys.stdout if stream is None else stream):
        return text
    return f"\033[{_CODES[colour]}m{text}\033[0m"


def harmless(text: str, kept: str = "\n\t") -> str:
    """The text without what a terminal would obey: a model may write any control character. Each becomes U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(one) == "Cc" and one not in kept else one for one in text)


def say_error(what: str, sentence: object, colour: Literal["red", "yellow"] = "red") -> None:
    """Print one sentence on standard error: `what: sentence`."""
    print(f"{paint(what + ':', colour, sys.stderr)} {sentence}", file=sys.stderr, flush=True)


def no_bars_without_a_terminal() -> None:
    """Ask the Hugging Face libraries for no progress bars if standard error is a file or a pipe.

    It has to be called before they are imported; what the user has set stays.
    """
    if not sys.stderr.isatty():
        for name in _QUIET:
            os.environ.setdefault(name, "1")
