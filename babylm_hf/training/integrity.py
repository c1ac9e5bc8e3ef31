"""Checksums of what a run writes, so that a torn or damaged folder is known before anything is built on it.

Every checkpoint, milestone and final model has a `babylm_files.json` with the size and sha256 of each of its files. It
is written last, under the folder's temporary name. The card is left out: it may be rendered again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import ResumeError
from ..lines import parse_json

FILES = "babylm_files.json"
_RENDERED = ("README.md", ".eval_results")


def write_checksums(folder: Path) -> None:
    """Write `babylm_files.json` for all that the folder holds, folders in it included."""
    listed = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in _RENDERED and name.name != FILES:
            listed[name.as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    (folder / FILES).write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def damage(folder: Path) -> str | None:
    """What is wrong with a folder that `write_checksums` was called for, in a few words; None if it is as written.

    Sizes are looked at first: a file cut short is found without reading the others.
    """
    try:
        listed = parse_json((folder / FILES).read_text(encoding="utf-8"))
        if outside := [name for name in listed if _leads_outside(name)]:
            return f"{FILES} names {outside[0]!r}, which is not in the folder"
        known = {folder / name: facts for name, facts in listed.items()}
        expected = {path: (int(facts["bytes"]), str(facts["sha256"])) for path, facts in known.items()}
    except FileNotFoundError:
        return f"{FILES} is missing, so it was not written to its end"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        return f"{FILES} cannot be read ({error})"
    for path, (size, _) in expected.items():
        if not path.is_file():
            return f"{path.relative_to(folder)} is missing"
        if path.stat().st_size != size:
            return f"{path.relative_to(folder)} has {path.stat().st_size:,} bytes and not {size:,}"
    for path, (_, digest) in expected.items():
        try:
            if sha256_of(path) != digest:
                return f"{path.relative_to(folder)} is not what was written (its sha256 differs)"
        except OSError as error:
            return f"{path.relative_to(folder)} cannot be read ({error.strerror})"
    return None


def _leads_outside(name: str) -> bool:
    """Whether a name in a list that may come from elsewhere leaves the folder of the list."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


def require_whole(folder: Path) -> None:
    """Raise ResumeError, with what is wrong, unless the folder is as it was written."""
    if found := damage(folder):
        raise ResumeError(f"{folder} is damaged: {found}; resume from another checkpoint")


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
