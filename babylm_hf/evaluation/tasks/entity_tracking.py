"""Entity tracking (Kim & Schuster 2023): what is in a box after things were moved?

Five options, the first is right. The score is a mean of means: over the number of operations within each of the sets
regular, ambiref and move_contents, then over the sets. `p26` drops every item with "nothing" in an option.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import CorpusError
from ..score_rows import ScoreRow
from .base import Counts, State, TaskSpec, read_rows
from .choice import ChoiceTask, Item

SETS = ("regular", "ambiref", "move_contents")


@dataclass
class EntityTracking(ChoiceTask):
    """Entity tracking with its own mean."""

    def overall(self, by_uid: Counts) -> float:
        """The mean over the sets that are there."""
        return float(np.mean(list(self.by_set(by_uid).values())))

    def by_set(self, by_uid: Counts) -> dict[str, float]:
        """The mean over numbers of operations of each set that is there."""
        accuracy = by_uid.accuracy()
        means = {name: [value for uid, value in accuracy.items() if uid.startswith(name)] for name in SETS}
        return {name: float(np.mean(values)) for name, values in means.items() if values}

    def _phenomena(self, by_uid: Counts, credits: np.ndarray) -> dict[str, float]:
        return self.by_set(by_uid)

    def _rows(self, by_uid: Counts, score: float) -> list[ScoreRow]:
        rows = super()._rows(by_uid, score)
        sets = self.by_set(by_uid)
        counted = {name: sum(row.n for row in rows[1:] if row.name.startswith(name)) for name in sets}
        means = [ScoreRow(self.name, name, "", value, counted[name], self.chance) for name, value in sets.items()]
        of = {row.name: next((name for name in sets if row.name.startswith(name)), "") for row in rows[1:]}
        return [rows[0], *means, *(replace(row, group=of[row.name]) for row in rows[1:])]


def load_entity_tracking(path: Path, state: State) -> EntityTracking:
    """Entity tracking in the reading of a state; the folder may hold one, two or three of the sets.

    Raises:
        CorpusError: nothing there, a line without its fields, or another set.
    """
    items = []
    fields = {"input_prefix": str, "options": list, "numops": int}
    for row, place, file in read_rows(path, "entity tracking", fields):
        if file.stem not in SETS:
            raise CorpusError(f"{file}: the sets of entity tracking are {', '.join(SETS)}; move the file away.")
        options, prefix = tuple(map(str, row["options"])), row["input_prefix"]
        if state == "p26" and any("nothing" in option for option in options):
            continue
        items.append(
            Item(
                sentences=tuple(prefix + option for option in options),
                completions=options,
                label=0,
                uid=f"{file.stem}_{row['numops']}_ops",
                prefixes=(prefix,) * len(options),
                source=place,
            )
        )
    if not items:
        raise CorpusError(f"{path}: state {state} keeps none of its items: all have an option with 'nothing'.")
    return EntityTracking("entity_tracking", path.stem, items, 1 / len(items[0].sentences))


SPECS = {
    "entity_tracking": TaskSpec(
        "entity_tracking",
        "Entity tracking",
        0.2,
        load_entity_tracking,
        full="entity_tracking",
        fast="entity_tracking_fast",
        official="entity_tracking",
    )
}
