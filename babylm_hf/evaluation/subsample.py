"""The accuracy on a sample of a task's items, beside the score on all of them.

Some published scores are of samples: those of the LLaMA baselines of about 2,000 BLiMP pairs, 30 of each paradigm, and
which is not told. A sample of that size shows what such a number is worth. It replaces no score.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from .outcomes import credits_of


def subsample(outcomes: dict[str, Any], size: int = 2000, seed: int = 0) -> dict[str, Any] | None:
    """Accuracy on `size` items, as many of each paradigm as of the next, or one more.

    An item is drawn by the SHA-256 of the seed, its paradigm and its place there, so the sample is the same on any
    machine and for any order of the paradigms.

    Args:
        outcomes: of all items, as `item_outcomes` makes them.
        size: items to draw.
        seed: of the draw.

    Returns:
        `items`, `seed`, `accuracy` over the items, and its `standard_error`; None where there are no more than `size`.
    """
    credits = {name: credits_of(paradigm["outcomes"]) for name, paradigm in outcomes["paradigms"].items()}
    if sum(map(len, credits.values())) <= size:
        return None
    ranked = []
    for name, of_paradigm in credits.items():
        drawn = sorted((_draw(seed, name, place), place) for place in range(len(of_paradigm)))
        ranked += [(rank, draw, float(of_paradigm[place])) for rank, (draw, place) in enumerate(drawn)]
    taken = [credit for _, _, credit in sorted(ranked)[:size]]
    accuracy = sum(taken) / size
    error = math.sqrt(sum((credit - accuracy) ** 2 for credit in taken) / size / size)
    return {"items": size, "seed": seed, "accuracy": accuracy, "standard_error": error}


def _draw(seed: int, paradigm: str, place: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{paradigm}\0{place}".encode()).digest()
