"""Room on the disk: what a run will need is estimated before it starts, and looked at before each save."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunFolderError
from ..sizes import free_space, readable_size

_FLOAT = 4
_SLACK = 1.1
"""Tokenizer, configuration, records and the file system's own needs."""


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


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Within it a disk that is full, or a quota that is used up, is a RunFolderError that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunFolderError(
            f"{folder}: the disk is full; nothing that was there before is lost. Make room and go on with "
            "--resume_from_checkpoint auto"
        ) from error
