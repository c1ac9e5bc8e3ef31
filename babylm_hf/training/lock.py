"""One process at a time in an output folder: a second run would mix its checkpoints with the first one's.

The lock is the system's own (`fcntl.lockf`): it is gone the moment its process is, however that ends, workers do not
inherit it, and it holds across the machines of a shared file system that knows such locks. Where there are none
(Windows) nothing is locked.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RunFolderError

LOCK = ".babylm_hf.lock"


@contextmanager
def only_one(folder: Path, locks: bool = True, every: bool = False) -> Iterator[None]:
    """Within it no other process can enter with the same folder, which is made if it is not there.

    Args:
        locks: whether this process does; the others of a distributed run leave it to their first.
        every: whether one process of every machine writes; then each needs a folder of its own.

    Raises:
        RunFolderError: another process is in there.
        OSError: the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:
        locks = False
    if not locks:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 200).decode("utf-8", "replace").strip() or "unknown"
            os.close(file)
            if not isinstance(error, BlockingIOError | PermissionError):  # a file system without locks
                yield
                return
            if every:
                raise RunFolderError(
                    f"{folder} is being written to by another process ({holder}): --save_on_each_node is for machines "
                    "with disks of their own; leave it out where they see the same folder"
                ) from None
            raise RunFolderError(
                f"{folder} is being written to by another run ({holder}); wait for its end, or choose another "
                "--output_dir"
            ) from None
        if _is_still_there(path, file):
            break
        os.close(file)  # its last holder has just removed it
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)


def _is_still_there(path: Path, file: int) -> bool:
    """Whether an open file is the one that has the name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False
