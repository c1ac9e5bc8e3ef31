"""The card of a sweep: mean and spread over seeds, variants compared by pairs, and where each run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .blocks import join_card, merge
from .card import CARD, _tidy, template_folder
from .files import write_whole
from .markdown import cell_code, count, environment, escape, number, percent, spaced
from .metadata import citation
from .sweeps import Score, Spread, SweepFolder, SweepRun, final_scores, milestone_scores, results_csv
from .tables import MISSING, table

RESULTS = "results.csv"


class SweepCardRenderer:
    """Renders the card of a sweep.

    Args:
        sweep: its folder.
        repo_ids: label of a run -> its repository on the Hub.
    """

    def __init__(self, sweep: SweepFolder, repo_ids: Mapping[str, str] | None = None) -> None:
        self.sweep = sweep
        self.repo_ids = dict(repo_ids or {})
        self.environment = environment([template_folder()])

    def render(self, existing: str | None = None) -> str:
        """The text of the card; hand-written text in an existing one stays.

        Raises:
            RunFolderError: no run is finished; `existing` is damaged.
        """
        facts = self.sweep.facts()
        first = next(iter(facts.values()))
        scores, phenomena = final_scores(facts), final_scores(facts, phenomena=True)
        baseline = self.sweep.variants[0]
        seeds = sorted({run.seed for run in facts})
        body = self.environment.get_template("sweep.md.jinja").render(
            card=first,
            name=self.sweep.manifest["name"],
            recipe=self.sweep.manifest["recipe"],
            command=self.sweep.manifest.get("command"),
            variants={name: " ".join(options) for name, options in self.sweep.manifest["variants"].items() if name},
            baseline=baseline,
            seeds=seeds,
            missing=[run.label for run in self.sweep.runs if run not in facts],
            example=self._example(facts),
            own_code=first["model"]["own_code"],
            published=bool(self.repo_ids),
            score_table=score_table(scores),
            phenomenon_table=score_table(phenomena, by_task=True),
            difference_table=difference_table(scores, baseline),
            curve_table=curve_table(milestone_scores(facts)),
            run_table=self._run_table(facts),
            differing=_differing(facts),
            citation=citation({**first, "name": self.sweep.manifest["name"], "repo_id": None}),
        )
        card = join_card(_metadata(first, self.sweep.manifest), _tidy(body))
        return card if existing is None else merge(existing, card, CARD)

    def _example(self, facts: Mapping[SweepRun, Mapping[str, Any]]) -> str:
        run = next(iter(facts))
        return self.repo_ids.get(run.label) or run.label

    def _run_table(self, facts: Mapping[SweepRun, Mapping[str, Any]]) -> Markup:
        header = [("run", "left"), ("seed", "right"), ("words seen", "right"), ("steps", "right")]
        rows = []
        for run, known in facts.items():
            repo_id = self.repo_ids.get(run.label)
            address = f"https://huggingface.co/{repo_id}" if repo_id else run.label
            shown = Markup("[{}]({})").format(cell_code(repo_id or run.label), address)
            position = known["position"]
            rows.append((shown, str(run.seed), count(position["words"]), count(position["step"])))
        return table(header, rows)


def write_sweep_card(sweep: SweepFolder, repo_ids: Mapping[str, str] | None = None) -> Path:
    """Write `README.md` and `results.csv` into the folder of a sweep; returns the path of the card."""
    path = sweep.path / CARD
    existing = path.read_text(encoding="utf-8") if path.is_file() else None
    text = SweepCardRenderer(sweep, repo_ids).render(existing)
    facts = sweep.facts()
    write_whole(sweep.path / RESULTS, results_csv(final_scores(facts) + final_scores(facts, phenomena=True)))
    return write_whole(path, text)


# ---- tables


def _shown(name: str, score: Score, value: float, signed: bool = False) -> str:
    if score.chance is not None or name.endswith("accuracy"):
        return f"{100 * value:+.1f}" if signed else percent(value)
    return f"{value:+.4g}" if signed else number(value)


def _spread(score: Score, spread: Spread | None) -> str:
    if spread is None:
        return MISSING
    mean = _shown(score.name, score, spread.mean)
    if spread.sd is None:
        return mean
    points = score.chance is not None or score.name.endswith("accuracy")
    sd = f"{100 * spread.sd:.1f}" if points else number(spread.sd)
    return f"{mean.removesuffix(' %')} ± {sd}" + (" %" if points else "")


def score_table(scores: Sequence[Score], by_task: bool = False) -> Markup:
    """Mean ± standard deviation of each score, a column for each variant, with the range over seeds."""
    variants = list(dict.fromkeys(variant for score in scores for variant in score.spreads))
    header = [("task", "left"), ("phenomenon" if by_task else "measure", "left")]
    header += [(variant or "mean ± SD", "right") for variant in variants] + [("range", "right"), ("chance", "right")]
    rows = []
    for score in scores:
        values = [value for spread in score.spreads.values() for value in spread.values.values()]
        low, high = (_shown(score.name, score, value) for value in (min(values), max(values)))
        chance = percent(score.chance, 0) if score.chance is not None else MISSING
        spreads = [_spread(score, score.spreads.get(variant)) for variant in variants]
        rows.append([score.title, spaced(score.name), *spreads, f"{low.removesuffix(' %')} to {high}", chance])
    return table(header, rows)


def difference_table(scores: Sequence[Score], baseline: str) -> Markup:
    """Each variant minus the baseline, by pairs of one seed: mean, standard deviation, interval, each difference."""
    header = [("variant", "left"), ("task", "left"), ("measure", "left"), ("difference", "right"), ("SD", "right")]
    header += [("95 % interval", "right"), ("by seed", "left")]
    rows = []
    for score in scores:
        for variant, spread in score.differences(baseline).items():

            def shown(value: float, score: Score = score) -> str:
                return _shown(score.name, score, value, signed=True)

            half = spread.half_width
            interval = MISSING if half is None else f"{shown(spread.mean - half)} to {shown(spread.mean + half)}"
            sd = MISSING if spread.sd is None else shown(spread.sd).lstrip("+")
            each = ", ".join(f"{seed}: {shown(value)}" for seed, value in spread.values.items())
            rows.append([variant, score.title, spaced(score.name), shown(spread.mean), sd, interval, each])
    return table(header, rows)


def curve_table(milestones: Mapping[str, Sequence[Score]]) -> Markup:
    """Mean ± standard deviation of each task's main score at every milestone."""
    columns = list(
        dict.fromkeys((s.task, s.title, v) for scores in milestones.values() for s in scores for v in s.spreads)
    )
    header = [("checkpoint", "left")]
    header += [(f"{title}, {variant}" if variant else title, "right") for _, title, variant in columns]
    rows = []
    for name, scores in milestones.items():
        by_task = {score.task: score for score in scores}
        cells = [
            _spread(by_task[task], by_task[task].spreads.get(variant)) if task in by_task else MISSING
            for task, _, variant in columns
        ]
        rows.append([cell_code(name), *cells])
    return table(header, rows)


# ---- words


def _differing(facts: Mapping[SweepRun, Mapping[str, Any]]) -> list[Any]:
    """What the runs do not share although a sweep should: text, or code."""
    texts = {known["data"]["fingerprint"] for known in facts.values()}
    commits = {known["environment"]["code_commit"] for known in facts.values()}
    return [escape(what) for what, values in (("text", texts), ("code", commits)) if len(values) > 1]


def _metadata(first: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    tags = ["babylm", "babylm_hf", "seed-sweep", manifest["recipe"]]
    data = {"language": first["language"], "license": first["licence"], "library_name": "transformers", "tags": tags}
    return {name: value for name, value in data.items() if value is not None}
