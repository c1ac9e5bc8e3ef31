"""Sizes in bytes: what is free on a disk, and how a person reads a size."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_space(folder: Path) -> int:
    """Free bytes of the disk of a folder, which need not exist yet."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def readable_size(size: float) -> str:
    """Bytes as a person reads them, such as 1.2 GB."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError("the last unit returns")
