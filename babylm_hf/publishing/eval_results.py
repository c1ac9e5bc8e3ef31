"""Scores as `.eval_results/*.yaml`, from which the Hub fills model pages and the leaderboards of benchmarks.

An entry needs the benchmark's data set on the Hub. So only evaluations whose event in the record names it are
written: `dataset{id, revision, task}`; the model index of the card holds all scores, these among them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .facts import facts_of
from .files import write_whole
from .measurements import measurement
from .record import RunRecord
from .tables import main_score

FOLDER = ".eval_results"
FILE = "babylm_hf.yaml"


def eval_results(record: RunRecord, milestone: str | None = None) -> list[dict[str, Any]]:
    """The entries of the final model, or of a milestone: the main score of each task measured on that very model."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    step = facts_of(record, milestone)["position"]["step"]
    entries: dict[tuple[str, str], EvalResultEntry] = {}
    for event in record.events("evaluation"):
        dataset = event.get("dataset") or {}
        found = measurement(event)
        score = main_score(found)
        if not dataset.get("id") or event.get("step", 0) != step or score is None or found.scores[score] is None:
            continue
        if milestone is not None and found.milestone not in (None, milestone):
            continue
        task = dataset.get("task") or found.task
        chance = f", chance {found.chance:g}" if found.chance is not None else ""
        ties = ", a tie counts one half" if found.is_pairs else ""
        entries[dataset["id"], task] = EvalResultEntry(
            dataset_id=dataset["id"],
            task_id=task,
            value=found.scores[score],
            dataset_revision=dataset.get("revision"),
            date=event["time"],
            notes=f"{score.replace('_', ' ')}{chance}{ties}; {found.words:,} words seen",
        )
    return eval_result_entries_to_yaml(list(entries.values()))


def write_eval_results(record: RunRecord, folder: Path, milestone: str | None = None) -> Path | None:
    """Write the file into a model folder, or take away one that has nothing to say any more; returns its path."""
    path = folder / FOLDER / FILE
    entries = eval_results(record, milestone)
    if not entries:
        path.unlink(missing_ok=True)
        return None
    return write_whole(path, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
