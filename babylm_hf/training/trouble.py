"""Failures of the machine under a run, as sentences: the disk, the memory, a worker or another process that died."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import BabyLMError, PeerLost, ResumeError, TrainingError
from .disk import disk_trouble

_GO_ON = "go on from the last checkpoint with --resume_from_checkpoint auto"
_PEER_LOST = re.compile(r"\bgloo\b|\bnccl\b|Connection closed by peer|Connection reset by peer", re.IGNORECASE)


@contextmanager
def told_plainly(folder: Path) -> Iterator[None]:
    """Within it failures that the user can mend are our errors, and the others stay what they are.

    Args:
        folder: the output folder of the run.
    """
    try:
        yield
    except BabyLMError:
        raise
    except Exception as error:
        if (told := plain_error(error, folder)) is None:
            raise
        raise told from error


def plain_error(error: Exception, folder: Path) -> BabyLMError | None:
    """What a failure means to a user; None where that is not known."""
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return TrainingError(
            "there is not enough memory for a micro-batch; raise --gradient_accumulation_steps, which does not change "
            f"the result, and {_GO_ON}"
        )
    if found := re.search(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\)", text):
        return TrainingError(
            f"a process that prepares rows (pid {found.group(1).strip()}) was killed, mostly for want of memory; lower "
            f"--dataloader_num_workers, which does not change the result, and {_GO_ON}"
        )
    if isinstance(error, pickle.UnpicklingError):
        return ResumeError(
            "the checkpoint holds something else than numbers, and nothing of it was run "
            f"({text.split('. ')[0][:200]}); resume from a checkpoint of your own"
        )
    if isinstance(error, RuntimeError) and _PEER_LOST.search(text):
        lost = "cannot be reached any more" if "Timed out" in text else "has ended"
        return PeerLost(
            f"another process of the run {lost}, so this one cannot go on; see what that one said, and {_GO_ON}"
        )
    return disk_trouble(error, folder)
