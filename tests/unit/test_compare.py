"""Comparisons on synthetic runs: coverage at the nominal rate, no difference out of nothing, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from synthetic_record import TOTAL_STEPS, TOTAL_WORDS, synthetic_record

from babylm_hf.cli import main
from babylm_hf.comparing import compare, read_configurations
from babylm_hf.comparing.report import render_latex, render_markdown, render_text
from babylm_hf.comparing.statistics import hedges_g, holm, over_items, over_seeds
from babylm_hf.errors import OptionError, RunFolderError


def make_run(folder, recipe, seed, shift=0.0, noise=0.01, task="blimp", **changes):
    record = synthetic_record(folder / "record", seed=seed, recipe=recipe, name=f"{recipe}_{seed}", **changes)
    rng = np.random.default_rng([seed, *recipe.encode()])
    common = np.random.default_rng(0).uniform(0.5, 0.8, 20)
    paradigms = common + shift + rng.normal(0, noise) + rng.normal(0, 0.002, 20)
    metrics = {
        "accuracy": float(paradigms.mean()),
        "items": 2000,
        "paradigms": {f"p{i}": float(v) for i, v in enumerate(paradigms)},
        "phenomena": {"agreement": float(paradigms[:10].mean()), "islands": float(paradigms[10:].mean())},
    }
    record.append("evaluation", step=TOTAL_STEPS, words=TOTAL_WORDS, task=task, metrics=metrics, milestone=None)
    return str(folder)


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
        found = over_seeds(ours, base)
        covered += found.low <= truth <= found.high
        null = over_seeds({s: v - truth for s, v in ours.items()}, base)
        wrong += null.p < 0.05
    assert 0.935 < covered / trials < 0.975  # 95 %: about three standard errors below; Welch is a little conservative
    assert 0.025 < wrong / trials < 0.065


def test_intervals_over_items_cover_the_truth():
    rng, trials = np.random.default_rng(2), 400
    found = [over_items(rng.normal(0.03, 0.1, 60), resamples=1000) for _ in range(trials)]
    assert 0.91 < sum(one.low <= 0.03 <= one.high for one in found) / trials < 0.98
    assert over_items([0.1] * 9) is None


def test_holm_and_effect_size_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    # means 3 and 1, pooled SD 1, four degrees of freedom: 2 * (1 - 3/15)
    assert hedges_g({0: 2.0, 1: 3.0, 2: 4.0}, {0: 0.0, 1: 1.0, 2: 2.0}) == pytest.approx(1.6)
    assert over_seeds({0: 1.0}, {0: 0.5, 1: 0.6}) is None


def test_a_large_effect_is_real_and_an_a_a_comparison_is_not(tmp_path):
    base = runs_of(tmp_path, "soft", range(4))
    effect = blimp(compare(read_configurations([*base, *runs_of(tmp_path, "hard_x", range(4), shift=0.1)])))
    assert effect.verdict == "real"
    assert effect.seeds.low <= 0.1 <= effect.seeds.high
    assert effect.items.excludes_zero
    same = compare(read_configurations([*base, *runs_of(tmp_path, "again", range(4))]))
    assert all(one.verdict != "real" for one in (*same.differences, *same.phenomenon_differences))


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
