"""A sweep: runs that differ in their seed, and perhaps in named variants of their options. Numbers from their records.

Spread is the standard deviation over seeds (n - 1). Variants are compared by pairs: two runs of one seed see the same
text in the same order and start from the same weights where their models are alike, so the difference within a pair
varies less than either score. The interval is Student's, at 95 %, and assumes differences that are roughly normal.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from ..lines import parse_json
from .facts import facts_of
from .measurements import Measurement
from .record import RunRecord
from .tables import main_score

MANIFEST = "sweep.json"
FORMAT = 1


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        variant: name of its variant; "" where there are none.
        seed: its seed.
        folder: its output folder.
    """

    variant: str
    seed: int
    folder: Path

    @property
    def label(self) -> str:
        """What tells it from the others: `seed-0`, `soft/seed-0`."""
        return f"{self.variant}/seed-{self.seed}" if self.variant else f"seed-{self.seed}"

    @property
    def finished(self) -> bool:
        """Whether it has been trained to its end and its final model is there."""
        if not (self.folder / "record" / "run.json").is_file() or not (self.folder / "config.json").is_file():
            return False
        record = RunRecord.open(self.folder / "record")
        total = (record.manifest.get("plan") or {}).get("total_steps")
        done = any(event["step"] >= total for event in record.events("end")) if total else False
        return done and any(self.folder.glob("model*.safetensors"))


@dataclass(frozen=True)
class Spread:
    """A score over seeds."""

    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values.values())

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1); None for one seed."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def half_width(self) -> float | None:
        """Half the width of Student's interval of the mean at 95 %; None for one seed."""
        if self.sd is None:
            return None
        from scipy.stats import t

        count = len(self.values)
        return float(t.ppf(0.975, count - 1)) * self.sd / math.sqrt(count)


@dataclass(frozen=True)
class Score:
    """One score of one task, over variants and seeds.

    Attributes:
        task: `held_out`, ...
        title: the task in words.
        name: of the score, or of the phenomenon.
        chance: of a guess, where there is one.
        spreads: variant -> its values by seed.
    """

    task: str
    title: str
    name: str
    chance: float | None
    spreads: dict[str, Spread]

    def differences(self, baseline: str) -> dict[str, Spread]:
        """Variant -> its score minus the baseline's, for the seeds that both have; without those that have none."""
        base = self.spreads.get(baseline)
        found = {}
        for variant, spread in self.spreads.items():
            shared = sorted(set(spread.values) & set(base.values)) if base is not None and variant != baseline else []
            if base is not None and shared:
                found[variant] = Spread({seed: spread.values[seed] - base.values[seed] for seed in shared})
        return found


class SweepFolder:
    """The folder of a sweep: `sweep.json`, and a folder for every run.

    Args:
        path: the folder; it holds a manifest.

    Raises:
        RunFolderError: it does not.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.manifest: dict[str, Any] = parse_json((self.path / MANIFEST).read_text(encoding="utf-8"))
            if wrong := [name for name in self.manifest["variants"] if not re.fullmatch(r"[\w-]*", name)]:
                raise ValueError(f"{wrong[0]!r} is no variant")
            self.runs = [
                SweepRun(variant, int(seed), self.path / variant / f"seed-{seed}")
                for seed in self.manifest["seeds"]
                for variant in self.manifest["variants"]
            ]
        except FileNotFoundError:
            raise RunFolderError(f"{path} holds no sweep ({MANIFEST}); start one with `babylm-hf sweep`") from None
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise RunFolderError(
                f"{self.path / MANIFEST} cannot be read ({error}); delete it and sweep again"
            ) from error

    @property
    def variants(self) -> list[str]:
        """Names of the variants, the baseline first; one empty name where there are none."""
        return list(self.manifest["variants"])

    def finished(self) -> list[SweepRun]:
        """The runs that are done."""
        return [run for run in self.runs if run.finished]

    def facts(self) -> dict[SweepRun, dict[str, Any]]:
        """What the records of the finished runs say.

        Raises:
            RunFolderError: no run is finished.
        """
        found = {run: facts_of(RunRecord.open(run.folder / "record")) for run in self.finished()}
        if not found:
            raise RunFolderError(f"no run of {self.path} is finished; sweep on with the same command")
        return found


def final_scores(facts: Mapping[SweepRun, Mapping[str, Any]], phenomena: bool = False) -> list[Score]:
    """The scores of the final models, or their accuracies by phenomenon, task by task."""
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    tasks: dict[str, Measurement] = {}
    for run, known in facts.items():
        for result in known["results"]:
            if result.step != known["position"]["step"]:
                continue  # measured on an earlier model
            tasks.setdefault(result.task, result)
            for name, value in (result.phenomena if phenomena else result.scores).items():
                if value is not None:
                    found.setdefault((result.task, name), {}).setdefault(run.variant, {})[run.seed] = value
    return [
        Score(task, tasks[task].title, name, tasks[task].chance, _spreads(values))
        for (task, name), values in found.items()
    ]


def milestone_scores(facts: Mapping[SweepRun, Mapping[str, Any]]) -> dict[str, list[Score]]:
    """Milestone -> the main score of each task there, over seeds."""
    found: dict[str, dict[str, dict[str, dict[int, float]]]] = {}
    tasks: dict[str, Measurement] = {}
    for run, known in facts.items():
        for row in known["milestones"]:
            for task, result in row["scores"].items():
                name = main_score(result)
                if name is not None and result.scores[name] is not None:
                    tasks.setdefault(task, result)
                    values = found.setdefault(row["name"], {}).setdefault(task, {})
                    values.setdefault(run.variant, {})[run.seed] = result.scores[name]
    return {
        milestone: [
            Score(task, tasks[task].title, main_score(tasks[task]) or "", tasks[task].chance, _spreads(values))
            for task, values in scores.items()
        ]
        for milestone, scores in found.items()
    }


def _spreads(values: Mapping[str, Mapping[int, float]]) -> dict[str, Spread]:
    return {variant: Spread(dict(sorted(by_seed.items()))) for variant, by_seed in values.items()}


def results_csv(scores: Sequence[Score]) -> str:
    """Every value of every run as a line: variant, seed, task, score, value."""
    import csv
    import io

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["variant", "seed", "task", "score", "value"])
    for score in scores:
        for variant, spread in score.spreads.items():
            writer.writerows([variant, seed, score.task, score.name, value] for seed, value in spread.values.items())
    return table.getvalue()
