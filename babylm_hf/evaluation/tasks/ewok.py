"""EWoK (Ivanova et al. 2024): basic world knowledge in eleven domains. The data are gated and supplied by the user.

`p25` asks which of two targets fits a context, `p26` in which of two contexts a target fits better, which scores the
same words twice. The score is the unweighted mean over domains.
"""

from __future__ import annotations

from pathlib import Path

from .base import State, TaskSpec, read_rows
from .choice import ChoiceTask, Item

_FIELDS = dict.fromkeys(("Domain", "Context1", "Context2", "Target1", "Target2"), str)
_GROUPS = {"context_type": "ContextType", "context_contrast": "ContextDiff", "target_contrast": "TargetDiff"}


def load_ewok(path: Path, state: State) -> ChoiceTask:
    """EWoK in the reading of a state.

    Raises:
        CorpusError: nothing there, or a line without its fields.
    """
    items = []
    for row, place, _ in read_rows(path, "EWoK", _FIELDS):
        first, second = (row["Context1"], row["Target1"]), (row["Context1"], row["Target2"])
        if state == "p26":
            second = (row["Context2"], row["Target1"])
        items.append(
            Item(
                sentences=(" ".join(first), " ".join(second)),
                completions=(" " + first[1], " " + second[1]),
                label=0,
                uid=row["Domain"],
                # As published: `p25` gives the encoder of `enc_dec_prefix` the other context for the second target.
                prefixes=(row["Context1"], row["Context2"]),
                groups={name: str(row[key]) for name, key in _GROUPS.items() if key in row},
                source=place,
            )
        )
    return ChoiceTask("ewok", path.stem, items, 0.5, whole_predictions=state == "p26")


SPECS = {"ewok": TaskSpec("ewok", "EWoK", 0.5, load_ewok, full="ewok_filtered", fast="ewok_fast", official="ewok")}
