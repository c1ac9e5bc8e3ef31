"""The BLiMP supplement of BabyLM: five files of minimal pairs, each a paradigm of its own.

The score is the unweighted mean over files, so that 64 pairs of the smallest weigh as much as 3,867 of the largest.
"""

from __future__ import annotations

from .base import TaskSpec
from .pairs import load_pair_task

SPECS = {
    "supplement": TaskSpec(
        "supplement",
        "BLiMP supplement",
        0.5,
        lambda path, state: load_pair_task(path, "supplement", phenomenon=None),
        full="supplement_filtered",
        fast="supplement_fast",
        official="blimp",
    )
}
