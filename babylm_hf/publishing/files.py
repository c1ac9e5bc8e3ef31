"""Files that are either whole or not there, and values as JSON can say them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ..lines import parse_json


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, then rename: a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    data = content.encode("utf-8") if isinstance(content, str) else content
    with open(temporary, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return path


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add a line of JSON to a file; it is on disk when this returns; a torn last line is mended first."""
    line = json.dumps(entry, ensure_ascii=False).encode("utf-8") + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as stream:
        _mend_tail(stream)
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The entry on a line, or None where there is none: entries are objects that say their `kind`, numbers are such."""
    try:
        entry = parse_json(line)
    except ValueError:
        return None
    sound = isinstance(entry, dict) and isinstance(entry.get("kind"), str)
    return entry if sound and _is_count(entry.get("step", 0)) and _is_count(entry.get("seconds") or 0) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1 << 63


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The entries of a file of JSON lines; what is no entry is passed over, and a file that is not there has none."""
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    return [entry for line in lines if (entry := parse_line(line)) is not None]


def _mend_tail(stream: Any) -> None:
    """End the file with a whole line: finish one that lacks only its line break, cut off one that is torn."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 1))
    if size == 0 or stream.read(1) == b"\n":
        return
    stream.seek(0)
    content = stream.read()
    start = content.rfind(b"\n") + 1
    if parse_line(content[start:]) is not None:
        stream.write(b"\n")
    else:
        stream.truncate(start)


def plain(value: Any) -> Any:
    """A value in JSON's own types.

    Numbers that are not finite become None, because JSON has no word for them; arrays and tensors become lists; a path
    is cut to its last part, because no folder of this machine belongs in a record.

    Raises:
        TypeError: something that has no such form, which is a mistake of the caller's.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Path):
        return value.name
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"a run record cannot hold a {type(value).__name__}: {value!r}")
