"""The update of the mask weights: the specification's hand-computed vectors, in both profiles."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.errors import OptionError, ResumeError
from babylm_hf.masking import AdaptivePolicy

PROFILES = pytest.mark.parametrize("reference", [False, True], ids=["project", "reference"])


def totals(correct, wrong, loss=None):
    correct, wrong = np.array(correct, np.int64), np.array(wrong, np.int64)
    loss = np.zeros(len(correct)) if loss is None else np.array(loss, np.float64)
    return {"correct": correct, "wrong": wrong, "count": correct + wrong, "loss": loss}


class Window:
    """Statistics given by hand; remembers what was asked of it."""

    def __init__(self, values):
        self.values = values
        self.resets = 0

    def reduce(self):
        return self.values

    def reset(self):
        self.resets += 1


# ---- section 7 b


@PROFILES
def test_hard_update_on_hand_counts(reference):
    policy = AdaptivePolicy(4, (), 0.2, "hard", reference=reference)
    # s = (.5, .05, .95, .5), t = (.1, .19, .01, .1), w' = (.12, .192, .048, .12), sum .48
    new = policy.moved(totals([0, 0, 9, 5], [0, 9, 0, 5]), 0.2)
    assert new.dtype == np.float32
    np.testing.assert_allclose(new, [0.2, 0.32, 0.08, 0.2], rtol=1e-6)


@PROFILES
def test_the_papers_equation_alone_has_no_floor_and_no_renormalisation(reference):
    policy = AdaptivePolicy(4, (), 0.2, "hard", renorm="paper", reference=reference)
    np.testing.assert_allclose(
        policy.moved(totals([0, 0, 9, 5], [0, 9, 0, 5]), 0.2), [0.12, 0.192, 0.048, 0.12], rtol=1e-6
    )


@PROFILES
def test_soft_update_on_hand_counts(reference):
    # V = 4: one pseudo-observation of ln 4. l = (ln4 + S)/(1 + n).
    policy = AdaptivePolicy(4, (), 0.2, "soft", reference=reference)
    ln4 = math.log(4)
    loss = [0, 3 * ln4 + 4, 0, ln4]  # l = ln4, (4 ln4 + 4)/4 = ln4 + 1, ln4/2, ln4
    new = policy.moved(totals([0, 0, 1, 0], [0, 3, 0, 1], loss), 0.2)
    low, high = ln4 / 2, ln4 + 1
    z = (np.array([ln4, ln4 + 1, ln4 / 2, ln4]) - low) / (high - low)
    mixed = np.maximum(0.2 * 0.2 + 0.8 * 0.2 * z, 0.005)
    np.testing.assert_allclose(new, 0.2 * 4 * mixed / mixed.sum(), rtol=1e-6)
    assert np.argmax(new) == 1
    assert np.argmin(new) == 2


# ---- section 7 c and the edge values of 2.6


@PROFILES
def test_soft_without_statistics_changes_nothing(reference):
    policy = AdaptivePolicy(6, (0,), 0.15, "soft", update_steps=1, reference=reference)
    before = policy.weights.copy()
    window = Window(totals([0] * 6, [0] * 6))
    assert not policy.update(window, 1, 0.15)
    assert np.array_equal(policy.weights, before)
    assert np.isfinite(policy.weights).all()
    assert window.resets == 1


def test_hard_without_statistics_changes_nothing_in_the_project_and_flattens_in_the_reference():
    prior = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    empty = totals([0] * 4, [0] * 4)
    assert AdaptivePolicy(4, (), 0.25, initial_weights=prior).moved(empty, 0.25) is None
    moved = AdaptivePolicy(4, (), 0.25, initial_weights=prior, reference=True).moved(empty, 0.25)
    assert moved.std() < prior.std() / 2


def test_an_id_never_right_approaches_1_with_its_count():
    # Specification 2.6: 1 - s = .75, .83, .92, .98 for n = 1, 2, 5, 20; .5 unseen.
    policy = AdaptivePolicy(5, (), 0.15)
    difficulty = policy._difficulty(totals([0] * 5, [0, 1, 2, 5, 20]))
    np.testing.assert_allclose(difficulty, [0.5, 0.75, 0.8333333, 0.9166667, 0.9761905], rtol=1e-6)


def test_an_unseen_id_in_soft_has_the_loss_of_a_uniform_guess():
    policy = AdaptivePolicy(40_000, (), 0.15, "soft")
    assert math.log(40_000) == pytest.approx(10.597, abs=5e-4)
    loss = np.zeros(40_000)
    counts = np.zeros(40_000, np.int64)
    counts[7], loss[7] = 10, 10 * 2.0
    counts[8], loss[8] = 1, 30.0  # a rare id with a larger loss than a guess sets the maximum
    z = policy._difficulty(totals(np.zeros(40_000), counts, loss))
    low, high = (math.log(40_000) + 20) / 11, (math.log(40_000) + 30) / 2
    assert z[7] == 0
    assert z[8] == 1
    assert z[0] == pytest.approx((math.log(40_000) - low) / (high - low))


@pytest.mark.parametrize(("accuracy", "memory"), [(0.5, 1 / 3), (0.7, 0.2 / 0.44)])
@PROFILES
def test_the_renormalisation_lengthens_the_memory(accuracy, memory, reference):
    # Specification 2.7: lambda_eff = .2 / (.2 + .8 (1 - mean s)): .33 at .5, .45 at .7.
    prior = np.array([0.10, 0.20, 0.12, 0.18], np.float32)
    policy = AdaptivePolicy(4, (), 0.15, initial_weights=prior, reference=reference)
    n = 10**6
    right = round(accuracy * n)
    new = policy.moved(totals([right] * 4, [n - right] * 4), 0.15)
    np.testing.assert_allclose((new - 0.15) / (prior - 0.15), memory, rtol=1e-4)


def test_the_floor_of_each_profile():
    # One id is always right, the others always wrong; after some updates it sits on the floor.
    n = 10**7
    counts = totals([n] + [0] * 9, [0] + [n] * 9)
    for rate in (0.15, 0.4):
        for reference, floor in ((False, rate / 30), (True, 0.005)):
            policy = AdaptivePolicy(10, (), rate, reference=reference)
            for _ in range(30):
                policy.weights = policy.moved(counts, rate)
            # After flooring, the weights are scaled to mean `rate`.
            others = 0.2 * policy.weights[1] + 0.8 * rate
            scale = rate * 10 / (floor + 9 * others)
            assert policy.weights[0] == pytest.approx(floor * scale, rel=1e-4)
    # Equal at the constant rate of the paper: .005 is a thirtieth of .15.
    assert AdaptivePolicy(10, (), 0.15).floor * 0.15 == pytest.approx(0.005)


# ---- which ids take part


def test_special_ids_are_frozen_and_outside_every_mean():
    policy = AdaptivePolicy(6, (0, 5), 0.2)
    new = policy.moved(totals([100, 0, 0, 9, 5, 0], [0, 0, 9, 0, 5, 100]), 0.2)
    assert new[[0, 5]].tolist() == [np.float32(0.2)] * 2
    np.testing.assert_allclose(new[1:5], [0.2, 0.32, 0.08, 0.2], rtol=1e-6)
    soft = AdaptivePolicy(6, (0, 5), 0.2, "soft")
    losses = [0.0, 0, 90, 1, 20, 5000]
    moved = soft.moved(totals([100, 0, 0, 9, 5, 0], [0, 0, 9, 0, 5, 100], losses), 0.2)
    assert moved[2] == moved[1:5].max()
    assert moved[1:5].mean() == pytest.approx(0.2, rel=1e-6)


def test_in_the_reference_special_ids_are_ids_like_any_other():
    policy = AdaptivePolicy(4, (0, 1, 2, 3), 0.2, reference=True)
    np.testing.assert_allclose(policy.moved(totals([0, 0, 9, 5], [0, 9, 0, 5]), 0.2), [0.2, 0.32, 0.08, 0.2], rtol=1e-6)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["hard", "soft"]),
    st.booleans(),
    st.floats(0.01, 0.99),
    st.sampled_from([0.0, 0.2, 0.9]),
)
def test_weights_stay_finite_positive_and_of_the_right_mean(seed, kind, reference, rate, keep):
    random = np.random.default_rng(seed)
    policy = AdaptivePolicy(30, (0, 1), rate, kind, mask_lambda=keep, reference=reference)
    for _ in range(3):
        counts = random.integers(0, 3, 30) * random.integers(0, 10**9, 30)
        right = (counts * random.random(30)).astype(np.int64)
        loss = counts * random.exponential(5, 30)
        window = totals(right, counts - right, loss)
        moved = policy.moved(window, rate)
        policy.weights = policy.weights if moved is None else moved
        assert np.isfinite(policy.weights).all()
        assert (policy.weights > 0).all()
        learning = policy.weights if reference else policy.weights[2:]
        assert learning.mean(dtype=np.float64) == pytest.approx(rate, rel=1e-5)


def test_a_model_that_has_learnt_frequencies_only_moves_weights_as_the_paper_shows():
    # Section 6.4.5 of the specification (paper 4.2, figures 1 and 2): at first, hard raises frequent ids and lowers
    # rare ones; soft does the opposite. The model of the first steps predicts every id with its share of the corpus.
    share = 1 / np.arange(1, 2001)
    share /= share.sum()
    counts = np.floor(200_000 * share).astype(np.int64)
    right = np.where(np.arange(2000) == 0, counts, 0)
    seen = totals(right, counts - right, -counts * np.log(share))
    hard = AdaptivePolicy(2000, (), 0.15).moved(seen, 0.15)
    soft = AdaptivePolicy(2000, (), 0.15, "soft").moved(seen, 0.15)
    frequent, rare = slice(1, 50), slice(1900, 2000)
    assert hard[frequent].min() > 0.15 > hard[rare].max()
    assert soft[frequent].max() < 0.15 < soft[rare].min()
    assert hard[0] == hard.min()


# ---- when


def updates(policy, steps):
    window = Window(totals([0, 3], [3, 0]))
    at = [k for k in range(steps) if policy.update(window, k, 0.15)]
    return at, window.resets


def test_the_reference_updates_at_multiples_of_n_and_its_first_window_has_one_more():
    # Specification 7 p: T = 8325, N = 200: k = 200, 400, ..., 41 updates; the first window is steps 0..200.
    at, resets = updates(AdaptivePolicy(2, (), 0.15, reference=True), 8325)
    assert at == list(range(200, 8201, 200))
    assert len(at) == resets == 41


def test_the_project_updates_after_every_n_steps_exactly():
    at, resets = updates(AdaptivePolicy(2, (), 0.15), 8325)
    assert at == list(range(199, 8200, 200))
    assert len(at) == resets == 41


def test_a_delayed_first_update():
    # Specification 3.4.9: the project drops statistics before F - N, the reference keeps all since step 0.
    at, resets = updates(AdaptivePolicy(2, (), 0.15, update_steps=10, first_update=35), 60)
    assert at == [39, 49, 59]
    assert resets == 6
    at, resets = updates(AdaptivePolicy(2, (), 0.15, update_steps=10, first_update=35, reference=True), 61)
    assert at == [40, 50, 60]
    assert resets == 3


def test_counted_positions_of_each_kind():
    assert [AdaptivePolicy(2, (), 0.1, kind).positions for kind in ("hard", "soft")] == ["all", "mask"]
    assert AdaptivePolicy(2, (), 0.1, "hard", positions="mask").positions == "mask"


# ---- state


def test_state_goes_around_a_checkpoint():
    policy = AdaptivePolicy(4, (), 0.2, update_steps=1)
    policy.update(Window(totals([0, 0, 9, 5], [0, 9, 0, 5])), 0, 0.2)
    kept = policy.state()
    other = AdaptivePolicy(4, (), 0.2, update_steps=1)
    other.load_state(kept)
    assert np.array_equal(other.weights, policy.weights)
    assert other.updates == policy.updates == 1
    kept["weights"][:] = 9
    assert policy.weights.max() < 1
    assert other.weights.max() < 1
    with pytest.raises(ResumeError, match="5 ids"):
        AdaptivePolicy(5, (), 0.2).load_state(policy.state())
    with pytest.raises(ResumeError):
        other.load_state({"weights": np.full(4, np.nan), "updates": [1]})


def test_the_summary_is_for_logs():
    policy = AdaptivePolicy(6, (0, 5), 0.2)
    policy.weights = np.array([0.2, 0.1, 0.3, 0.25, 0.15, 0.2], np.float32)
    summary = json.loads(json.dumps(policy.summary(2)))
    assert [i for i, _ in summary["top"]] == [2, 3]
    assert [i for i, _ in summary["bottom"]] == [1, 4]
    assert [i for i, _ in summary["special"]] == [0, 5]
    assert summary["mean"] == pytest.approx(0.2)
    json.dumps(policy.describe())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "medium"}, "--masking"),
        ({"update_steps": 0}, "--mask_update_steps"),
        ({"first_update": -1}, "--first_mask_update"),
        ({"mask_lambda": 1.0}, "--mask_lambda"),
        ({"floor": -0.1}, "--mask_floor"),
        ({"renorm": "none"}, "renorm"),
        ({"positions": "some"}, "positions"),
        ({"initial_weights": [1, 2]}, "initial mask weights"),
        ({"initial_weights": [1, 2, 0]}, "initial mask weights"),
    ],
)
def test_what_is_refused(options, says):
    with pytest.raises(OptionError, match=says):
        AdaptivePolicy(3, (), 0.15, **options)
