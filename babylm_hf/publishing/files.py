"""Files that are either whole or not there, and values as JSON can say them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any


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
