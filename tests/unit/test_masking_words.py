"""Whole words and spans: boundaries of three kinds of tokenizer, rates, and what they do to an inner policy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.corpus import train_tokenizer
from babylm_hf.errors import OptionError
from babylm_hf.masking import (
    AdaptivePolicy,
    ConstantRate,
    FrequencyPolicy,
    MaskingCollator,
    MaskRows,
    SpanPolicy,
    UniformPolicy,
    Vocabulary,
    WholeWordPolicy,
    WordBoundaries,
)
from babylm_hf.masking.words import word_numbers

N, L = 3000, 64


def rows_of(starts=None, n=N, length=L, eligible=None, pass_index=0):
    ids = np.random.default_rng(1).integers(5, 50, (n, length))
    eligible = np.ones(ids.shape, bool) if eligible is None else eligible
    extras = {} if starts is None else {"word_starts": starts}
    return MaskRows(ids, eligible, np.arange(n), 0, pass_index, 0, "", extras)


def random_starts(n=N, length=L, share=0.6):
    return (np.random.default_rng(2).random((n, length)) < share).astype(np.uint8)


# ---- boundaries


@pytest.mark.parametrize("algorithm", ["bpe", "wordpiece", "unigram"])
def test_boundaries_of_a_tokenizer_are_those_of_the_text(algorithm):
    tokenizer = tiny_tokenizer() if algorithm == "bpe" else train_tokenizer(iter([list(tiny_lines())]), algorithm, 300)
    boundaries = WordBoundaries.of(tokenizer)
    for line in tiny_lines()[:40]:
        encoded = tokenizer(line, return_offsets_mapping=True)
        ids = np.array([encoded["input_ids"]])
        starts = boundaries.starts(ids)[0]
        special = np.isin(ids[0], tokenizer.all_special_ids)
        begins = [s for (s, e), yes in zip(encoded["offset_mapping"], starts & ~special, strict=True) if yes and e]
        words = [i for i in range(len(line)) if not line[i].isspace() and (i == 0 or line[i - 1].isspace())]
        # Byte-level pieces include the space before their word.
        found = sorted({s + (line[s] == " ") for s in begins})
        if algorithm == "wordpiece":
            assert set(words) <= set(found)  # it splits signs off, which are words of their own here
        else:
            assert found == words


def test_a_tokenizer_without_boundaries_is_refused():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE({"a": 0, "b": 1, "[MASK]": 2, "[PAD]": 3}, []))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, mask_token="[MASK]", pad_token="[PAD]")
    with pytest.raises(OptionError, match="word boundaries"):
        WordBoundaries.of(tokenizer)
    with pytest.raises(OptionError, match="word_starts"):
        WholeWordPolicy().select(rows_of(), 0.15)
    assert WholeWordPolicy().needs_word_starts
    assert SpanPolicy().needs_word_starts
    assert not SpanPolicy(unit="token").needs_word_starts
    assert not WholeWordPolicy(boundaries=WordBoundaries.of(tiny_tokenizer())).needs_word_starts


def test_words_are_numbered_from_the_row_s_beginning():
    starts = np.array([[0, 0, 1, 0, 1, 2], [1, 1, 0, 0, 0, 1]])
    numbers = word_numbers(rows_of(starts, 2, 6), None)
    assert numbers.tolist() == [[0, 0, 1, 1, 2, 3], [6, 7, 7, 7, 7, 8]]


# ---- whole words


def test_whole_words_are_masked_whole_at_an_unchanged_rate():
    starts = random_starts()
    rows = rows_of(starts)
    selected = WholeWordPolicy().select(rows, 0.15)
    same_word = starts[:, 1:] == 0
    assert np.array_equal(selected[:, 1:][same_word], selected[:, :-1][same_word])
    assert selected.mean() == pytest.approx(0.15, abs=0.005)
    assert abs((selected[:, 1:] & selected[:, :-1])[~same_word].mean() - 0.15**2) < 0.004
    np.testing.assert_allclose(WholeWordPolicy().inclusion(rows, 0.15), 0.15)
    again = WholeWordPolicy().select(rows_of(starts, pass_index=1), 0.15)
    assert (selected & again).mean() == pytest.approx(0.15**2, abs=0.004)


def test_tokens_that_are_not_eligible_are_left_out_of_their_word():
    eligible = np.random.default_rng(3).random((N, L)) < 0.7
    rows = rows_of(random_starts(), eligible=eligible)
    selected = WholeWordPolicy().select(rows, 0.3)
    assert not selected[~eligible].any()
    assert selected[eligible].mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    "inner",
    [
        AdaptivePolicy(50, (), 0.15, initial_weights=np.random.default_rng(0).uniform(0.1, 1, 50)),
        FrequencyPolicy(np.arange(50, 0, -1), 0.5, curriculum=False),
    ],
    ids=["adaptive", "frequency"],
)
def test_any_independent_policy_can_choose_the_words(inner):
    starts = random_starts()
    rows = rows_of(starts)
    policy = WholeWordPolicy(inner)
    assert policy.needs_feedback == inner.needs_feedback
    expected = inner.inclusion(rows, 0.2)
    found = policy.inclusion(rows, 0.2)
    np.testing.assert_allclose(found.sum(axis=1), expected.sum(axis=1))
    numbers = word_numbers(rows, None)
    for row in range(3):
        for word in range(5):
            here = numbers[row] == word + row * L
            np.testing.assert_allclose(found[row, here], expected[row, here].mean())
    assert policy.select(rows, 0.2).mean() == pytest.approx(0.2, abs=0.006)
    assert policy.state().keys() == inner.state().keys()
    assert (policy.token_weights() is None) == (inner.token_weights() is None)
    json.dumps(policy.describe())


def test_what_the_collator_sets_reaches_the_inner_policy():
    inner = UniformPolicy()
    prior = np.ones(50)
    prior[5:10] = 0
    vocabulary = Vocabulary(50, 4, 0, (0, 1, 2, 3, 4))
    collator = MaskingCollator(vocabulary, rate=ConstantRate(0.2), policy=WholeWordPolicy(inner), prior=prior)
    collator.total_steps = 77
    assert inner.total_steps == 77
    assert np.array_equal(inner.prior, prior)
    assert collator.policy.clipped == 0


# ---- spans


def test_spans_cover_every_position_with_the_rate():
    for policy in (SpanPolicy(unit="token"), SpanPolicy(3.0, 3, "token"), SpanPolicy(1.0, 1, "token")):
        for rate in (0.02, 0.15, 0.5, 0.9):
            rows = rows_of()
            np.testing.assert_allclose(policy.inclusion(rows, rate), rate, atol=1e-9)
            covered = policy.select(rows, rate)
            assert covered.mean() == pytest.approx(rate, abs=0.01)
            # The ends of the row are no different from its middle.
            assert covered[:, 0].mean() == pytest.approx(rate, abs=0.035)
            assert covered[:, -1].mean() == pytest.approx(rate, abs=0.035)


def test_spans_are_long():
    covered = SpanPolicy(unit="token").select(rows_of(), 0.15)
    after_target = covered[:, 1:][covered[:, :-1]].mean()
    assert 0.6 < after_target < 0.85
    single = SpanPolicy(1.0, 1, "token").select(rows_of(), 0.15)
    assert single[:, 1:][single[:, :-1]].mean() == pytest.approx(0.15, abs=0.02)


def test_lengths_are_geometric_and_cut_off():
    policy = SpanPolicy(5.0, 10, "token")
    lengths = -np.diff(np.append(policy.longer, 0))
    assert lengths.sum() == pytest.approx(1)
    np.testing.assert_allclose(lengths[1:] / lengths[:-1], 0.8)
    assert policy.longer.sum() == pytest.approx(3.797, abs=1e-3)  # the mean length of SpanBERT: 3.8


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(1, 12), st.integers(1, 12))
def test_starts_are_solved_for(rate, mean, longest):
    policy = SpanPolicy(mean, longest, "token")
    start = policy.start_probability(rate)
    assert 1 - np.prod(1 - start * policy.longer) == pytest.approx(rate, abs=1e-7)


def test_spans_of_words_and_a_rate_for_every_row():
    starts = random_starts()
    rates = np.linspace(0.05, 0.8, N)
    rows = rows_of(starts)
    policy = SpanPolicy()
    selected = policy.select(rows, rates)
    same_word = starts[:, 1:] == 0
    assert np.array_equal(selected[:, 1:][same_word], selected[:, :-1][same_word])
    assert selected.mean() == pytest.approx(rates.mean(), abs=0.01)
    assert selected[:500].mean() == pytest.approx(rates[:500].mean(), abs=0.02)


def test_spans_follow_a_prior():
    policy = SpanPolicy(unit="token")
    policy.prior = np.where(np.arange(50) < 25, 3.0, 0.5)
    rows = rows_of(n=400)
    expected = policy.inclusion(rows, 0.15)
    np.testing.assert_allclose(expected.mean(axis=1), 0.15, atol=1e-6)
    selected = policy.select(rows, 0.15)
    assert selected.mean() == pytest.approx(0.15, abs=0.01)
    heavy = rows.input_ids < 25
    assert selected[heavy].mean() > 1.3 * selected[~heavy].mean()
    assert selected[heavy].mean() == pytest.approx(expected[heavy].mean(), abs=0.01)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mean_length": 0.5}, "--span_length"),
        ({"max_length": 0}, "--max_span_length"),
        ({"unit": "line"}, "--span_unit"),
    ],
)
def test_what_is_refused(options, says):
    with pytest.raises(OptionError, match=says):
        SpanPolicy(**options)
