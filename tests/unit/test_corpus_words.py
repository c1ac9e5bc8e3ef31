"""Words are counted exactly and belong to their first token, whatever the text and the tokenizer."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from babylm_hf.corpus import train_tokenizer
from babylm_hf.corpus.build import fit_byte, plain_tokenizer
from babylm_hf.corpus.pieces import byte_letters, piece_table
from babylm_hf.corpus.sentencepiece import SentencePieceModel, _merges, _normalizer
from babylm_hf.corpus.words import Encoded, WordMarker, offset_starts

TEXT = [
    "*MOT:\tdo you want to see the ball ?",
    "The café’s owner said “no way”, 3.14 times (naïvely)…",
    "Ἐν ἀρχῇ ἦν ὁ λόγος это было давно 東京都　大阪 한국어 שלום עולם 🙂 👩‍👩‍👧",
    "a a a b b ab abab  two  spaces   three",
] * 3
ALGORITHMS = ("bpe", "wordpiece", "unigram", "sentencepiece", "byte_fallback", "bare_wordpiece")


@cache
def tokenizer(kind: str) -> Tokenizer:
    """A small tokenizer of each kind."""
    if kind in ("bpe", "wordpiece", "unigram"):
        return plain_tokenizer(train_tokenizer([TEXT], kind, 400))  # type: ignore[arg-type]
    if kind == "bare_wordpiece":  # no special tokens: a document can have no token at all
        backend = plain_tokenizer(train_tokenizer([TEXT], "wordpiece", 400))
        backend.post_processor = None
        return backend
    if kind == "byte_fallback":  # keeps newlines and tabs as bytes, as LLaMA's does
        vocab = {piece: i for i, piece in enumerate(["<unk>", *(f"<0x{b:02X}>" for b in range(256)), *"▁abcdetho"])}
        backend = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        return backend
    letters = sorted(set("".join(TEXT)) - set(" \t　"))
    pieces = [("<unk>", 0.0, 2), ("▁a", 0.0, 1), ("ab", -1.0, 1), ("▁the", -2.0, 1), ("▁", -3.0, 1)]
    model = SentencePieceModel(pieces=[*pieces, *((letter, -4.0 - i, 1) for i, letter in enumerate(letters))])
    vocab = {piece: i for i, (piece, _, _) in enumerate(model.pieces)}
    backend = Tokenizer(models.BPE(vocab, _merges(model), unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Replace("\x00", ""), _normalizer(model)])
    return backend


def mark(kind: str, texts: list[str]) -> Encoded:
    marker = WordMarker(tokenizer(kind))
    return marker.mark(texts, [len(text.split()) for text in texts], marker.encode(texts))


SPACES = [" ", "  ", "\t", "\n", "\r", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u3000"]
# What normalisers delete, split or turn into spaces, and the signs of the tokenizers themselves.
CHARACTERS = ["\u200b", "\u200d", "\u2060", "\ufeff", "\x00", "\x7f", "\xad", "\ufffd", "¨", "½\u0303", "▁", "Ġ", "##"]
WORDS = ["[MASK]", "[CLS]", " [UNK] ", "the", "cat", "naïve", "don't", "a", "ab", "é", "東京", "🙂"]
PARTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(SPACES + CHARACTERS + WORDS),
)
TEXTS = st.lists(st.lists(PARTS, max_size=12).map("".join), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", ALGORITHMS)
@settings(max_examples=150, deadline=None)
@given(texts=TEXTS)
def test_words_of_any_text_sum_to_its_words(kind: str, texts: list[str]) -> None:
    encoded = mark(kind, texts)
    words = [len(text.split()) for text in texts]
    assert len(encoded.starts) == len(encoded.ids) + 1 == encoded.lengths.sum() + 1
    assert encoded.starts.min() >= 0
    ends = np.cumsum(encoded.lengths)
    # Documents with a token hold their own words, and those of documents without one just before them.
    waiting = 0
    for end, length, count in zip(ends, encoded.lengths, words, strict=True):
        waiting += count
        if length:
            assert encoded.starts[end - length : end].sum() == waiting
            waiting = 0
    assert encoded.starts[-1] == waiting


@pytest.mark.parametrize("kind", ALGORITHMS)
@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_ids_are_those_of_the_tokenizer_one_text_at_a_time(kind: str, texts: list[str]) -> None:
    encoded = mark(kind, texts)
    expected = [tokenizer(kind).encode(text).ids for text in texts]
    assert encoded.ids.tolist() == [i for ids in expected for i in ids]
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]


@settings(max_examples=200, deadline=None)
@given(texts=TEXTS.filter(lambda texts: not any("[" in text for text in texts)))
def test_byte_level_words_are_at_the_token_that_holds_their_first_byte(texts: list[str]) -> None:
    encoded = mark("bpe", texts)
    letters = set(byte_letters())
    end = 0
    for text, length in zip(texts, encoded.lengths, strict=True):
        start, end = end, end + int(length)
        spaced = text if text.startswith(" ") or not text else " " + text
        where = [i for i, c in enumerate(spaced) if not c.isspace() and (i == 0 or spaced[i - 1].isspace())]
        expected = {len(spaced[:i].encode()) for i in where}
        found, at = {}, 0
        for position in range(start + 1, end - 1):  # between [CLS] and [SEP]
            piece = tokenizer("bpe").id_to_token(int(encoded.ids[position]))
            assert set(piece) <= letters
            inside = expected & set(range(at, at + len(piece)))
            found[position] = len(inside)
            at += len(piece)
        assert at == len(spaced.encode())
        assert {p: int(encoded.starts[p]) for p in found} == found


def pieces_with_words(kind: str, text: str) -> list[str]:
    encoded = mark(kind, [text])
    pairs = zip(encoded.ids.tolist(), encoded.starts, strict=False)
    return [tokenizer(kind).id_to_token(i) + f"+{n}" * bool(n) for i, n in pairs]


def test_wordpiece_words_begin_at_the_first_of_their_pieces() -> None:
    assert pieces_with_words("wordpiece", "\tdo  abab?\nthe") == ["[CLS]", "do+1", "abab+1", "?", "the+1", "[SEP]"]
    assert pieces_with_words("wordpiece", "ac d.t") == ["[CLS]", "a+1", "##c", "d+1", ".", "t", "[SEP]"]


def test_a_blank_piece_begins_no_word() -> None:
    assert pieces_with_words("byte_fallback", "a  b\nc") == ["▁", "a+1", "▁", "▁", "b+1", "<0x0A>", "c+1"]


def test_a_word_that_leaves_no_token_is_counted_at_the_next() -> None:
    assert pieces_with_words("wordpiece", "the \x00 ball") == ["[CLS]", "the+1", "ball+2", "[SEP]"]
    assert pieces_with_words("wordpiece", "the \x00") == ["[CLS]", "the+1", "[SEP]+1"]
    assert mark("bare_wordpiece", ["\x00 \x00", "the ball", "\x00"]).starts.tolist() == [3, 1, 1]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_a_special_token_in_the_text_is_a_word_of_it(kind: str) -> None:
    pieces = [piece for piece in pieces_with_words(kind, "the [MASK] ball") if "+" in piece]
    assert len(pieces) == 3
    assert pieces[1] == "[MASK]+1"
    assert pieces_with_words(kind, "[MASK]the")[1] == "[MASK]+1"


def test_offsets_and_table_agree_on_plain_text() -> None:
    plain = [text for text in TEXT if text.isascii()] + ["", " ", " leading and trailing \n"]
    for kind in ("bpe", "unigram", "sentencepiece", "byte_fallback"):
        backend, table = tokenizer(kind), piece_table(tokenizer(kind))
        assert table is not None
        encoded = mark(kind, plain)
        exact = offset_starts(plain, backend.encode_batch(plain), encoded.lengths, table.blank[encoded.ids])
        assert exact.tolist() == encoded.starts.tolist()


def test_the_table_spares_almost_all_documents_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[Any] = []
    plain = [text for text in TEXT if text.isascii()]
    for kind in ("bpe", "unigram"):
        marker = WordMarker(tokenizer(kind))
        monkeypatch.setattr("babylm_hf.corpus.words.offset_starts", lambda texts, *rest: slow.append(texts))
        marker.mark(plain, [len(text.split()) for text in plain], marker.encode(plain))
    assert slow == []
    assert piece_table(tokenizer("wordpiece")) is None


def test_byte_letters_are_those_of_the_library() -> None:
    assert sorted(byte_letters()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert [byte_letters()[byte] for byte in (0x20, 0x0A, 0x41)] == ["Ġ", "Ċ", "A"]


@given(st.lists(st.integers(0, 700), min_size=1, max_size=20))
def test_words_that_do_not_fit_a_byte_move_to_the_next_tokens(counts: list[int]) -> None:
    starts, waiting = fit_byte(np.array([*counts, 0]))
    assert starts.dtype == np.uint8
    assert int(starts.sum()) + waiting == sum(counts)
    if max(counts) <= 255:
        assert (starts.tolist(), waiting) == (counts, 0)
