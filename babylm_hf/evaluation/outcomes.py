"""The outcome of every item of a task, small enough to be kept in a run record and told to the last item.

With them two models are compared item by item. A paradigm's outcomes are one string, a character an item: `0` wrong,
`1` right, and `k` from 2 to 9 a tie of the right candidate with others, which earns one k-th. The task's score is the
weighted sum of the paradigms' accuracies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


def item_outcomes(
    uids: Sequence[str],
    phenomena: Sequence[str],
    credits: np.ndarray,
    texts: Iterable[str],
    overall: Callable[[dict[str, float]], float],
) -> dict[str, Any]:
    """Outcomes in JSON's types.

    Args:
        uids: the paradigm of each item `[n]`.
        phenomena: its phenomenon `[n]`, one for all items of a paradigm; empty where there is none.
        credits: what it earned, 0 to 1 `[n]`.
        texts: what was asked, any number of texts in a fixed order: their checksum tells whether two models were
            asked the same.
        overall: the task's score from accuracies by paradigm; a weighted sum of them.

    Returns:
        `sha256` of the texts, and `paradigms`: name -> `phenomenon`, `weight` and `outcomes`.
    """
    listed: dict[str, list[str]] = {}
    for uid, credit in zip(uids, credits, strict=True):
        listed.setdefault(uid, []).append(_character(float(credit)))
    phenomenon_of = dict(zip(uids, phenomena, strict=True))
    checksum = hashlib.sha256()
    for text in (*uids, *texts):
        checksum.update(text.encode("utf-8") + b"\0")
    return {
        "sha256": checksum.hexdigest(),
        "paradigms": {
            uid: {
                "phenomenon": phenomenon_of[uid],
                "weight": overall({name: float(name == uid) for name in listed}),
                "outcomes": "".join(characters),
            }
            for uid, characters in listed.items()
        },
    }


def credits_of(outcomes: str) -> np.ndarray:
    """What each item of a paradigm earned, 0 to 1, float64 `[n]`.

    Raises:
        ValueError: a character that is no digit.
    """
    digits = np.array([int(character) for character in outcomes], dtype=np.float64)
    return np.divide(1.0, digits, out=np.zeros_like(digits), where=digits > 0)


def _character(credit: float) -> str:
    return "0" if credit <= 0 else str(min(9, round(1 / credit)))
