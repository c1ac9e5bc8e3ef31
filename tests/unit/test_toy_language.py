"""The toy language: its text is grammatical, reproducible and cheap, and its checker knows right from wrong."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.corpus.toy import is_grammatical, is_held_out, toy_sentences, write_toy_corpus
from babylm_hf.corpus.toy.lexicon import FIXED_UTTERANCES, NOUNS, TRANSITIVE, Noun, Zipf
from babylm_hf.errors import OptionError

FIRST_LINES = """\
those feet with the king were with those houses.
your girl under three cats is with two bags.
she washes herself.
did Grandma hide these big trucks here?
they remember why we slept.
"""
DIGEST = "27e733dbb8cfb66ce0d9d569ebd12610f5535b9e58d796af07d791185bf2be03"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32), held_out=st.booleans())
def test_every_generated_sentence_is_accepted(seed: int, held_out: bool) -> None:
    for sentence in toy_sentences(300, seed, held_out):
        assert is_grammatical(sentence), sentence


def test_the_kept_share_of_the_language_is_kept() -> None:
    assert all(is_held_out(sentence) for sentence in toy_sentences(5000, 1, held_out=True))
    shown = [sentence for sentence in toy_sentences(5000, 1) if sentence not in FIXED_UTTERANCES]
    assert shown
    assert not any(is_held_out(sentence) for sentence in shown)


def test_training_and_validation_text_share_no_sentence() -> None:
    assert not set(toy_sentences(30_000, 0)) & set(toy_sentences(5_000, 0, held_out=True))


def test_a_seed_is_a_text_on_every_machine() -> None:
    text = "\n".join(toy_sentences(20_000, 7))
    assert text.splitlines()[:5] == FIRST_LINES.splitlines()
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST


def test_the_text_does_not_depend_on_string_hashing() -> None:
    code = "from babylm_hf.corpus.toy import toy_sentences; print('|'.join(toy_sentences(500, 3)))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_seeds_give_different_texts_and_longer_texts_continue_shorter_ones() -> None:
    short, long = list(toy_sentences(500, 2)), list(toy_sentences(2000, 2))
    assert long[: len(short)] == short
    assert list(toy_sentences(500, 3)) != short


@pytest.mark.parametrize("num_words", [0, 1, 17, 1000])
def test_the_number_of_words(num_words: int) -> None:
    words = [len(sentence.split()) for sentence in toy_sentences(num_words, 0)]
    assert sum(words) >= num_words
    assert sum(words[:-1]) < max(num_words, 1)


def test_words_are_used_as_in_real_speech() -> None:
    words = Counter(w for s in toy_sentences(100_000, 0) for w in s.rstrip(".!?").replace(",", " ").split())
    assert 500 < len(words) < 900
    ranked = [count for _, count in words.most_common()]
    assert 0.3 < sum(ranked[:20]) / sum(ranked) < 0.6
    assert ranked[0] > 10 * ranked[50] > 30 * ranked[400]


def test_the_lexicon_is_consistent() -> None:
    assert len({noun.singular for noun in NOUNS}) == len(NOUNS)
    assert Noun("goose", "geese", "animal").irregular
    assert not any(
        Noun(*forms, "animal").irregular for forms in (("fox", "foxes"), ("baby", "babies"), ("dog", "dogs"))
    )
    assert all(verb.third == "has" or verb.third.startswith(verb.base[:-1]) for verb in TRANSITIVE)


def test_zipf_draws_by_rank() -> None:
    class Steps:
        def __init__(self) -> None:
            self.values = itertools.cycle(i / 1000 for i in range(1000))

        def random(self) -> float:
            return next(self.values)

    draw = Zipf(["a", "b", "c"], offset=1.0)
    steps = Steps()
    counts = Counter(draw.draw(steps) for _ in range(1000))  # type: ignore[arg-type]
    total = 1 + 1 / 2 + 1 / 3
    assert [round(counts[x] / 1000, 2) for x in "abc"] == [
        round(1 / total, 2),
        round(0.5 / total, 2),
        round(1 / 3 / total, 2),
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "the dog is sleeping.",
        "what is the dog eating?",
        "does your brother like any apples?",
        "nobody has ever seen an ox.",
        "I know what the girls that Tom loves are making.",
        "the boy near the cows washed himself.",
        "there are two geese under the table.",
        "this is an old book, Mommy.",
        "don't touch any knives, please!",
        "oh, how many socks did Anna bring?",
        "good job!",
        "who is sleeping under my bed?",
        "she wants to give the ball to Daddy.",
    ],
)
def test_english_that_the_checker_accepts(sentence: str) -> None:
    assert is_grammatical(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "the dog are sleeping.",
        "what the dog is eating?",
        "does your brother likes apples?",
        "somebody has ever seen an ox.",
        "somebody has seen any cows.",
        "I know what the girls that Tom loves is making.",
        "the boy near the cows washed themselves.",
        "the cows near the boy washed himself.",
        "there is two geese under the table.",
        "this is a old book.",
        "this is a books.",
        "those is my book.",
        "touch any knives!",
        "I know that the dog chased.",
        "I know what the dog chased the cat.",
        "the boy slept the ball.",
        "the boy found.",
        "him likes me.",
        "Mary washed himself.",
        "I hugged themselves.",
        "the dog has ate an apple.",
        "the dog sleeping.",
        "the dog is sleeping?",
        "is the dog sleeping.",
        "the dog is sleeping",
        "The dog is sleeping.",
        "the zebra is sleeping.",
        "every milk is cold.",
        "the nobody sleeps.",
        "how many ball did you see?",
        "",
        ".",
        "?!",
        "the",
        ", Tom.",
        "oh, .",
    ],
)
def test_what_the_checker_rejects(sentence: str) -> None:
    assert not is_grammatical(sentence)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["the", "dog", "dogs", "is", "that", ",", "any", "don't"])).map(" ".join)
)
def test_the_checker_survives_anything(text: str) -> None:
    assert is_grammatical(text) in (True, False)


def test_a_corpus_on_disk(tmp_path: Path) -> None:
    train, validation, pairs = write_toy_corpus(tmp_path / "new" / "toy", 3000, seed=4, pairs_per_phenomenon=3)
    lines = train.read_text(encoding="utf-8").splitlines()
    assert lines == list(toy_sentences(3000, 4))
    assert validation.read_text(encoding="utf-8").splitlines() == list(toy_sentences(1000, 4, held_out=True))
    files = sorted(pairs.glob("*.jsonl"))
    assert len(files) >= 8
    assert all(len([json.loads(line) for line in file.read_text().splitlines()]) == 3 for file in files)
    again, _, _ = write_toy_corpus(tmp_path / "again", 3000, seed=4, pairs_per_phenomenon=3)
    assert again.read_bytes() == train.read_bytes()


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="num_words is 0"):
        write_toy_corpus(tmp_path, 0)
