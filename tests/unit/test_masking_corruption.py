"""Corruption: the 80/10/10 split, the ids that may appear, and copies instead of edits."""

from __future__ import annotations

import numpy as np
import pytest

from babylm_hf.errors import OptionError
from babylm_hf.masking import Corruption
from babylm_hf.masking.random import bits, row_keys

MASK = 4
IDS = np.random.default_rng(0).integers(5, 500, (2000, 128))
KEYS = row_keys(3, "corruption", 1, np.arange(2000))
ALL = np.ones(IDS.shape, bool)


def three_sigma(share: float, n: int) -> float:
    return 3 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize(("replace", "noise"), [(0.8, 0.1), (1.0, 0.0), (0.5, 0.5), (0.0, 0.0), (0.1, 0.3)])
def test_the_shares(replace, noise):
    out = Corruption(MASK, replace, noise, np.arange(500, 1000)).apply(IDS, ALL, KEYS)
    n = IDS.size
    assert abs((out == MASK).mean() - replace) <= three_sigma(replace, n)
    assert abs((out >= 500).mean() - noise) <= three_sigma(noise, n)
    assert abs((out == IDS).mean() - (1 - replace - noise)) <= three_sigma(1 - replace - noise, n) + 1e-12


def test_random_ids_are_even_over_the_allowed_ones_and_nothing_else_appears():
    allowed = np.array([7, 8, 9, 300, 301, 450, 499])
    out = Corruption(MASK, 0.0, 1.0, allowed).apply(IDS, ALL, KEYS)
    found, counts = np.unique(out, return_counts=True)
    assert found.tolist() == allowed.tolist()
    expected = IDS.size / len(allowed)
    assert ((counts - expected) ** 2 / expected).sum() < 22.5  # 6 degrees of freedom, p = .001


def test_only_selected_positions_change_and_the_input_is_left_alone():
    before = IDS.copy()
    selected = np.random.default_rng(1).random(IDS.shape) < 0.2
    corruption = Corruption(MASK, 0.8, 0.1, np.arange(5, 500))
    out = corruption.apply(IDS, selected, KEYS)
    assert np.array_equal(IDS, before)
    assert np.array_equal(out[~selected], IDS[~selected])
    # What a position turns into does not depend on which others are selected.
    assert np.array_equal(out[selected], corruption.apply(IDS, ALL, KEYS)[selected])
    assert np.array_equal(corruption.apply(IDS, np.zeros_like(ALL), KEYS), IDS)


def test_selection_says_nothing_about_corruption():
    selection = bits(row_keys(3, "selection", 1, np.arange(2000)), 128) >> np.uint64(32)
    chosen = selection < np.uint64(0.15 * 2**32)
    out = Corruption(MASK, 0.8, 0.1, np.arange(5, 500)).apply(IDS, ALL, KEYS)
    share = (out[chosen] == MASK).mean()
    assert abs(share - 0.8) < three_sigma(0.8, chosen.sum())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((1.2, 0.0), "--mask_replace_prob is 1.2"),
        ((0.8, -0.1), "--random_replace_prob is -0.1"),
        ((0.8, 0.3), "sum to more than 1"),
        ((float("nan"), 0.1), "--mask_replace_prob is nan"),
    ],
)
def test_shares_that_cannot_be(options, says):
    with pytest.raises(OptionError, match=says):
        Corruption(MASK, *options, np.arange(5, 10))


def test_random_replacement_needs_something_to_draw():
    with pytest.raises(OptionError, match="no ordinary token"):
        Corruption(MASK, 0.8, 0.1, [])
