"""Comparisons on synthetic runs: coverage at the nominal rate, no difference out of nothing, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from synthetic_record import TOTAL_STEPS, TOTAL_WORDS
from synthetic_runs import make_run

from babylm_hf.cli import main
from babylm_hf.comparing import compare, read_configurations
from babylm_hf.comparing.report import render_latex, render_markdown, render_text
from babylm_hf.comparing.statistics import (
    Stratum,
    deviation,
    hedges_g,
    holm,
    over_items,
    over_seeds_and_items,
    stratum,
)
from babylm_hf.errors import OptionError, RunFolderError


def runs_of(tmp_path, recipe, seeds, **kwargs):
    return [make_run(tmp_path / recipe / f"seed-{seed}", recipe, seed, **kwargs) for seed in seeds]


def blimp(found):
    return next(one for one in found.differences if one.score.task == "blimp")


@pytest.mark.parametrize("base_seeds", [range(3), range(10, 14)], ids=["paired", "welch"])
def test_intervals_over_seeds_cover_the_truth(base_seeds):
    rng, truth, trials, covered, wrong = np.random.default_rng(1), 0.02, 2000, 0, 0
    for _ in range(trials):
        ours = dict(zip(range(3), 0.7 + truth + rng.normal(0, 0.01, 3), strict=True))
        base = {seed: 0.7 + rng.normal(0, 0.01) for seed in base_seeds}
        found = deviation(ours, base).interval()
        covered += found.low <= truth <= found.high
        null = deviation({s: v - truth for s, v in ours.items()}, base).interval()
        wrong += null.p < 0.05
    assert 0.935 < covered / trials < 0.975  # 95 %: about three standard errors below; Welch is a little conservative
    assert 0.025 < wrong / trials < 0.065


def test_why_seeds_are_not_resampled():
    rng, trials = np.random.default_rng(3), 4000
    values = rng.normal(0, 1, (trials, 3))
    means = np.take_along_axis(values[:, None], rng.integers(3, size=(trials, 400, 3)), axis=2).mean(2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    covered = float(np.mean((low <= 0) & (high >= 0)))
    assert 0.70 < covered < 0.80  # says 95 %


def test_intervals_over_items_cover_the_truth():
    rng, trials = np.random.default_rng(2), 400
    found = [over_items([Stratum(1.0, rng.normal(0.03, 0.1, 60))], resamples=1000) for _ in range(trials)]
    assert 0.91 < sum(one.low <= 0.03 <= one.high for one in found) / trials < 0.98
    assert over_items([Stratum(1.0, np.full(9, 0.1))]) is None


def experiment(rng, effects, sd, base_seeds=range(3)):
    """Models of a baseline and of methods that are better by `effects`, on items of their own: seeds and strata.

    Chances stay within 0 and 1, so that the true differences are the effects' means.
    """
    easy = rng.uniform(0.35, 0.65, (4, 50))

    def models(effect, seeds):
        return {seed: (rng.random(easy.shape) < easy + effect + rng.normal(0, sd)).astype(float) for seed in seeds}

    base = models(0.0, base_seeds)
    for effect in effects:
        ours = models(effect, range(3))
        parts = [
            stratum(0.25, *({seed: answers[k] for seed, answers in side.items()} for side in (ours, base)))
            for k in range(len(easy))
        ]
        means = ({seed: float(answers.mean()) for seed, answers in side.items()} for side in (ours, base))
        yield deviation(*means), parts


@pytest.mark.parametrize("base_seeds", [range(3), range(10, 13)], ids=["paired", "welch"])
@pytest.mark.parametrize(
    ("sd", "item_sd"), [(0.0, 0.1), (0.03, 0.0), (0.02, 0.1)], ids=["items vary", "seeds vary", "both vary"]
)
def test_intervals_over_seeds_and_items_cover_the_truth(base_seeds, sd, item_sd):
    """Seeds and items are both drawn anew in every trial, as they would be in the next experiment."""
    rng, truth, covered = np.random.default_rng(5), 0.03, []
    for _ in range(300):
        effect = truth + np.clip(rng.normal(0, item_sd, (4, 50)), -0.2, 0.2)
        ((seeds, parts),) = experiment(rng, [effect], sd, base_seeds)
        if seeds is not None:  # three differences that are equal by chance allow no verdict
            found = over_seeds_and_items(seeds, parts, resamples=200)
            covered.append(found.low <= truth <= found.high)
    assert 0.92 < np.mean(covered) <= 0.985  # at 95 % the standard error of 300 trials is 1.3 points


def test_of_five_copies_of_one_method_hardly_ever_one_is_called_different():
    rng, wrong, uncorrected = np.random.default_rng(7), [], []
    for _ in range(200):
        found = [over_seeds_and_items(*one, resamples=100) for one in experiment(rng, [0.0] * 5, 0.02)]
        p_values = [one.p if one else None for one in found]
        wrong.append(min(p for p in holm(p_values) if p is not None) < 0.05)
        uncorrected.append(min(p for p in p_values if p is not None) < 0.05)
    assert np.mean(wrong) < 0.09  # 5 %, and 2.5 standard errors
    assert np.mean(uncorrected) > 0.1


def test_holm_and_effect_size_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    # means 3 and 1, pooled SD 1, four degrees of freedom: 2 * (1 - 3/15)
    assert hedges_g({0: 2.0, 1: 3.0, 2: 4.0}, {0: 0.0, 1: 1.0, 2: 2.0}) == pytest.approx(1.6)
    assert deviation({0: 1.0}, {0: 0.5, 1: 0.6}) is None


@pytest.mark.parametrize("items", [False, True], ids=["paradigms", "items"])
def test_a_large_effect_is_real_and_an_a_a_comparison_is_not(tmp_path, items):
    base = runs_of(tmp_path, "soft", range(4), items=items)
    effect = blimp(
        compare(read_configurations([*base, *runs_of(tmp_path, "hard_x", range(4), shift=0.1, items=items)]))
    )
    assert effect.verdict == "real"
    assert (effect.drawn, effect.items.n) == (("items", 1000) if items else ("paradigms", 20))
    for interval in (effect.seeds, effect.both):
        assert interval.low <= 0.1 <= interval.high
    assert effect.interval is effect.both
    same = compare(read_configurations([*base, *runs_of(tmp_path, "again", range(4), items=items)]))
    assert all(one.verdict != "real" for one in (*same.differences, *same.phenomenon_differences))


def test_outcomes_that_do_not_fit_the_score_are_not_used(tmp_path):
    runs = [*runs_of(tmp_path, "soft", range(2), items=True), *runs_of(tmp_path, "hard", range(2), items=True)]
    assert blimp(compare(read_configurations(runs))).drawn == "items"
    path = tmp_path / "hard" / "seed-1" / "record" / "evaluation" / "outcomes" / "blimp.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"step": 7}, {"sha256": "0"}, {"paradigms": {**kept["paradigms"], "p0": {**kept["paradigms"]["p0"],
                   "outcomes": "0" * 50}}}):  # fmt: skip
        path.write_text(json.dumps({**kept, **change}), encoding="utf-8")
        assert blimp(compare(read_configurations(runs))).drawn == "paradigms"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"outcomes/blimp.json cannot be read"):
        compare(read_configurations(runs))


def test_seeds_that_saw_a_few_words_more_are_one_configuration(tmp_path):
    from synthetic_record import MANIFEST

    runs = [
        make_run(tmp_path / str(seed), "soft", seed, plan={**MANIFEST["plan"], "total_words": 20_000 - seed})
        for seed in range(2)  # what `--max_words` fits in depends on the order of the rows
    ]
    assert [list(one.runs) for one in read_configurations(runs)] == [[0, 1]]


def test_one_seed_is_no_claim(tmp_path):
    found = compare(read_configurations([*runs_of(tmp_path, "soft", [0]), *runs_of(tmp_path, "hard", [0], shift=0.2)]))
    assert {one.verdict for one in found.differences} == {"too few seeds"}
    assert any("One seed only: A, B" in note for note in found.notes)


def test_losses_of_different_tokenizers_are_not_compared(tmp_path):
    other = runs_of(tmp_path, "hard", range(2), tokenizer={"sha256": "9" * 64})
    found = compare(read_configurations([*runs_of(tmp_path, "soft", range(2)), *other]))
    verdicts = {one.score.task: one.verdict for one in found.differences}
    assert verdicts["held_out"] == "incomparable"
    assert verdicts["toy_pairs"] == "no spread"  # the synthetic runs score the same whatever their seed
    assert "not comparable: Held-out text" in " ".join(found.notes)


def test_output(tmp_path, capsys):
    runs = [*runs_of(tmp_path, "soft", range(3)), *runs_of(tmp_path, "hard", range(3), shift=0.1)]
    found = compare(read_configurations(runs))
    assert [(one.label, one.name, list(one.runs)) for one in found.configurations] == [
        ("A", "soft", [0, 1, 2]),
        ("B", "hard", [0, 1, 2]),
    ]
    assert found.options == {"recipe": ["soft", "hard"]}
    text = render_text(found)
    assert max(map(len, text.splitlines())) <= 80
    assert "real" in text
    assert "| A | soft | 0, 1, 2 |" in render_markdown(found)
    latex = render_latex(found)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") >= 5
    main(["compare", *runs, "--json", "--markdown", str(tmp_path / "c.md")])
    assert json.loads(capsys.readouterr().out)["differing"] == {"recipe": ["soft", "hard"]}
    assert (tmp_path / "c.md").read_text(encoding="utf-8") == render_markdown(found)


def test_bad_input(tmp_path):
    (one,) = runs_of(tmp_path, "soft", [0])
    with pytest.raises(OptionError, match="at least two runs"):
        read_configurations([one])
    with pytest.raises(OptionError, match="same configuration and seed 0"):
        read_configurations([one, one])
    with pytest.raises(RunFolderError, match="holds no run record"):
        read_configurations([one, str(tmp_path)])


def test_runs_of_different_tasks(tmp_path):
    from synthetic_record import MANIFEST

    from babylm_hf.publishing import RunRecord

    for recipe, task in (("a", "blimp"), ("b", "ewok")):
        record = RunRecord.create(tmp_path / recipe, {**MANIFEST, "recipe": recipe})
        where = {"step": TOTAL_STEPS, "words": TOTAL_WORDS, "milestone": None}
        record.append("evaluation", task=task, metrics={"accuracy": 0.6, "phenomena": {"x": 0.6}}, **where)
    with pytest.raises(OptionError, match="A and B share no task"):
        compare(read_configurations([str(tmp_path / "a"), str(tmp_path / "b")]))
