"""What a run did, from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..publishing import RunRecord
from ..publishing.markdown import number, percent
from ..publishing.measurements import measurement
from ..publishing.tables import main_score

_PLACES = ("output_dir", "logging_dir", "run_name", "max_steps")
"""Said elsewhere, or decided by the plan."""


def run_facts(folder: str | Path) -> dict[str, Any]:
    """What the record of a run says, in JSON's types.

    Args:
        folder: the output folder of a recipe, finished or not.

    Returns:
        `name`, `recipe`, `command`, `created`, `state` ("finished", or where it stands), `changed` options (name ->
        [default, value]), `plan` in short, `step`, `words`, `seconds`, `words_per_second`, `milestones[]` with what
        was saved, `scores[]` (task, milestone, words, metrics that are numbers), `table[]` (name, step, words, and the
        main score of each task, as it is shown), `resumes[]`, `last_log`.

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
        "table": _table(events),
        "resumes": [
            {key: event.get(key) for key in ("time", "step", "checkpoint")}
            for event in record.history()
            if event["kind"] == "resume"
        ],
        "last_log": {name: value for name, value in logs[-1].items() if name not in ("kind", "time")} if logs else {},
    }


def _table(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for every place of the run that was saved or measured, and how its model scored."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for event in events:
        if event["kind"] not in ("milestone", "evaluation"):
            continue
        name = (event.get("name") if event["kind"] == "milestone" else event.get("milestone")) or ""
        words = event.get("words_seen") or event.get("words", 0)
        step = event.get("step", 0)
        row = rows.setdefault((step, name), {"name": name, "step": step, "words": words, "scores": {}})
        row["words"] = max(row["words"], words)
        if event["kind"] == "evaluation" and (score := main_score(found := measurement(event))) is not None:
            value = found.scores[score]
            share = found.is_pairs or score.endswith("accuracy")
            row["scores"][f"{found.task} {score}"] = percent(value) if share else number(value)
    last = max((step for step, _ in rows), default=0)
    if (last, "") in rows:
        rows[last, ""]["name"] = "final" if any(event["kind"] == "end" for event in events) else "now"
    return [rows[place] for place in sorted(rows, key=lambda place: (place[0], place[1] == ""))]


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
