"""Token keys, trigrams and entities: the specification's examples, and the tables made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.errors import OptionError
from babylm_hf.masking import TokenFeatures, Vocabulary
from babylm_hf.masking.features import entity_key, normalise, repeated_key, repeats, trigrams


@pytest.mark.parametrize(
    ("token", "features"),
    [
        ("Running", "<ru run unn nni nin ing ng>"),
        ("running", "<ru run unn nni nin ing ng>"),
        ("##ing", "<in ing ng>"),
        ("banana", "<ba ban ana nan ana na>"),
        ("s", ""),
        ("7", ""),
        ("...", ""),
        ("[MASK]", ""),
        ("é", ""),
        ("3rd", "<3r 3rd rd>"),
    ],
)
def test_trigrams(token, features):
    # Specification 7.2.
    assert trigrams(token) == features.split()


@pytest.mark.parametrize("letters", ["ab", "word", "masking"])
def test_a_word_of_m_letters_has_m_trigrams_and_without_boundaries_two_fewer(letters):
    assert len(trigrams(letters)) == len(letters)
    assert len(trigrams(letters, boundaries=False)) == max(len(letters) - 2, 0)


@pytest.mark.parametrize(
    ("token", "key"),
    [("##ing", "ing"), ("Ġthe", "the"), ("▁The", "the"), ("##Ġ▁x", "x"), ("####", "##"), ("ĠĠ", "ġ"), ("##", "")],
)
def test_keys_lose_one_mark_of_each_kind(token, key):
    assert normalise(token) == key


@pytest.mark.parametrize(
    ("token", "heavy", "repeated"),
    [
        ("alice", "alice", "alice"),
        ("Al", "al", ""),
        ("al", "", ""),
        ("##alice", "alice", "alice"),
        ("Ġ(Alice)", "alice", ""),
        ("which", "", ""),
        ("Which", "", ""),
        ("ab1c", "", ""),
        ("dog", "", ""),
        ("dogs", "dogs", "dogs"),
        ("A", "", ""),
        ("[MASK]", "mask", ""),
    ],
)
def test_entities(token, heavy, repeated):
    assert entity_key(token) == heavy
    assert repeated_key(token) == repeated


TOKENS = ["[PAD]", "running", "##ing", "ing", "banana", "7", ""]


def test_tables():
    features = TokenFeatures.of(TOKENS)
    assert features.size == 7
    assert features.keys == ("[pad]", "running", "ing", "banana", "7")
    assert features.key_of.tolist() == [0, 1, 2, 2, 3, 4, -1]
    assert features.gram_counts.tolist() == [0, 7, 3, 3, 6, 0, 0]
    counts = np.array([0, 1, 10, 100, 1000, 5, 7])
    assert dict(zip(features.keys, features.by_key(counts), strict=True))["ing"] == 110
    by_gram = dict(zip(features.grams, features.by_gram(counts), strict=True))
    assert by_gram["ing"] == 111
    assert by_gram["ana"] == 2000
    assert by_gram["<in"] == 110
    spread = features.of_keys(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    np.testing.assert_allclose(spread, [0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0])
    ana = np.array([float(gram == "ana") for gram in features.grams])
    assert features.gram_sums(ana).tolist() == [0, 0, 0, 0, 2, 0, 0]


def test_continuations_may_be_kept_apart():
    features = TokenFeatures.of(TOKENS, merge_continuations=False)
    assert features.key_of[2] != features.key_of[3]
    assert "##ing" in features.keys


def test_the_tables_of_a_tokenizer():
    class Tokenizer:
        mask_token_id, pad_token_id, all_special_ids = 1, 0, [0, 1]

        def __len__(self):
            return 4

        def convert_ids_to_tokens(self, ids):
            return [["[PAD]", "[MASK]", "word", None][i] for i in ids]

    features = TokenFeatures.of(Tokenizer())
    assert features.tokens == ("[PAD]", "[MASK]", "word", "")
    assert TokenFeatures.of(features) is features
    with pytest.raises(OptionError, match="give it the tokenizer"):
        TokenFeatures.of(Vocabulary(4, 1, 0, (0, 1)))
    assert not np.array_equal(features.digest(), TokenFeatures.of(TOKENS).digest())


@given(st.lists(st.lists(st.integers(-1, 4), min_size=1, max_size=9), min_size=1, max_size=5))
def test_repeats_are_what_occurs_twice(rows):
    width = max(map(len, rows))
    keys = np.array([row + [-1] * (width - len(row)) for row in rows])
    expected = [[bool(key >= 0 and (row == key).sum() > 1) for key in row] for row in keys]
    assert repeats(keys).tolist() == expected
