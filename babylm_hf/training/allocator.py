"""Memory that is freed stays with the process.

glibc gives every large block back to the system as soon as it is freed, and every tensor of the next step has its pages
made anew, one fault for each 4 KB: on a virtual machine up to a third of a training step. Told never to map single
blocks and never to trim its heap, it hands the same pages out again. Price: the process keeps the size of its largest
moment, between steps too. torch's GPU memory is not concerned.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of mallopt(3) and what the environment calls them.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES", "LD_PRELOAD")
_MOST = (1 << 31) - 1
_TOP_PAD = 64 << 20


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; returns whether it does.

    Nothing is done, and False returned, on other systems and where the environment already chooses an allocator or its
    parameters.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _VARIABLES):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 (musl has no such function, and a mallopt that does nothing)
        settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _MOST), (_M_TOP_PAD, _TOP_PAD))
        return all(library.mallopt(name, value) == 1 for name, value in settings)
    except (OSError, AttributeError):
        return False
