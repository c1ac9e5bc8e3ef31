"""BLiMP (Warstadt et al. 2020): 67 paradigms of minimal pairs, filtered to the words of the BabyLM corpora.

The score is the unweighted mean over paradigms. Raw and filtered BLiMP give different scores.
"""

from __future__ import annotations

from .base import TaskSpec
from .pairs import load_pair_task

SPECS = {
    "blimp": TaskSpec(
        "blimp",
        "BLiMP",
        0.5,
        lambda path, state: load_pair_task(path, "blimp"),
        full="blimp_filtered",
        fast="blimp_fast",
        official="blimp",
    )
}
