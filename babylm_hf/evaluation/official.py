"""The official result tree, as if the pipeline had written it, so that its collator takes it.

RESULTS/<stem>/<revision or main>/zero_shot/<backend>/<task>/<data folder>/{predictions.json, ...}
RESULTS/<stem>/<revision>/zero_shot/<backend>/reading/{predictions.json, prediction.jsonl, report.txt, ...}
RESULTS/<stem>/main/zero_shot/<backend>/AoA_word/{surprisal.json, aoa_score.json}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from .suite import ModelResults
from .tasks import TASKS, task_spec
from .tasks.aoa import aoa_score, words_of
from .tasks.base import TaskResult


def model_stem(model: str | Path) -> str:
    """The name of a model's result folder: everything after the last dot is lost, as published."""
    return Path(model).stem


def write_official_results(
    results: Sequence[ModelResults], folder: str | Path, *, human: Path | None = None, tokenizer: Any = None
) -> list[Path]:
    """Write the results of checkpoints of one model in the official form.

    Args:
        results: of the final model and its checkpoints; those of the untrained model are left out.
        folder: the `results` folder; what is in it already stays unless it is of the same task and checkpoint.
        human: `cdi_human.csv`, for the score of the age of acquisition.
        tokenizer: of the model, for the same.

    Returns:
        The files written, in order.

    Raises:
        OptionError: the scores are not of float32, in which alone they agree with the official ones.
    """
    written: list[Path] = []
    for found in results:
        if found.precision != "fp32":
            raise OptionError(
                f"--official-results needs scores in fp32, these are in {found.precision}: leave out --bf16."
            )
        if found.revision == "untrained":
            continue
        for result in found.results.values():
            written += _write_task(found, result, Path(folder))
    return written + write_aoa(results, Path(folder), human=human, tokenizer=tokenizer)


def zero_shot_folder(folder: Path, model: str | Path, revision: str | None, backend: str) -> Path:
    """Where the zero-shot results of a checkpoint stand."""
    return folder / model_stem(model) / (revision or "main") / "zero_shot" / backend


def _write_task(found: ModelResults, result: TaskResult, folder: Path) -> list[Path]:
    spec = task_spec(result.task) if result.task in TASKS else None
    if spec is None or spec.official is None or result.predictions is None or found.state not in spec.states:
        return []
    place = zero_shot_folder(folder, found.model, found.revision, found.backend) / spec.official
    texts = dict(result.files)
    if result.task != "reading":
        place = place / result.folder
        texts["best_temperature_report.txt"] = report_text(result)
    texts["predictions.json"] = json.dumps(result.predictions)
    place.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    return [place / name for name in texts]


def report_text(result: TaskResult) -> str:
    """`best_temperature_report.txt`: accuracies in per cent by every kind of name, and their average."""
    metrics = result.metrics
    if "correlation" in metrics:
        kinds, word, scale = {"UID": {"avg": metrics["correlation"]}}, "SPEARMAN'S RHO", 1.0
    else:
        word, scale = "ACCURACY", 100.0
        uid = dict(metrics["paradigms"])
        if result.task == "entity_tracking":
            uid |= metrics["phenomena"]
        kinds = {"UID": uid, **{name[3:]: v for name, v in metrics.items() if name.startswith("by_")}}
    lines = ["TEMPERATURE: 1.00", ""]
    for kind, accuracies in kinds.items():
        lines += [f"### {kind.upper()} {word}", *(f"{name}: {scale * v:.2f}" for name, v in accuracies.items()), ""]
    return "\n".join([*lines, f"### AVERAGE {word}", f"{scale * result.score:.2f}", "", ""])


def aoa_records(results: Sequence[ModelResults]) -> list[dict[str, Any]]:
    """The surprisals of every checkpoint whose name says how many words it saw, in the official form."""
    records = []
    for found in results:
        if "aoa" in found.results and (found.revision or "").startswith("chck_"):
            count = int(words_of(found.revision or ""))
            first = {"step": found.revision, "word_count": count}
            records += [{**first, **record} for record in found.results["aoa"].records]
    return records


def write_aoa(
    results: Sequence[ModelResults], folder: Path, *, human: Path | None = None, tokenizer: Any = None
) -> list[Path]:
    """Write the surprisals of all checkpoints in one file, and their score where it can be computed."""
    records = aoa_records(results)
    if not records:
        return []
    found = next(found for found in results if "aoa" in found.results)
    place = zero_shot_folder(folder, found.model, None, found.backend) / "AoA_word"
    steps = list(dict.fromkeys(record["step"] for record in records))
    facts = {"model_name": found.model, "use_bos_only": False, "total_steps": len(steps), "completed_steps": len(steps)}
    place.mkdir(parents=True, exist_ok=True)
    written = [place / "surprisal.json"]
    written[0].write_text(json.dumps({"metadata": facts, "results": records}, indent=2), encoding="utf-8")
    if human is not None and tokenizer is not None:
        score = aoa_score(records, human, tokenizer, found.state)
        written.append(place / "aoa_score.json")
        written[1].write_text(json.dumps({"aoa": score["aoa"]}, indent=2), encoding="utf-8")
    return written
