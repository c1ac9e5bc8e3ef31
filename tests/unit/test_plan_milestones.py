"""Word milestones, their names, the tracks' budgets and the reference's step list."""

from __future__ import annotations

import pytest

from babylm_hf.errors import BudgetError, OptionError
from babylm_hf.plan import TRACKS, check_budget, milestone_name, parse_milestones, parse_words, reference_steps

M = 1_000_000


def test_the_tracks_have_the_milestones_the_evaluation_pipeline_reads():
    small = [milestone_name(w) for w in parse_milestones("strict-small")]
    assert small == [f"chck_{m}M" for m in [*range(1, 10), *range(10, 101, 10)]]
    assert len(small) == 19
    strict = [milestone_name(w) for w in parse_milestones("strict")]
    assert strict == [f"chck_{m}M" for m in [*range(1, 10), *range(10, 100, 10), *range(100, 1001, 100)]]
    assert len(strict) == 28
    assert (TRACKS["strict"].exposure_words, TRACKS["strict-small"].exposure_words) == (1000 * M, 100 * M)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("none", ()),
        ("50K,100K,1M", (50_000, 100_000, M)),
        ("10x50K", tuple(range(50_000, 500_001, 50_000))),
        ("2x1.5M", (1_500_000, 3_000_000)),
        ("1234", (1234,)),
        ("0.5m, 2M", (500_000, 2 * M)),
    ],
)
def test_lists(spec, words):
    assert parse_milestones(spec) == words


@pytest.mark.parametrize(
    "spec", ["strikt", "1M,1M", "2M,1M", "1G", "0", "0x5K", "1.5", "0.0001K", "1M,", "x5K", "5x", "-1M", "1e6", "10x0"]
)
def test_what_is_refused(spec):
    with pytest.raises(OptionError, match="--milestones"):
        parse_milestones(spec)


@pytest.mark.parametrize(
    ("words", "name"),
    [(M, "chck_1M"), (100 * M, "chck_100M"), (50_000, "chck_50K"), (1500_000, "chck_1500K"), (1234, "chck_1234")],
)
def test_names(words, name):
    assert milestone_name(words) == name


def test_a_number_of_words():
    assert [parse_words(text) for text in ("1234", "50K", "2.5M")] == [1234, 50_000, 2_500_000]
    with pytest.raises(OptionError, match="--max_words 'many'"):
        parse_words("many")
    with pytest.raises(OptionError, match="--cap '0'"):
        parse_words("0", "--cap")


def test_a_run_within_its_budget_passes():
    check_budget("strict-small", 10 * M, 100 * M, 10)
    check_budget(TRACKS["strict"], 100 * M, 1000 * M, 10)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((10 * M + 1, 50 * M, 5), ["10,000,001 words", "10,000,000"]),
        ((10 * M, 100 * M + 7, 10), ["100,000,007 words", "100,000,000"]),
        ((5 * M, 55 * M, 11), ["11 passes", "allows 10"]),
    ],
)
def test_a_run_beyond_its_budget_is_refused_with_the_numbers(numbers, says):
    with pytest.raises(BudgetError) as caught:
        check_budget("strict-small", *numbers)
    for part in [*says, "strict-small"]:
        assert part in str(caught.value)


def test_unknown_track():
    with pytest.raises(OptionError, match="--track 'large'"):
        check_budget("large", 1, 1, 1)
    with pytest.raises(OptionError, match="--track 'large'"):
        reference_steps("large", 100)


def test_the_references_step_list():
    # Specification of adaptive masking, section 5.3, T = 8325.
    assert reference_steps("strict-small", 8325) == (
        *(83, 166, 249, 333, 416, 499, 582, 666, 749, 832),
        *(1665, 2497, 3330, 4162, 4995, 5827, 6660, 7492, 8325),
    )
    strict = reference_steps("strict", 83250)
    assert len(strict) == 28
    assert strict[0] == 83
    assert strict[-1] == 83250
