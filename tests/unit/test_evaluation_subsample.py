"""The sample of 2,000 pairs: drawn evenly, always the same, and as accurate as its items."""

from __future__ import annotations

import random

import pytest

from babylm_hf.evaluation.subsample import subsample


def outcomes_of(paradigms: dict[str, str]) -> dict:
    return {"paradigms": {name: {"outcomes": outcomes} for name, outcomes in paradigms.items()}}


@pytest.fixture(scope="module")
def blimp() -> dict[str, str]:
    draw = random.Random(1)
    return {f"paradigm_{i}": "".join(draw.choices("01", (4, 6), k=1000)) for i in range(67)}


def test_the_sample_is_the_same_whatever_the_order_and_near_the_score(blimp):
    found = subsample(outcomes_of(blimp))
    assert found == subsample(outcomes_of(dict(sorted(blimp.items(), reverse=True))))
    assert (found["items"], found["seed"]) == (2000, 0)
    # Made once, and to stay: whoever draws this sample gets these pairs.
    assert found["accuracy"] == pytest.approx(0.593, abs=1e-12)
    assert found["standard_error"] == pytest.approx((found["accuracy"] * (1 - found["accuracy"]) / 2000) ** 0.5)
    assert abs(found["accuracy"] - 0.6) < 4 * found["standard_error"]
    assert subsample(outcomes_of(blimp), seed=1)["accuracy"] != found["accuracy"]


def test_every_paradigm_gives_as_many():
    # One paradigm right throughout: its share of the sample is its share of the credit.
    for right in range(3):
        paradigms = {f"p{i}": ("1" if i == right else "0") * 50 for i in range(3)}
        assert subsample(outcomes_of(paradigms), size=30)["accuracy"] == pytest.approx(1 / 3)
        assert subsample(outcomes_of(paradigms), size=31)["accuracy"] in (10 / 31, 11 / 31)


def test_ties_earn_their_part_and_small_tasks_have_no_sample():
    assert subsample(outcomes_of({"a": "2" * 40}), size=20)["accuracy"] == 0.5
    assert subsample(outcomes_of({"a": "1" * 20}), size=20) is None
