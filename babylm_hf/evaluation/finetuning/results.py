"""What fine-tuning gave: a result for each task and seed, rows for the report, and the official files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ResumeError
from ..score_rows import ScoreRow
from .tasks import TASKS

_PRINTED = {"accuracy": "accuracy", "f1": "F1", "mcc": "MCC"}


@dataclass(frozen=True)
class FinetuningResult:
    """One task with one seed.

    Attributes:
        task: its name.
        seed: of the head, the dropout and the order of the examples.
        scores: on the validation file at the chosen epoch, fractions: accuracy and, of two classes, `f1` and `mcc`.
        last: the same at the last epoch, where it was measured: no choice was made for it.
        best_epoch: the chosen one, counted from 1.
        epochs: training loss in nats, and the scores on what the epoch was chosen on, of each epoch.
        predictions: classes of the validation file, in its order.
        constant: the score of the best constant answer, by the task's metric.
        train_examples: how many were trained on.
        steps: optimizer steps.
        seconds: time it took.
        made_with: everything that decides the outcome: model, weights, data, settings.
        marks: what a reader must know before comparing.
    """

    task: str
    seed: int
    scores: dict[str, float]
    last: dict[str, float] | None
    best_epoch: int
    epochs: list[dict[str, float]]
    predictions: list[int]
    constant: float
    train_examples: int
    steps: int
    seconds: float
    made_with: dict[str, Any] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)

    @property
    def score(self) -> float:
        """What is reported of this task: F1 for mrpc and qqp, accuracy for the others."""
        return self.scores[TASKS[self.task].metric]

    def to_json(self) -> str:
        """The file of this result."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> FinetuningResult:
        """Read a result again.

        Raises:
            ResumeError: the file is none.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ResumeError(f"{path}: not a result of fine-tuning; move it away or choose another folder.") from error


def finetuning_predictions(task: str, predictions: Iterable[int]) -> dict[str, dict[str, list[dict[str, str | int]]]]:
    """The content of the official `predictions.json` of a task: classes in the order of the validation file."""
    return {task: {"predictions": [{"id": f"{task}_{index}", "pred": int(c)} for index, c in enumerate(predictions)]}}


def official_folder(folder: str | Path, model: str | Path, revision: str | None, task: str) -> Path:
    """Where the official tree has the fine-tuning files of a task; a model goes by the stem of its name."""
    return Path(folder) / Path(model).stem / (revision or "main") / "finetune" / task


def write_official_results(
    folder: str | Path, model: str | Path, revision: str | None, results: Sequence[FinetuningResult]
) -> list[Path]:
    """Write `predictions.json` and `results.txt` of each task below `folder`, in the official tree.

    Of several seeds the official one, 42, is taken, or the first if it is not among them.
    """
    written = []
    for task in dict.fromkeys(result.task for result in results):
        found = [result for result in results if result.task == task]
        result = next((one for one in found if one.seed == 42), found[0])
        place = official_folder(folder, model, revision, task)
        place.mkdir(parents=True, exist_ok=True)
        predictions = finetuning_predictions(task, result.predictions)
        (place / "predictions.json").write_text(json.dumps(predictions), encoding="utf-8")
        lines = [f"{name}: {value}" for name, value in result.scores.items()]
        (place / "results.txt").write_text("\n".join(lines), encoding="utf-8")
        written += [place / "predictions.json", place / "results.txt"]
    return written


def score_rows(results: Sequence[FinetuningResult], task: str = "glue") -> list[ScoreRow]:
    """Rows of the report: the mean over the tasks that were run, and each of them, with the spread over its seeds."""
    rows = []
    for name in (name for name in TASKS if any(result.task == name for result in results)):
        found = [result for result in results if result.task == name]
        rows.append(
            ScoreRow(
                task=task,
                group="",
                name=name,
                score=float(np.mean([result.score for result in found])),
                n=len(found[0].predictions),
                chance=found[0].constant,
                metric=_PRINTED[TASKS[name].metric],
                spread=_spread([result.score for result in found]),
                note="; ".join(dict.fromkeys(mark for result in found for mark in result.marks)),
            )
        )
    return [_mean_row(task, rows, results), *rows] if rows else []


def _mean_row(task: str, rows: Sequence[ScoreRow], results: Sequence[FinetuningResult]) -> ScoreRow:
    """The unweighted mean over tasks; its spread only where every task has every seed."""
    by_seed: dict[int, list[float]] = {}
    for result in results:
        by_seed.setdefault(result.seed, []).append(result.score)
    complete = all(len(scores) == len(rows) for scores in by_seed.values())
    chances = [row.chance for row in rows if row.chance is not None]
    return ScoreRow(
        task=task,
        group="",
        name="",
        score=float(np.mean([row.score for row in rows])),
        n=sum(row.n for row in rows),
        chance=float(np.mean(chances)),
        spread=_spread([float(np.mean(scores)) for scores in by_seed.values()]) if complete else None,
        note="" if len(rows) == len(TASKS) else f"mean over {len(rows)} of the {len(TASKS)} tasks",
    )


def _spread(scores: Sequence[float]) -> float | None:
    """Standard deviation of a sample."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else None
