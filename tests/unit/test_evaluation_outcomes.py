"""The outcome of every item: what is kept adds up to the score again."""

from __future__ import annotations

import numpy as np
import pytest

from babylm_hf.evaluation.minimal_pairs import MinimalPair, PairResults
from babylm_hf.evaluation.outcomes import credits_of, item_outcomes
from babylm_hf.evaluation.tasks.choice import ChoiceTask, Item
from babylm_hf.evaluation.tasks.entity_tracking import EntityTracking


def score_again(found):
    return sum(one["weight"] * credits_of(one["outcomes"]).mean() for one in found["paradigms"].values())


def test_wrong_right_and_ties():
    found = item_outcomes(["a", "b", "a"], ["x", "y", "x"], np.array([0.0, 1 / 3, 1.0]), ["t"], lambda a: a["a"] * 0.25)
    assert found["paradigms"] == {
        "a": {"phenomenon": "x", "weight": 0.25, "outcomes": "01"},
        "b": {"phenomenon": "y", "weight": 0.0, "outcomes": "3"},
    }
    assert credits_of("0132").tolist() == pytest.approx([0, 1, 1 / 3, 1 / 2])
    other = item_outcomes(["a", "b", "a"], ["x", "y", "x"], np.zeros(3), ["u"], lambda a: 0.0)
    assert other["sha256"] != found["sha256"]


def test_of_minimal_pairs():
    pairs = tuple(MinimalPair(f"g{i}", f"b{i}", "long" if i < 4 else "short", "term") for i in range(6))
    results = PairResults(pairs, np.array([1.0, 1, 0, 2, 1, 0]), np.array([0.0, 1, 1, 1, 2, 1]), "mlm")
    found = results.outcomes()
    assert found["paradigms"]["long"]["outcomes"] == "1201"
    assert score_again(found) == pytest.approx(results.accuracy())


def test_of_a_task_whose_score_is_no_plain_mean():
    names = ["regular_0_ops", "regular_1_ops", "ambiref_0_ops"]
    items = [Item(("a", "b"), ("a", "b"), 0, uid, (None, None)) for uid in names for _ in range(4)]
    rng = np.random.default_rng(0)
    for kind in (ChoiceTask, EntityTracking):
        task = kind("t", "t", items, 0.5)
        result = task.result([rng.random(1) for _ in range(2 * len(items))], "half")
        assert score_again(result.outcomes) == pytest.approx(result.score)
