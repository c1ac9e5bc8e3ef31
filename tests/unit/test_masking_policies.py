"""Selection: realised rates, eligibility, budgets of both profiles, and clipping above 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.masking import AdaptivePolicy, MaskRows, UniformPolicy, evaluation_masks
from babylm_hf.masking.policies import water_fill
from babylm_hf.masking.random import below, bits, row_keys, uniform

V = 400
SPECIAL = (0, 1, 2, 3, 4)
IDS = np.random.default_rng(0).integers(5, V, (3000, 128))


def rows_of(ids, eligible=None, seed=1, pass_index=0, first=0):
    eligible = np.ones(ids.shape, bool) if eligible is None else eligible
    return MaskRows(ids, eligible, np.arange(first, first + len(ids)), seed, pass_index, 0)


def policies(reference=False):
    weights = np.random.default_rng(5).uniform(0.05, 1, V).astype(np.float32)
    return [
        UniformPolicy(reference),
        AdaptivePolicy(V, SPECIAL, 0.15, reference=reference),
        AdaptivePolicy(V, SPECIAL, 0.15, initial_weights=weights, reference=reference),
    ]


@pytest.mark.parametrize("rate", [0.15, 0.4])
@pytest.mark.parametrize("reference", [False, True])
def test_the_realised_rate_is_the_rate(rate, reference):
    # Specification 7 a: no padding, within 3 sigma.
    for policy in policies(reference):
        selected = policy.select(rows_of(IDS), rate)
        probability = policy.probabilities(IDS, np.ones(IDS.shape, bool), rate)
        sigma = np.sqrt((probability * (1 - probability)).sum())
        assert abs(selected.sum() - rate * IDS.size) <= 3 * sigma
        np.testing.assert_allclose(probability.sum(axis=1), rate * 128, rtol=1e-12)


def test_selection_is_independent_over_positions_rows_and_passes():
    a = UniformPolicy().select(rows_of(IDS), 0.15)
    b = UniformPolicy().select(rows_of(IDS, pass_index=1), 0.15)
    c = UniformPolicy().select(rows_of(IDS, seed=2), 0.15)
    sigma = np.sqrt(0.15**2 * (1 - 0.15**2) / a.size)
    for left, right in [(a, b), (a, c), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1])]:
        assert abs((left & right).mean() - 0.15**2) < 4 * sigma
    per_position = a.mean(axis=0)
    assert abs(per_position - 0.15).max() < 4.5 * np.sqrt(0.15 * 0.85 / len(a))
    per_row = a.sum(axis=1)
    assert 0.9 < per_row.var() / (128 * 0.15 * 0.85) < 1.1


@pytest.mark.parametrize("policy", policies(), ids=["uniform", "adaptive", "weighted"])
def test_a_pad_heavy_row_keeps_the_rate_on_its_real_tokens(policy):
    # Specification 7 d: the project's budget counts eligible tokens only.
    eligible = np.zeros(IDS.shape, bool)
    eligible[:, :32] = True
    selected = policy.select(rows_of(IDS, eligible), 0.4)
    assert not selected[:, 32:].any()
    assert abs(selected[:, :32].mean() - 0.4) < 3 * np.sqrt(0.4 * 0.6 / (3000 * 32))


def test_the_reference_masks_a_half_padded_row_at_twice_the_rate():
    # Specification 7 p: p = .4, 80 % of the real tokens.
    eligible = np.zeros(IDS.shape, bool)
    eligible[:, :64] = True
    for policy in policies(reference=True)[:2]:
        np.testing.assert_allclose(policy.probabilities(IDS, eligible, 0.4)[:, :64], 0.8, rtol=1e-7)
        selected = policy.select(rows_of(IDS, eligible), 0.4)
        assert not selected[:, 64:].any()
        assert abs(selected[:, :64].mean() - 0.8) < 3 * np.sqrt(0.8 * 0.2 / (3000 * 64))


def test_probability_follows_the_weight_within_a_row():
    policy = policies()[2]
    probability = policy.probabilities(IDS, np.ones(IDS.shape, bool), 0.1)
    assert probability.max() < 1
    weights = policy.weights[IDS].astype(np.float64)
    np.testing.assert_allclose(probability, 0.1 * 128 * weights / weights.sum(axis=1, keepdims=True), rtol=1e-12)
    # Only ratios matter: a power of two keeps every float the same.
    policy.weights = policy.weights * np.float32(4)
    assert np.array_equal(policy.probabilities(IDS, np.ones(IDS.shape, bool), 0.1), probability)


@pytest.mark.parametrize(("rate", "times"), [(0.4, 2.5), (0.15, 1 / 0.15)])
def test_a_weight_above_the_row_mean_over_the_rate_is_always_selected(rate, times):
    # Specification 2.3: q > 1 iff w > mean(w) / p, that is 2.5 times the mean at .4 and 6.7 times at .15.
    ids = np.full((1, 1000), 6)
    ids[0, 0] = 5
    eligible = np.ones(ids.shape, bool)
    for factor, sure in [(0.99, False), (1.01, True)]:
        weights = np.full(V, 0.1, np.float32)
        # The weight that is `factor * times` the mean of its row.
        ratio = factor * times
        weights[5] = 0.1 * 999 * ratio / (1000 - ratio)
        policy = AdaptivePolicy(V, SPECIAL, rate, initial_weights=weights, water_filling=False)
        assert (policy.probabilities(ids, eligible, rate)[0, 0] > 1) == sure
        assert policy.clipped == int(sure)


def test_rows_without_weight_or_eligible_tokens():
    ids = np.array([[5, 6, 7, 0], [0, 0, 0, 0]])
    eligible = np.array([[True, True, False, False], [False] * 4])
    project, reference = AdaptivePolicy(V, SPECIAL, 0.3), AdaptivePolicy(V, SPECIAL, 0.3, reference=True)
    for policy in (project, reference):
        policy.weights = np.zeros(V, np.float32)
    np.testing.assert_allclose(project.probabilities(ids, eligible, 0.3), [[0.3, 0.3, 0, 0], [0] * 4], rtol=1e-7)
    assert not reference.probabilities(ids, eligible, 0.3).any()
    assert not UniformPolicy().probabilities(ids, eligible, 0.3)[1].any()


def test_a_rate_for_every_row():
    rates = np.linspace(0.05, 0.9, len(IDS))
    for policy in policies()[:2]:
        probability = policy.probabilities(IDS, np.ones(IDS.shape, bool), rates)
        np.testing.assert_allclose(probability, np.broadcast_to(rates[:, None], IDS.shape), rtol=1e-7)
    one = UniformPolicy()
    together = one.select(rows_of(IDS), rates)
    for row in (0, 1500, 2999):
        alone = one.select(rows_of(IDS[row : row + 1], first=row), float(rates[row]))
        assert np.array_equal(together[row : row + 1], alone)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.02, 0.98), st.integers(1, 40), st.floats(0.1, 4))
def test_water_filling_keeps_the_budget_and_the_order(seed, rate, length, spread):
    random = np.random.default_rng(seed)
    weights = random.lognormal(0, spread, (7, length))
    budget = np.full(7, rate * length)
    wanted = weights * (budget / weights.sum(axis=1))[:, None]
    before = wanted.copy()
    clipped = water_fill(wanted, weights, budget)
    assert wanted.max() <= 1 + 1e-12
    np.testing.assert_allclose(wanted.sum(axis=1), budget, rtol=1e-9)
    assert (clipped > 0) == (before > 1).any()
    for row in range(7):
        order = np.argsort(weights[row], kind="stable")
        assert (np.diff(wanted[row][order]) >= -1e-12).all()
        free = wanted[row] < 1
        if free.any():  # below 1 probabilities stay proportional to weights
            np.testing.assert_allclose(wanted[row][free] / weights[row][free], (wanted[row] / weights[row])[free][0])


def test_water_filling_by_hand():
    # Budget 2 of 4: weights 8 1 1 2 want 4/3 1/6 1/6 1/3; the first is full, one is left for 1 1 2.
    weights = np.array([[8.0, 1, 1, 2]])
    wanted = weights * (2 / 12)
    assert water_fill(wanted, weights, np.array([2.0])) == 1
    np.testing.assert_allclose(wanted, [[1, 0.25, 0.25, 0.5]], rtol=1e-12)


def test_with_water_filling_the_realised_rate_holds_where_the_reference_loses_some():
    ids = np.where(np.random.default_rng(2).random((2000, 64)) < 0.05, 5, 6)
    weights = np.full(V, 0.05, np.float32)
    weights[5] = 1
    everything = np.ones(ids.shape, bool)
    full = AdaptivePolicy(V, SPECIAL, 0.4, initial_weights=weights)
    lossy = AdaptivePolicy(V, SPECIAL, 0.4, initial_weights=weights, reference=True)
    assert full.probabilities(ids, everything, 0.4).mean() == pytest.approx(0.4, rel=1e-9)
    assert np.minimum(lossy.probabilities(ids, everything, 0.4), 1).mean() < 0.35
    assert full.clipped > 0


@given(st.integers(0, 2**63), st.floats(0, 1.2))
@settings(max_examples=50, deadline=None)
def test_the_fast_comparison_is_the_slow_one(seed, probability):
    values = bits(row_keys(seed, "selection", 0, np.arange(4)), 50)
    numbers = uniform(row_keys(seed, "selection", 0, np.arange(4)), 50)
    assert np.array_equal(below(values, probability), numbers < probability)
    assert np.array_equal(below(values, np.full(values.shape, probability)), numbers < probability)


def test_uniform_selection_takes_the_probabilities_it_announces():
    policy = UniformPolicy()
    rows = rows_of(IDS, IDS % 3 > 0)
    slow = below(bits(rows.keys("selection"), 128), policy.probabilities(rows.input_ids, rows.eligible, 0.15))
    assert np.array_equal(policy.select(rows, 0.15), slow)


def test_evaluation_masks_are_their_own_and_fixed():
    eligible = np.ones(IDS.shape, bool)
    fixed = evaluation_masks(IDS, eligible, np.arange(len(IDS)))
    assert np.array_equal(fixed, evaluation_masks(IDS, eligible, np.arange(len(IDS))))
    assert abs(fixed.mean() - 0.15) < 3 * np.sqrt(0.15 * 0.85 / IDS.size)
    training = UniformPolicy().select(rows_of(IDS, seed=0), 0.15)
    assert abs((fixed & training).mean() - 0.15**2) < 4 * np.sqrt(0.15**2 / IDS.size)
    assert not np.array_equal(fixed, evaluation_masks(IDS, eligible, np.arange(len(IDS)), seed=1))
