"""Heavy-hitter masking and the controls: candidate sets, feedback, and a control that really is random."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from babylm_hf.errors import ResumeError
from babylm_hf.masking import (
    ExactPolicy,
    FrequencyBandPolicy,
    HeavyHitterPolicy,
    MaskRows,
    RandomSketchPolicy,
    TokenFeatures,
    TokenStatistics,
)
from babylm_hf.masking.controls import bands
from babylm_hf.masking.hhm import ENTITY_ONLY_SHARES
from babylm_hf.masking.sampling import ONE

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
NAMES = [f"name{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100)]
TOKENS = [*SPECIAL, "the", "dog", "alice", "river", "##river", *NAMES]
FEATURES = TokenFeatures.of(TOKENS)
V = len(TOKENS)
ID = {token: i for i, token in enumerate(TOKENS)}
COUNTING = pytest.mark.parametrize("counting", ["exact", "sketch"])


def rows_of(ids, step=0, eligible=None, first=0):
    ids = np.asarray(ids)
    eligible = ids >= 5 if eligible is None else eligible
    return MaskRows(ids, eligible, np.arange(first, first + len(ids)), 0, 0, step, "", {}, 10_000)


def statistics_of(ids, losses):
    statistics = TokenStatistics(V, keep_targets=True)
    right = torch.zeros(len(ids), dtype=torch.bool)
    statistics.observe(torch.tensor(ids), right, torch.tensor(losses, dtype=torch.float32))
    return statistics


@COUNTING
def test_entities_are_words_that_repeat_in_the_row(counting):
    policy = HeavyHitterPolicy(FEATURES, counting=counting)
    row = ["alice", "the", "river", "the", "alice", "dog", "dog", "##river", "[CLS]", "nameaa"]
    found = policy.entities(rows_of([[ID[t] for t in row]]))[0]
    assert [t for t, yes in zip(row, found, strict=True) if yes] == ["alice", "river", "alice", "##river"]
    eligible = np.array([[True] * 4 + [False] * 6])
    assert not policy.entities(rows_of([[ID[t] for t in row]], eligible=eligible)).any()


@COUNTING
def test_at_most_thirty_two_words_of_a_row_are_entities(counting):
    words = [f"name{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(40)]
    row = [ID[w] for w in words] * 2 + [ID[words[39]]]
    found = HeavyHitterPolicy(FEATURES, counting=counting).entities(rows_of([row]))[0]
    chosen = {row[i] for i in np.flatnonzero(found)}
    assert chosen == {ID[w] for w in [*words[:31], words[39]]}


def test_a_small_table_takes_newcomers_for_repeated():
    # Specification 2.10: 64 places; the 65th word inherits a count.
    words = [ID[name] for name in NAMES[:66]]
    assert HeavyHitterPolicy(FEATURES, counting="sketch").entities(rows_of([words])).any()
    assert not HeavyHitterPolicy(FEATURES).entities(rows_of([words])).any()


@COUNTING
def test_the_tokens_with_high_losses(counting):
    policy = HeavyHitterPolicy(FEATURES, counting=counting, capacity=2)
    policy.total_steps = 100
    losses = statistics_of([7, 7, 8, 8, 9, 9, 10, 10], [1.0, 1, 2, 2, 3, 3, 4, 9])
    assert not policy.update(losses, 9, 0.15)
    assert not policy.members.any()
    assert not len(losses.targets()[0])
    # The upper quarter of 1 1 2 2 3 3 4 9 begins at 3.25: a 4 and a 9, both of token 10.
    policy.update(statistics_of([7, 7, 8, 8, 9, 9, 10, 10], [1.0, 1, 2, 2, 3, 3, 4, 9]), 10, 0.15)
    assert np.flatnonzero(policy.members).tolist() == [10]
    for token, loss in ((11, 2.0), (12, 30.0)):
        policy.learn(np.array([token]), np.array([loss]))
    # Of three there is room for two: exact keeps the heaviest, a full table puts the newcomer in the smallest's place.
    assert np.flatnonzero(policy.members).tolist() == [10, 12]
    policy.learn(np.array([13]), np.array([0.0]))
    assert np.flatnonzero(policy.members).tolist() == ([10, 12] if counting == "exact" else [12, 13])


def test_what_a_full_batch_is_made_of():
    policy = HeavyHitterPolicy(FEATURES)
    random = np.random.default_rng(0)
    ids = random.integers(5, V, (64, 128))
    policy.learn(np.arange(20, 60), np.ones(40))
    selected = policy.select(rows_of(ids), 0.15)
    assert selected.sum() == 1216
    assert policy.sources["entity"] == 64 * 5
    assert policy.sources["error"] == 64 * 4
    assert policy.sources["uniform"] == 64 * 10
    only = HeavyHitterPolicy(FEATURES, ENTITY_ONLY_SHARES)
    only.select(rows_of(ids), 0.15)
    assert (only.sources["entity"], only.sources["uniform"]) == (64 * 5, 64 * 14)
    assert "error" not in only.sources


def test_entity_only_learns_nothing():
    policy = HeavyHitterPolicy(FEATURES, ENTITY_ONLY_SHARES, 0)
    policy.total_steps = 10
    statistics = statistics_of([7, 8], [1.0, 2.0])
    assert policy.update(statistics, 199, 0.15)
    assert not policy.members.any()
    assert not len(statistics.targets()[0])


@COUNTING
def test_state_goes_around_a_checkpoint(counting):
    policy = HeavyHitterPolicy(FEATURES, counting=counting, capacity=5)
    random = np.random.default_rng(0)
    for _ in range(20):
        policy.learn(random.integers(5, V, 10), random.exponential(3, 10))
    other = HeavyHitterPolicy(FEATURES, counting=counting, capacity=5)
    other.load_state(policy.state())
    for each in (policy, other):
        each.learn(np.array([50, 51]), np.array([1.0, 2.0]))
    assert np.array_equal(other.members, policy.members)
    assert policy.members.sum() == 5
    with pytest.raises(ResumeError, match="another tokenizer"):
        HeavyHitterPolicy(TokenFeatures.of(TOKENS[:-1])).load_state(policy.state())
    assert np.count_nonzero(policy.token_weights()) == 5
    assert other.updates == policy.updates == 21
    summary = json.loads(json.dumps([policy.describe(), policy.summary(3)]))[1]
    assert len(summary["top"]) == 3
    assert summary["max"] == summary["top"][0][1] >= summary["min"] > 0


# ---- the random control


def test_the_random_control_is_random():
    # Acceptance test 18: every position equally often, and pairs of them as in random masking.
    rows = rows_of(np.full((120_000, 20), 7))
    policy = RandomSketchPolicy()
    selected = policy.select(rows, 0.25)
    assert (selected.sum(axis=1) == 5).all()
    assert (policy.sources["entity"], policy.sources["error"]) == (120_000, 240_000)
    np.testing.assert_allclose(selected.mean(axis=0), 0.25, atol=0.005)
    plain = ExactPolicy().select(rows, 0.25)
    pairs = [(s[:, :-1] & s[:, 1:]).mean() for s in (selected, plain)]
    assert pairs[0] == pytest.approx(pairs[1], abs=0.002)
    assert pairs[0] == pytest.approx(5 / 20 * 4 / 19, abs=0.002)


def test_the_pools_of_the_random_control():
    # 10 and 8 positions at n = 19.
    rows = rows_of(np.full((50, 128), 7))
    first, second = RandomSketchPolicy().stages(rows, np.full(50, 19))
    assert (first.choices.sum(axis=1) == 10).all()
    assert (second.choices.sum(axis=1) == 8).all()
    assert not (first.choices & second.choices).any()
    assert (first.counts[0], second.counts[0]) == (5, 4)
    padded = rows_of(np.full((50, 128), 7), eligible=np.broadcast_to(np.arange(128) % 3 == 0, (50, 128)).copy())
    for stage in RandomSketchPolicy().stages(padded, np.full(50, 6)):
        assert not stage.choices[~padded.eligible].any()
    assert not RandomSketchPolicy().select(padded, 0.15)[~padded.eligible].any()


# ---- the frequency control


def test_bands():
    assert bands(np.arange(10.0)).tolist() == [1, 1, 2, 2, 2, 2, 1, 1, 0.25, 0.25]


def test_the_batch_is_counted_or_the_corpus():
    ids = np.full((4, 50), 5)
    ids[:, 0] = 6  # 4 times in the batch
    ids[0, 1] = 7  # once
    rows = rows_of(ids)
    (stage,) = FrequencyBandPolicy().stages(rows, np.full(4, 8))
    assert (stage.choices[0, :3] / ONE).tolist() == [2.0, 1.0, 0.25]
    counts = np.zeros(V)
    counts[5], counts[6], counts[7] = 195, 4, 1
    by_corpus = FrequencyBandPolicy(counts, batch_tokens=200)
    (stage,) = by_corpus.stages(rows, np.full(4, 8))
    assert (stage.choices[0, :3] / ONE).tolist() == [2.0, 1.0, 0.25]
    # So a row's mask does not depend on what else is in the micro-batch.
    whole = by_corpus.select(rows, 0.15)
    for row in range(4):
        assert np.array_equal(by_corpus.select(rows_of(ids[row : row + 1], first=row), 0.15), whole[row : row + 1])
    assert (whole.sum(axis=1) == 8).all()
    nothing = rows_of(ids, eligible=np.zeros(ids.shape, bool))
    assert not FrequencyBandPolicy().select(nothing, 0.15).any()
