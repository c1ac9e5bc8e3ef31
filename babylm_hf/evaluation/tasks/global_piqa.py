"""GlobalPIQA, English: physical common sense, with four solutions (parallel) or two (nonparallel). `p26` only.

Solutions differ in length, so they compete by mean log-probability per token. The score is the share of right items.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CorpusError
from ..score_rows import ScoreRow
from .base import Counts, State, TaskSpec, read_rows
from .choice import ChoiceTask, Item

_SOLUTIONS = {"global_piqa_parallel": 4, "global_piqa_nonparallel": 2}


def load_global_piqa(name: str, path: Path, state: State) -> ChoiceTask:
    """One of the two sets.

    Raises:
        CorpusError: nothing there, a line without its fields, or a label that names no solution.
    """
    names = [f"solution{i}" for i in range(_SOLUTIONS[name])]
    fields: dict[str, Any] = {"prompt": str, "label": int, "example_id": (str, int), **dict.fromkeys(names, str)}
    items = []
    for row, place, _ in read_rows(path, "GlobalPIQA", fields):
        if not 0 <= row["label"] < len(names):
            raise CorpusError(f"{place}: the label {row['label']} is not one of 0 to {len(names) - 1}.")
        completions = tuple(" " + row[key] for key in names)
        items.append(
            Item(
                sentences=tuple(row["prompt"] + completion for completion in completions),
                completions=completions,
                label=row["label"],
                uid=str(row["example_id"]),
                prefixes=(row["prompt"],) * len(names),
                source=place,
            )
        )
    return _GlobalPIQA(name, path.stem, items, 1 / len(names), mean_log_probability=True)


class _GlobalPIQA(ChoiceTask):
    """Every item is its own `uid`: no table wants them one by one."""

    def _rows(self, by_uid: Counts, score: float) -> list[ScoreRow]:
        return super()._rows(by_uid, score)[:1]

    def _phenomena(self, by_uid: Counts, credits: np.ndarray) -> dict[str, float]:
        return {}


SPECS = {
    name: TaskSpec(
        name,
        f"GlobalPIQA, {name.removeprefix('global_piqa_')}",
        1 / solutions,
        partial(load_global_piqa, name),
        full=name,
        fast=name,
        official=name,
        states=("p26",),
        same_data=True,
    )
    for name, solutions in _SOLUTIONS.items()
}
