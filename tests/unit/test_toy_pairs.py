"""Minimal pairs: grammatical against ungrammatical, unseen, and not to be told apart by words alone."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from functools import cache
from typing import Any

import pytest

from babylm_hf.corpus.toy import PARADIGMS, is_grammatical, toy_minimal_pairs, toy_sentences
from babylm_hf.errors import OptionError

NUMBER = 300
FIELDS = {
    **dict.fromkeys(("sentence_good", "sentence_bad", "field", "linguistics_term", "UID"), str),
    **dict.fromkeys(("simple_LM_method", "one_prefix_method", "two_prefix_method", "lexically_identical"), bool),
    "pair_id": int,
}


@cache
def pairs(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    return toy_minimal_pairs(NUMBER, seed)


def words_of(sentence: str) -> list[str]:
    return sentence.rstrip(".?").split()


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_good_is_grammatical_and_bad_is_not(paradigm: str) -> None:
    rows = pairs()[paradigm]
    assert [row["sentence_good"] for row in rows if not is_grammatical(row["sentence_good"])] == []
    assert sum(is_grammatical(row["sentence_bad"]) for row in rows) <= 0.01 * NUMBER


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_pairs_are_minimal(paradigm: str) -> None:
    for row in pairs()[paradigm]:
        good, bad = words_of(row["sentence_good"]), words_of(row["sentence_bad"])
        differing = sum(a != b for a, b in zip(good, bad, strict=True))
        assert differing == 1 or Counter(good) == Counter(bad)
        assert row["one_prefix_method"] == (differing == 1)


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_rows_have_the_fields_of_blimp(paradigm: str) -> None:
    rows = pairs()[paradigm]
    assert len(rows) == NUMBER
    assert all({name: type(value) for name, value in row.items()} == FIELDS for row in rows)
    assert {row["UID"] for row in rows} == {paradigm}
    assert [row["pair_id"] for row in rows] == list(range(NUMBER))


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_a_unigram_model_is_at_chance(paradigm: str) -> None:
    counts = Counter(word for sentence in toy_sentences(60_000, 0) for word in words_of(sentence.replace("!", ".")))
    total = sum(counts.values())

    def score(sentence: str) -> float:
        return math.fsum(math.log((counts[word] + 1) / total) for word in words_of(sentence))

    margins = [score(row["sentence_good"]) - score(row["sentence_bad"]) for row in pairs()[paradigm]]
    credit = [0.5 if abs(margin) < 1e-9 else float(margin > 0) for margin in margins]
    assert abs(sum(credit) / NUMBER - 0.5) < 4 * 0.5 / math.sqrt(NUMBER)


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_a_fixed_preference_for_words_is_at_chance(paradigm: str) -> None:
    """Any order of preference among words, alphabetical for one, earns half: right and wrong words change places."""
    wins = 0.0
    for row in pairs()[paradigm]:
        good, bad = sorted(words_of(row["sentence_good"])), sorted(words_of(row["sentence_bad"]))
        wins += 0.5 if good == bad else float(good < bad)
    assert abs(wins / NUMBER - 0.5) < 4 * 0.5 / math.sqrt(NUMBER)


def test_pairs_are_unseen_and_distinct() -> None:
    text = set(itertools.chain(toy_sentences(100_000, 0), toy_sentences(20_000, 1)))
    for rows in pairs().values():
        sentences = [row["sentence_good"] for row in rows]
        assert len(set(sentences)) == NUMBER
        assert not text & set(sentences)
        assert not text & {row["sentence_bad"] for row in rows}


def test_the_phenomena_of_the_language() -> None:
    terms = {paradigm.linguistics_term for paradigm in PARADIGMS.values()}
    assert len(PARADIGMS) >= 8
    assert {
        "subject_verb_agreement",
        "determiner_noun_agreement",
        "anaphor_agreement",
        "npi_licensing",
        "filler_gap_dependency",
        "irregular_forms",
        "subject_auxiliary_inversion",
    } <= terms


def test_a_seed_decides() -> None:
    assert toy_minimal_pairs(5, 1) == toy_minimal_pairs(5, 1)
    assert toy_minimal_pairs(5, 1) != toy_minimal_pairs(5, 2)
    assert all(rows[:5] == toy_minimal_pairs(5, 0)[name] for name, rows in pairs().items())


def test_no_pairs_are_refused() -> None:
    with pytest.raises(OptionError, match="per_phenomenon is 0"):
        toy_minimal_pairs(0)
