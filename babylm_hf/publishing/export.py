"""The small files that published systems ship beside a model, made from the record.

`losses.csv` (the curve), `training_config.yaml` (every option) and `metadata.json` (what the run was), as the published
BabyLM systems have them.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import yaml

from .facts import facts_of
from .files import write_whole
from .measurements import measurement
from .options import public_options
from .record import RunRecord

_LOGGED = ("loss", "learning_rate", "grad_norm", "mask_rate", "mask_rate_realised")


def export_artefacts(record: RunRecord, folder: str | Path | None = None) -> list[Path]:
    """Write the three files into a folder, by default the record's own; returns their paths."""
    folder = Path(folder) if folder is not None else record.folder
    files = {
        "losses.csv": losses_csv(record),
        "training_config.yaml": training_config(record),
        "metadata.json": metadata_json(record),
    }
    return [write_whole(folder / name, text) for name, text in files.items()]


def losses_csv(record: RunRecord) -> str:
    """The curve: a line for each step that was logged or measured, empty where a number was not taken or not finite."""
    rows: dict[int, dict[str, Any]] = {}
    columns = ["step", "words", "pass", *_LOGGED]
    for event in record.events():
        row = rows.setdefault(event.get("step", 0), {})
        if event["kind"] == "log":
            row |= {name: event.get(name) for name in ("step", "words", "pass", *_LOGGED)}
        elif event["kind"] == "evaluation":
            found = measurement(event)
            scores = {f"{found.task}_{name}": value for name, value in found.scores.items()}
            columns += [name for name in scores if name not in columns]
            row |= {"step": found.step, "words": found.words, **scores}
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for _, row in sorted(rows.items()) if row)
    return table.getvalue()


def training_config(record: RunRecord) -> str:
    """Every option of the run, and the parameters of its method; no tokens, no folders of the machine."""
    manifest = record.manifest
    config = {
        "recipe": manifest.get("recipe"),
        "seed": manifest.get("seed"),
        "method": (manifest.get("method") or {}).get("parameters") or {},
        "optimizer": public_options(manifest.get("optimizer") or {}),
        "model": public_options((manifest.get("model") or {}).get("config") or {}),
        "arguments": public_options(manifest.get("arguments") or {}),
    }
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def metadata_json(record: RunRecord) -> str:
    """What the run was: seed, data, plan, surroundings, and the last score of each task."""
    facts = facts_of(record)
    names = ("name", "recipe", "family", "seed", "created", "data", "plan", "position", "environment")
    described = {
        **{name: facts[name] for name in names},
        "method": facts["method"]["name"],
        "num_parameters": facts["model"]["num_parameters"],
        "results": {result.task: {**result.scores, **result.phenomena} for result in facts["results"]},
        "milestones": {row["name"]: {"words": row["words"], "step": row["step"]} for row in facts["milestones"]},
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"
