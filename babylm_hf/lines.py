"""JSON that others wrote: whatever is wrong with it is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import CorpusError


def parse_json(text: str | bytes) -> Any:
    """As `json.loads`; text that is nested too deeply is a ValueError too, like any other that is no JSON."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def json_lines(file: Path) -> Iterator[tuple[Any, str]]:
    """What stands on the lines of a file that are not blank, and where: "FILE, line N".

    Raises:
        CorpusError: the file cannot be read, or a line is not JSON, not UTF-8, or has half a surrogate pair.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    place = f"{file}, line {number}"
                    yield _entry(line, place), place
    except OSError as error:
        raise CorpusError(f"{file} cannot be read ({error.strerror}); check the path and its permissions.") from error


def _entry(line: bytes, place: str) -> Any:
    try:
        entry = parse_json(line.decode("utf-8-sig"))
        if b"\\u" in line:
            json.dumps(entry, ensure_ascii=False).encode("utf-8")  # JSON can spell what is no character
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: not UTF-8 (byte 0x{line[error.start]:02x}).") from error
    except UnicodeEncodeError as error:
        raise CorpusError(f"{place}: half a surrogate pair, which is no character.") from error
    except ValueError as error:
        raise CorpusError(f"{place}: not JSON ({getattr(error, 'msg', error)}).") from error
    return entry
