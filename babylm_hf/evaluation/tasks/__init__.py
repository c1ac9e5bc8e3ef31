"""The zero-shot tasks of BabyLM, one file each. A task's file says how its data become requests and scores."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import OptionError

if TYPE_CHECKING:
    from .base import TaskSpec

_FILES = {
    "blimp": "blimp",
    "supplement": "supplement",
    "ewok": "ewok",
    "entity_tracking": "entity_tracking",
    "comps": "comps",
    "wug_adj": "wug",
    "wug_past": "wug",
    "global_piqa_parallel": "global_piqa",
    "global_piqa_nonparallel": "global_piqa",
    "reading": "reading",
    "aoa": "aoa",
    "toy_pairs": "pairs",
}
TASKS = tuple(_FILES)
"""Names of the tasks, in the order in which they are reported."""


def task_spec(name: str) -> TaskSpec:
    """The description of a task.

    Raises:
        OptionError: there is no such task.
    """
    if name not in _FILES:
        raise OptionError(
            f"--tasks {name}: no such task; there are {', '.join(TASKS)}, or NAME=FOLDER for BLiMP's form."
        )
    spec: TaskSpec = import_module(f".{_FILES[name]}", __name__).SPECS[name]
    return spec
