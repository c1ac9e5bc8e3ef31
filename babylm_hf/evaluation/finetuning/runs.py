"""Fine-tuning one model on many tasks with many seeds: each result is kept as soon as it is there.

A call that was interrupted goes on where it stopped, and a task that fails does not take the others with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...errors import BabyLMError, OptionError, ResumeError
from ..score_rows import ScoreRow
from .data import TaskData, find_data, load_task
from .metrics import classification_scores, constant_score
from .model import load_classifier, load_config, pooling_of, weights_of
from .results import FinetuningResult, score_rows, write_official_results
from .settings import Settings
from .tasks import FinetuningTask, tasks_named
from .training import seed_everything, train_classifier

OFFICIAL_SEED = 42


@dataclass
class FinetuningRun:
    """What came of a call.

    Attributes:
        model: folder or Hub id.
        revision: its branch, if one was named.
        results: one for each task and seed that went well.
        failures: what went wrong, by `task` or `task, seed N`.
        warnings: what does not stop anyone but should be known.
    """

    model: str
    revision: str | None = None
    results: list[FinetuningResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def rows(self) -> list[ScoreRow]:
        """The rows of the report."""
        return score_rows(self.results)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; scores are fractions."""
        return {
            "model": self.model,
            "revision": self.revision,
            "scores": [asdict(row) for row in self.rows()],
            "results": [asdict(result) for result in self.results],
            "failures": self.failures,
            "warnings": self.warnings,
        }


def finetune_model(
    model: str | Path,
    tasks: Sequence[str],
    data: str | Path,
    *,
    seeds: Sequence[int] = (OFFICIAL_SEED,),
    settings: Settings | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    output_dir: str | Path | None = None,
    official_results: str | Path | None = None,
    progress: bool = False,
) -> FinetuningRun:
    """Fine-tune a model on tasks, each with every seed.

    Args:
        model: folder or Hub id.
        tasks: names in `TASKS`, or `all`.
        data: folder of the task files, or of the official layout.
        seeds: one run each; the official one is 42.
        settings: the official ones without it.
        revision: branch on the Hub, such as `chck_1M`.
        trust_remote_code: run the code that comes with the model.
        output_dir: where results are kept and found again; nothing is kept without it.
        official_results: where to write the official result tree.
        progress: show a progress bar.

    Raises:
        OptionError: the model cannot be loaded, or an option has no such value.
        CorpusError: there is no data folder; a single task's missing files are one of the run's failures.
        ResumeError: `output_dir` holds results that were made in another way.
    """
    settings = settings or Settings()
    wanted = tasks_named(tasks)
    if len(set(seeds)) < len(seeds) or not seeds:
        raise OptionError("--seeds: name at least one seed, and each only once.")
    find_data(data)
    config = load_config(model, revision=revision, trust_remote_code=trust_remote_code)
    run = FinetuningRun(str(model), revision)
    # The folder's own name only: a result stays valid when its model is moved.
    name = Path(model).name if Path(model).is_dir() else str(model)
    source = {"model": name, "revision": revision, "weights": weights_of(model, config)}
    jobs = _jobs(run, wanted, data, seeds, settings, source, pooling_of(config, settings.pooling), output_dir)
    for job in jobs:
        job.finish(run, trust_remote_code, progress)
        done = [result for result in run.results if result.task == job.data.task.name]
        if official_results is not None and done:
            write_official_results(official_results, model, revision, done)
    if official_results is not None:
        run.warnings += _size_warnings(run.results)
    return run


