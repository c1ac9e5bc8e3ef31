"""Room on the disk: what a run will need is estimated before it starts, and looked at before each save."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunFolderError
from ..sizes import free_space, readable_size

_FLOAT = 4
_SLACK = 1.1
"""Tokenizer, configuration, records and the file system's own needs."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BROKEN = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
# What the libraries that write weights say of a write that failed; their errors are none of the system's.
_TORCH_WRITES = ("PytorchStreamWriter", "inline_container.cc")


@dataclass(frozen=True)
class SpaceNeeded:
    """What a run writes, in bytes.

    Attributes:
        model: one exported model.
        checkpoint: one resumable checkpoint.
        milestones: how many models are kept beside the final one.
        checkpoints: how many checkpoints are kept at once; None for all.
    """

    model: int
    checkpoint: int
    milestones: int
    checkpoints: int

    @property
    def total(self) -> int:
        """All of it, with the checkpoint that is being written while the old ones are still there."""
        return (self.milestones + 1) * self.model + (self.checkpoints + 1) * self.checkpoint


def space_needed(
    parameters: int, *, milestones: int, checkpoints: int, optimizer_moments: int = 2, averaged: bool = False
) -> SpaceNeeded:
    """The estimate, from the number of parameters.

    Args:
        parameters: of the model.
        milestones: models kept beside the final one.
        checkpoints: resumable checkpoints kept at once.
        optimizer_moments: numbers that the optimizer keeps for each parameter; 2 for Adam and LAMB.
        averaged: whether a moving average of the weights is kept too.
    """
    model = int(parameters * _FLOAT * _SLACK)
    return SpaceNeeded(model, model * (1 + optimizer_moments + averaged), milestones, checkpoints)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise RunFolderError unless the disk of a folder, which need not exist yet, has room for `needed` bytes."""
    free = free_space(folder)
    if free < needed:
        raise RunFolderError(
            f"{folder}: {what} needs about {readable_size(needed)}, and {readable_size(free)} are free; make room, "
            "choose another --output_dir, or keep less with --save_total_limit and --milestones"
        )


def require_writable(folder: Path) -> None:
    """Raise RunFolderError if a folder, which need not exist yet, is a file or cannot be written."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise RunFolderError(f"--output_dir {folder}: {place} is a file; give a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise RunFolderError(f"--output_dir {folder}: {place} cannot be written; choose another one")


def make_folder(folder: Path) -> None:
    """Make the folder of a run, if it is not there.

    Raises:
        RunFolderError: it is a file, or cannot be made.
    """
    require_writable(folder)
    with disk_trouble_named(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def disk_trouble_named(folder: Path) -> Iterator[None]:
    """Within it a disk that is full, or cannot be written, is a RunFolderError that says so."""
    try:
        yield
    except Exception as error:
        if (told := disk_trouble(error, folder)) is None:
            raise
        raise told from error


def disk_trouble(error: Exception, folder: Path) -> RunFolderError | None:
    """What a failure says about the disk of a folder, in a sentence; None if it is about something else.

    Weights are written by libraries in Rust and C++, whose errors have the system's number only in their text.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(found.group(1))
    if number in _FULL or (number is None and any(words in str(error) for words in _TORCH_WRITES)):
        return RunFolderError(
            f"{folder}: the disk is full, or its quota used up; nothing that was there before is lost. Make room and "
            "go on with --resume_from_checkpoint auto"
        )
    if number in _BROKEN:
        what = getattr(error, "filename", None) or folder
        return RunFolderError(
            f"{what} cannot be written ({os.strerror(number)}); choose another --output_dir, or mend this one and go "
            "on with --resume_from_checkpoint auto"
        )
    return None
