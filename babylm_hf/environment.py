"""Settings of the process that have to be made before torch is loaded."""

from __future__ import annotations

import os


def share_the_machine() -> None:
    """Let idle OpenMP threads sleep instead of spin, unless the user has chosen.

    Small models make thousands of parallel regions a second. Where anything else wants a core, a spinning thread keeps
    the one that has work from running: on two cores beside one other process a step of the demonstration model took
    10 times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