@dataclass
class _Job:
    """A task with a seed, and where its result is kept."""

    data: TaskData
    seed: int
    settings: Settings
    made_with: dict[str, Any]
    file: Path | None
    marks: list[str]

    def kept(self) -> FinetuningResult | None:
        """The result of an earlier call, if there is one.

        Raises:
            ResumeError: it was made in another way.
        """
        if self.file is None or not self.file.is_file():
            return None
        result = FinetuningResult.from_file(self.file)
        if result.made_with != self.made_with:
            names = {*result.made_with, *self.made_with}
            other = sorted(name for name in names if result.made_with.get(name) != self.made_with.get(name))
            raise ResumeError(
                f"{self.file} was made with another {' and '.join(other)}: delete it or choose another --output_dir."
            )
        return result

    def finish(self, run: FinetuningRun, trust_remote_code: bool, progress: bool) -> None:
        """Take the kept result or make it; what goes wrong is noted, so that the next job can start."""
        label = f"{self.data.task.name}, seed {self.seed}"
        try:
            result = self.kept() or self.train(run.model, trust_remote_code, label if progress else None)
        except BabyLMError as error:
            run.failures[label] = str(error)
        except Exception as error:  # out of memory, or whatever the code of a model does: the other tasks go on
            run.failures[label] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        else:
            run.results.append(result)

    def train(self, model_name: str, trust_remote_code: bool, progress: str | None) -> FinetuningResult:
        """Fine-tune, and keep what came of it."""
        began = time.monotonic()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        task = self.data.task
        seed_everything(self.seed)
        model, tokenizer = load_classifier(
            model_name,
            task.labels,
            pooling=self.made_with["pooling"],
            dropout=self.settings.dropout,
            revision=self.made_with["revision"],
            trust_remote_code=trust_remote_code,
        )
        trained = train_classifier(model, tokenizer, self.data, self.settings, device=device, progress=progress)
        labels = [example.label for example in self.data.valid]
        result = FinetuningResult(
            task=task.name,
            seed=self.seed,
            scores=classification_scores(trained.predictions, labels, task.metrics),
            last=trained.last,
            best_epoch=trained.best_epoch,
            epochs=trained.epochs,
            predictions=trained.predictions,
            constant=constant_score(labels, task.metric),
            train_examples=len(self.data.train),
            steps=trained.steps,
            seconds=round(time.monotonic() - began, 1),
            made_with=self.made_with,
            marks=self.marks,
        )
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial = self.file.with_suffix(".partial")
            partial.write_text(result.to_json(), encoding="utf-8")
            partial.replace(self.file)  # the file is whole or not there
        return result


def _jobs(
    run: FinetuningRun,
    tasks: Sequence[FinetuningTask],
    folder: str | Path,
    seeds: Sequence[int],
    settings: Settings,
    source: dict[str, Any],
    pooling: str,
    output_dir: str | Path | None,
) -> list[_Job]:
    """Every task with every seed. Data and kept results are looked at before the first training, which takes long."""
    jobs = []
    quick = f"_first_{settings.max_train_examples}" if settings.max_train_examples else ""
    for task in tasks:
        for seed in seeds:
            try:
                data = load_task(
                    task,
                    folder,
                    max_train_examples=settings.max_train_examples,
                    held_out=settings.selection == "held_out",
                    seed=seed,
                )
            except BabyLMError as error:
                run.failures[task.name] = str(error)
                break
            own = settings.for_task(task)
            made_with = {**source, "data": data.digest, **asdict(own), "pooling": pooling}
            place = Path(output_dir) / f"{settings.selection}{quick}" / task.name if output_dir is not None else None
            file = place / f"seed_{seed}.json" if place is not None else None
            jobs.append(_Job(data, seed, own, made_with, file, settings.marks()))
    for job in jobs:
        job.kept()
    return jobs


def _size_warnings(results: Sequence[FinetuningResult]) -> list[str]:
    """What the collator of the official pipeline will not take."""
    found = {}
    for result in results:
        (task,) = tasks_named([result.task])
        if len(result.predictions) != task.items:
            found[task.name] = (
                f"{task.name}: {len(result.predictions):,} predictions, but the official validation file has "
                f"{task.items:,} lines: a submission with these will be refused."
            )
        elif result.made_with.get("max_train_examples"):
            found[task.name] = f"{task.name}: predictions of a quick look were written as official results."
    return list(found.values())
