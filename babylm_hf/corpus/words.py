"""Encodes documents and marks the tokens at which their whitespace words begin.

A word is an item of `text.split()` and belongs to the position of its first token, so that words seen can be counted at
any cut of the token stream. Tokenizers whose pieces show white space are read off a table, all documents of a chunk at
once. A document whose words come out different from `len(text.split())`, or that holds what the table is not made for,
is encoded again with character offsets, as all documents are where there is no table. A word that leaves no token (a
tokenizer may delete characters) is counted at the next token, so the sum over a corpus is always its number of words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from .pieces import piece_table, vocab_size

# White space of several bytes, which a byte-level piece can hold half of; characters that normalisers take for white
# space and Python does not; and the marker itself. Documents with one go by offsets.
_ODD = re.compile("[\x85\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u2581\u3000\ufeff]")
_LARGEST_SPACE = 0x3000
_IS_SPACE = np.array([*(chr(code).isspace() for code in range(_LARGEST_SPACE + 1)), False])


class Encoded(NamedTuple):
    """Documents as tokens.

    Attributes:
        ids: token ids of all documents one after the other, `[n]`.
        lengths: tokens of each document, int64 `[documents]`.
        starts: words that begin at each token, int64 `[n + 1]`; the last entry holds words that wait for a token to
            come.
    """

    ids: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray


class WordMarker:
    """Turns chunks of documents into `Encoded`, in two halves: the first is the tokenizer's and can run in a thread of
    its own.

    Args:
        tokenizer: without truncation and padding.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.table = piece_table(tokenizer)
        self.num_specials = tokenizer.num_special_tokens_to_add(False)
        self.dtype = np.dtype(np.uint16 if vocab_size(tokenizer) <= 1 << 16 else np.uint32)

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The tokenizer's own result objects for `texts`."""
        if self.table is None:
            return self.tokenizer.encode_batch(texts)
        return self.tokenizer.encode_batch_fast(texts)

    def mark(self, texts: Sequence[str], words: Sequence[int], encodings: list[Any]) -> Encoded:
        """Flattens `encodings` and marks word starts.

        Args:
            texts: the documents.
            words: `len(text.split())` of each.
            encodings: what `encode` gave for them.
        """
        pieces = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        # One list first: appending lists and converting once is twice as fast as an array a document.
        flat: list[int] = []
        for piece in pieces:
            flat += piece
        ids = np.array(flat, self.dtype)
        if self.table is None:
            return Encoded(ids, lengths, offset_starts(texts, encodings, lengths))
        return Encoded(ids, lengths, self._table_starts(texts, np.asarray(words, np.int64), ids, lengths))

    def _table_starts(
        self, texts: Sequence[str], words: np.ndarray, ids: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        """Word starts from the table, and by offsets in documents where it cannot be right."""
        assert self.table is not None
        ends = np.cumsum(lengths)
        firsts = ends - lengths
        after_blank = np.ones(len(ids), bool)
        after_blank[1:] = self.table.ends_blank[ids[:-1]]
        after_blank[firsts[lengths > 0]] = True
        starts = np.zeros(len(ids) + 1, np.int64)
        starts[:-1] = self.table.inside[ids] + (self.table.begins[ids] & after_blank)

        wrong = _sums(starts[:-1], firsts, ends) != words
        wrong |= _sums(self.table.added[ids], firsts, ends) != self.num_specials
        wrong |= np.fromiter((not text.isascii() and _ODD.search(text) is not None for text in texts), bool, len(texts))
        tokenless = lengths == 0
        again = np.flatnonzero(wrong & ~tokenless)
        if len(again):
            suspects = [texts[i] for i in again.tolist()]
            theirs = np.repeat(wrong, lengths)
            # A blank piece may be the tokenizer's own, put before the text with the offsets of its first character.
            blank = self.table.blank[ids[theirs]]
            exact = offset_starts(suspects, self.tokenizer.encode_batch(suspects), lengths[again], blank)
            starts[:-1][theirs] = exact[:-1]
        np.add.at(starts, firsts[tokenless], words[tokenless])
        return starts


def offset_starts(
    texts: Sequence[str], encodings: list[Any], lengths: np.ndarray, blank: np.ndarray | None = None
) -> np.ndarray:
    """Words that begin at each token, by character offsets.

    A word's first token is the first that reaches beyond the word's first character; where all tokens of the document
    end before, the document's last.

    Args:
        texts: documents.
        encodings: of `encode_batch`, which unlike `encode_batch_fast` knows offsets in characters.
        lengths: tokens of each, `[documents]`.
        blank: tokens at which no word can begin, bool `[tokens]`.

    Returns:
        int64 `[tokens + 1]`; words of a document without tokens are at the next document's first token.
    """
    text = "\n".join(texts)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    solid = ~_IS_SPACE[np.minimum(codes, _LARGEST_SPACE + 1)]
    word_at = np.flatnonzero(solid & np.concatenate(([True], ~solid[:-1])))

    sizes = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
    text_ends = np.cumsum(sizes)
    token_ends = np.cumsum(lengths)
    reach = np.fromiter(
        (end for _, end in chain.from_iterable(encoding.offsets for encoding in encodings)),
        np.int64,
        int(lengths.sum()),
    )
    if blank is not None:
        reach[blank] = 0
    # What has the offsets (0, 0), as special tokens do, reaches nothing new.
    reach += np.repeat(text_ends - sizes, lengths)
    np.maximum.accumulate(reach, out=reach)
    token = np.searchsorted(reach, word_at, side="right")
    document = np.searchsorted(text_ends, word_at, side="right")
    last = np.where(lengths > 0, token_ends - 1, token_ends)
    return np.bincount(np.minimum(token, last[document]), minlength=len(reach) + 1)


def _sums(values: np.ndarray, firsts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sum of `values` between each first and end; 0 where they are equal."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    sums: np.ndarray = total[ends] - total[firsts]
    return sums
