"""What a run did, from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..publishing import RunRecord

_PLACES = ("output_dir", "logging_dir", "run_name", "max_steps")
"""Said elsewhere, or decided by the plan."""


def run_facts(folder: str | Path) -> dict[str, Any]:
    """What the record of a run says, in JSON's types.

    Args:
        folder: the output folder of a recipe, finished or not.

    Returns:
        `name`, `recipe`, `command`, `created`, `state` ("finished", or where it stands), `changed` options (name ->
        [default, value]), `plan` in short, `step`, `words`, `seconds`, `words_per_second`, `milestones[]` with what
        was saved, `scores[]` (task, milestone, words, metrics that are numbers), `resumes[]`, `last_log`.

    Raises:
        RunFolderError: there is no record, or it is damaged.
    """
    record = RunRecord.open(Path(folder) / "record")
    manifest, events = record.manifest, record.events()
    plan = manifest.get("plan", {})
    words = max((event.get("words", 0) for event in events), default=0)
    ends = [event for event in events if event["kind"] == "end"]
    seconds = record.seconds()
    logs = [event for event in events if event["kind"] == "log"]
    return {
        "name": manifest.get("name", Path(folder).name),
        "recipe": manifest.get("recipe"),
        "command": manifest.get("command"),
        "created": manifest.get("created"),
        "state": f"finished: {ends[-1].get('reason', '')}" if ends else "not finished",
        "changed": changed_options(manifest),
        "steps": [max((event.get("step", 0) for event in events), default=0), plan.get("total_steps")],
        "words": [words, plan.get("total_words")],
        "seconds": seconds,
        "words_per_second": words / seconds if seconds else None,
        "milestones": [
            {key: event.get(key) for key in ("name", "step", "words")}
            for event in events
            if event["kind"] == "milestone"
        ],
        "scores": [_score(event) for event in events if event["kind"] == "evaluation"],
        "resumes": [
            {key: event.get(key) for key in ("time", "step", "checkpoint")}
            for event in record.history()
            if event["kind"] == "resume"
        ],
        "last_log": {name: value for name, value in logs[-1].items() if name not in ("kind", "time")} if logs else {},
    }


def changed_options(manifest: dict[str, Any]) -> dict[str, list[Any]]:
    """Options whose value is not their default: name -> [default, value]; those of the recipe are among them."""
    defaults = manifest.get("defaults", {})
    return {
        name: [defaults[name], value]
        for name, value in sorted(manifest.get("arguments", {}).items())
        if name in defaults
        and name not in _PLACES
        and value != defaults[name]
        and not (
            defaults[name] in (None, "", "none") and isinstance(value, list | dict | bool | type(None)) and not value
        )
        and name != "accelerator_config"
    }


def _score(event: dict[str, Any]) -> dict[str, Any]:
    metrics = {
        name: value
        for name, value in event.get("metrics", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {**{key: event.get(key) for key in ("task", "milestone", "step", "words", "chance")}, "metrics": metrics}
