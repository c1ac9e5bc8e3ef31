"""COMPS (Misra et al. 2023): do properties go with the right concept, and do made-up words inherit them?

The same property phrase is scored after an acceptable and an unacceptable prefix. Unweighted mean over four sets.
"""

from __future__ import annotations

from pathlib import Path

from .base import State, TaskSpec, read_rows
from .choice import ChoiceTask, Item

_SETS = {"comps_base": "base", "comps_wugs": "wugs", "comps_wugs_dist-before": "wugs_dist_before"}
_FIELDS = dict.fromkeys(("prefix_acceptable", "prefix_unacceptable", "property_phrase"), str)


def load_comps(path: Path, state: State) -> ChoiceTask:
    """COMPS; both states read it alike.

    Raises:
        CorpusError: nothing there, or a line without its fields.
    """
    items = []
    for row, place, file in read_rows(path, "COMPS", _FIELDS):
        prefixes, phrase = (row["prefix_acceptable"], row["prefix_unacceptable"]), row["property_phrase"]
        items.append(
            Item(
                sentences=tuple(f"{prefix} {phrase}" for prefix in prefixes),
                completions=(phrase, phrase),
                label=0,
                uid=_SETS.get(file.stem, "wugs_dist_in_between"),
                prefixes=prefixes,
                source=place,
            )
        )
    return ChoiceTask("comps", path.stem, items, 0.5, whole_predictions=True)


SPECS = {"comps": TaskSpec("comps", "COMPS", 0.5, load_comps, full="comps", official="comps")}
