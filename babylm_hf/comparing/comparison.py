"""What two or more configurations have in common and what sets their scores apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import OptionError
from ..publishing.measurements import latest
from ..publishing.sweeps import Score, final_scores
from ..publishing.tables import main_score
from .curves import LearningCurve, learning_curves
from .items import strata, units
from .runs import Configuration, differing
from .statistics import MIN_UNITS, Interval, Stratum, deviation, hedges_g, holm, over_items, over_seeds_and_items

ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """One configuration minus the baseline, in one score.

    Attributes:
        label: of the configuration.
        baseline: label of the configuration it is compared with.
        score: its values, and those of the baseline.
        mean: over seeds, in the units of the score.
        seeds: the interval over seeds; None where there are too few.
        items: the interval over items, of the models at hand; None where the records have too few.
        both: the interval over seeds and items.
        drawn: what stands for items: `items`, or `paradigms` where no single outcomes are recorded.
        effect: Hedges' g.
        p_holm: p-value of `interval`, corrected for all tests of its table.
        comparable: whether both were measured on the same items, and losses on the same tokens.
    """

    label: str
    baseline: str
    score: Score
    mean: float
    seeds: Interval | None
    items: Interval | None
    both: Interval | None
    drawn: str | None
    effect: float | None
    p_holm: float | None
    comparable: bool = True

    @property
    def interval(self) -> Interval | None:
        """What the verdict goes by: over seeds and items, or over seeds alone where there are no items."""
        return self.both or self.seeds

    @property
    def verdict(self) -> str:
        """What the data support, in a few words."""
        if not self.comparable:
            return "incomparable"
        if self.seeds is None:
            few = min(len(self.score.spreads[label].values) for label in (self.label, self.baseline)) < 2
            return "too few seeds" if few else "no spread"
        supported = self.p_holm is not None and self.p_holm < ALPHA
        # A few seeds may agree by luck more than their answers allow: of that the many items know better.
        return "real" if supported and (self.items is None or self.items.excludes_zero) else "not shown"


@dataclass(frozen=True)
class Comparison:
    """Everything that a report may show.

    Attributes:
        configurations: the first is the baseline.
        options: those that differ, with the value in each configuration.
        scores: the main score of each task of the final models.
        phenomena: accuracy by phenomenon.
        differences: of `scores`; of `phenomena` in `phenomenon_differences`.
        curves: the main score of each task, and the loss on held-out text, over the words seen.
        notes: what to know before believing a number.
    """

    configurations: list[Configuration]
    options: dict[str, list[Any]]
    scores: list[Score]
    phenomena: list[Score]
    differences: list[Difference]
    phenomenon_differences: list[Difference]
    curves: list[LearningCurve]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""

        def plain(found: Difference) -> dict[str, Any]:
            score = {"task": found.score.task, "score": found.score.name, "configuration": found.label}
            intervals: dict[str, Any] = {
                name: asdict(one) if one else None
                for name, one in (("seeds", found.seeds), ("items", found.items), ("both", found.both))
            }
            intervals["drawn"] = found.drawn
            rest = {"difference": found.mean, "hedges_g": found.effect, "p_holm": found.p_holm}
            return {**score, **rest, **intervals, "verdict": found.verdict}

        return {
            "configurations": [
                {"label": c.label, "name": c.name, "runs": {seed: run.source for seed, run in c.runs.items()}}
                for c in self.configurations
            ],
            "differing": self.options,
            "scores": [
                {
                    "task": score.task,
                    "score": score.name,
                    "values": {label: dict(spread.values) for label, spread in score.spreads.items()},
                }
                for score in (*self.scores, *self.phenomena)
            ],
            "differences": [plain(one) for one in self.differences],
            "phenomena": [plain(one) for one in self.phenomenon_differences],
            "curves": [one.to_dict() for one in self.curves],
            "notes": self.notes,
        }


def compare(configurations: Sequence[Configuration]) -> Comparison:
    """Compare configurations with the first one.

    Raises:
        OptionError: they share no task.
    """
    facts = {run: known for one in configurations for run, known in one.facts().items()}
    names = {result.task: main_score(result) for known in facts.values() for result in known["results"]}
    scores = [score for score in final_scores(facts) if score.name == names[score.task]]
    labels = [one.label for one in configurations]
    for label in labels[1:]:
        if not any({labels[0], label} <= set(score.spreads) for score in scores):
            raise OptionError(
                f"RUN: {labels[0]} and {label} share no task measured on their final models; "
                "evaluate both on the same tasks"
            )
    phenomena = final_scores(facts, phenomena=True)
    differences = _differences(configurations, scores)
    return Comparison(
        configurations=list(configurations),
        options=differing(configurations),
        scores=scores,
        phenomena=phenomena,
        differences=differences,
        phenomenon_differences=_differences(configurations, phenomena, phenomena=True),
        curves=learning_curves(configurations, names),
        notes=_notes(configurations, differences),
    )


def _differences(
    configurations: Sequence[Configuration], scores: Sequence[Score], *, phenomena: bool = False
) -> list[Difference]:
    base, found = configurations[0], []
    for score in scores:
        for one in configurations[1:]:
            ours, theirs = score.spreads.get(one.label), score.spreads.get(base.label)
            if ours is None or theirs is None:
                continue
            seeds = deviation(ours.values, theirs.values)
            same = _comparable(one, base, score)
            drawn, parts = _items(one, base, score, phenomena) if same else (None, [])
            found.append(
                Difference(
                    label=one.label,
                    baseline=base.label,
                    score=score,
                    mean=seeds.mean if seeds else ours.mean - theirs.mean,
                    seeds=_bounded(score, seeds.interval() if seeds else None),
                    items=_bounded(score, over_items(parts)),
                    both=_bounded(score, over_seeds_and_items(seeds, parts)),
                    drawn=drawn,
                    effect=hedges_g(ours.values, theirs.values),
                    p_holm=None,
                    comparable=same,
                )
            )
    corrected = holm([one.interval.p if one.interval and one.comparable else None for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def is_share(score: Score) -> bool:
    """Whether it lies between 0 and 1."""
    return score.chance is not None or score.name.endswith("accuracy")


def _bounded(score: Score, found: Interval | None) -> Interval | None:
    """An interval without what no difference of shares can be."""
    if found is None or not is_share(score):
        return found
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def _items(ours: Configuration, base: Configuration, score: Score, phenomena: bool) -> tuple[str | None, list[Stratum]]:
    """What is drawn again, and what it is called; nothing where there is too little of it."""
    if (parts := strata(ours, base, score.task, score.name if phenomena else None)) is not None:
        drawn = "items"
    elif not phenomena and score.name == "accuracy":
        drawn, parts = "paradigms", units(ours, base, score.task)
    else:
        return None, []
    return (drawn, parts) if sum(len(one.differences) for one in parts) >= MIN_UNITS else (None, [])


def _comparable(ours: Configuration, base: Configuration, score: Score) -> bool:
    """Whether two scores are of the same items; a loss per token needs the same tokens and the same held-out text."""
    runs = [*ours.runs.values(), *base.runs.values()]
    found = [latest(run.facts["results"]).get(score.task) for run in runs]
    # Held-out text has other targets for every tokenizer and mask rate: for losses those are looked at instead.
    sizes = {tuple(sorted((n, c) for n, c in m.counts.items() if n in ("items", "pairs"))) for m in found if m}
    if score.name != "loss":
        return len(sizes) <= 1
    facts = [run.facts for run in runs]
    texts = {str([source["sha256"] for source in (f["held_out"] or {}).get("sources") or []]) for f in facts}
    measured = {(f["tokenizer"]["sha256"], f["family"], (f["held_out"] or {}).get("mask_rate")) for f in facts}
    return len(texts) == len(measured) == 1


def _notes(configurations: Sequence[Configuration], differences: Sequence[Difference]) -> list[str]:
    notes = [
        "Intervals are at 95 %. Over seeds: Student's, by pairs of one seed where at least two are shared, else "
        "Welch's. Over items: paired bootstrap within paradigms, for the models at hand; where a record keeps no "
        "single outcomes, paradigms are drawn instead. The verdict goes by both together: other seeds and other items.",
        "P-values are corrected by Holm's method for all tests of one table: with twenty tests of nothing, one would "
        "come out below 0.05 by chance. A difference is called real only if its corrected p is under 0.05 and zero "
        "lies outside the interval over items, where there is one.",
        "g is Hedges' g, the difference in standard deviations of seeds. It says how far apart the methods are beside "
        "the luck of a seed, and not whether the difference matters.",
    ]
    if any(one.seeds and one.seeds.n == 2 for one in differences):
        notes.append(
            "Two seeds only: an interval over two is 3.6 times as wide as over three and 7 times as wide as over five, "
            "and hardly any difference can be shown. Train three seeds or more."
        )
    if few := [one.label for one in configurations if len(one.runs) < 2]:
        notes.append(f"One seed only: {', '.join(few)}. One run says nothing about a method; train more seeds.")
    runs = [run for one in configurations for run in one.runs.values()]
    if broken := [run.source for run in runs if not run.facts["position"]["complete"]]:
        notes.append(f"Not trained to the end: {', '.join(broken)}.")
    if wrong := dict.fromkeys(d.score.title for d in differences if not d.comparable):
        notes.append(
            f"Measured on different items, tokens or held-out text, and so not comparable: {', '.join(wrong)}."
        )
    return notes
