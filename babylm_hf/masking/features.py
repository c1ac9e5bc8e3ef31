"""What guided masking reads off a token's string: a key, character trigrams, and whether it may be an entity.

All three are functions of the token id, so they are tables made once for a tokenizer. The rules are those of the
Accuracy-Morph submission to BabyLM 2026 (alonsopg/BabyLM-2026-submission).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .rows import Flags, Floats, Ids
from .vocabulary import Vocabulary

CONTINUATION = "##"
_MARKS = (CONTINUATION, "Ġ", "▁")
_OUTER = re.compile(r"^\W+|\W+$")
_ASCII_LETTER = re.compile("[a-z]")

_COMMON = """
a about after all an and are as at be been but by can could do for from had has have he her him his i if in into is it
its not of on or she so that the their them then there they this to was were what when which who will with would you
your
"""

STOP_WORDS = frozenset(_COMMON.split())
"""Common words that are no entities. The published code has such a list too; ours is our own."""


def normalise(token: str) -> str:
    """The string by which tokens are counted: without one leading `##`, `Ġ` and `▁` each, in lower case."""
    for mark in _MARKS:
        token = token.removeprefix(mark)
    return token.lower()


def trigrams(token: str, boundaries: bool = True, size: int = 3) -> list[str]:
    """The character trigrams of a token, repeats included; none for specials, numbers, signs and single letters.

    Args:
        token: as the tokenizer writes it.
        boundaries: put `<` before and `>` after it first.
        size: characters in each.
    """
    text = normalise(token)
    bracketed = text.startswith("[") and text.endswith("]")
    if bracketed or not _ASCII_LETTER.search(text) or sum(map(str.isalpha, text)) < 2:
        return []
    if boundaries:
        text = f"<{text}>"
    return [text[i : i + size] for i in range(len(text) - size + 1)]


def entity_key(token: str) -> str:
    """The string by which repeated entities are counted (heavy-hitter masking), or "" for a token that is none."""
    for mark in _MARKS:
        token = token.replace(mark, "")
    text = _OUTER.sub("", token)
    lower = text.lower()
    named = text[:1].isupper() or len(text) >= 4
    return lower if text.isalpha() and len(text) >= 2 and lower not in STOP_WORDS and named else ""


def repeated_key(token: str) -> str:
    """The same for entity-accuracy masking, which has a simpler rule."""
    text = normalise(token)
    return text if text.isalpha() and len(text) >= 4 and text not in STOP_WORDS else ""


@dataclass(frozen=True)
class TokenFeatures:
    """The tables of a tokenizer.

    Attributes:
        tokens: the strings of all ids.
        keys: the different token keys.
        key_of: number of each id's key, int64 `[V]`; -1 where it has none.
        grams: the different trigrams.
        gram_token, gram: one entry for each trigram occurrence, int64 `[m]`: the id it occurs in, rising, and its
            number.
        gram_counts: trigram occurrences of each id, int64 `[V]`.
    """

    tokens: tuple[str, ...]
    keys: tuple[str, ...]
    key_of: Ids
    grams: tuple[str, ...]
    gram_token: Ids
    gram: Ids
    gram_counts: Ids

    @classmethod
    def of(
        cls, tokenizer: Any, *, merge_continuations: bool = True, boundaries: bool = True, size: int = 3
    ) -> TokenFeatures:
        """The tables of a Hugging Face tokenizer, or of a list of token strings.

        Args:
            merge_continuations: count `##ing` and `ing` as one.
            boundaries: see `trigrams`.
            size: see `trigrams`.

        Raises:
            OptionError: only ids are known of the tokenizer, not its strings.
        """
        if isinstance(tokenizer, TokenFeatures):
            return tokenizer
        if isinstance(tokenizer, Vocabulary):
            raise OptionError("guided masking reads the tokens' strings: give it the tokenizer, not its Vocabulary")
        tokens = tokenizer
        if not isinstance(tokenizer, Sequence):
            tokens = tokenizer.convert_ids_to_tokens(list(range(Vocabulary.of(tokenizer).size)))
        tokens = tuple(token or "" for token in tokens)
        keys = [normalise(token) for token in tokens]
        if not merge_continuations:
            keys = [
                key and (CONTINUATION + key if token.startswith(CONTINUATION) else key)
                for token, key in zip(tokens, keys, strict=True)
            ]
        key_names, key_of = numbered(keys)
        lists = [trigrams(token, boundaries, size) for token in tokens]
        counts = np.array([len(found) for found in lists], np.int64)
        gram_names, gram = numbered([found for some in lists for found in some])
        gram_token = np.repeat(np.arange(len(tokens)), counts)
        return cls(tokens, key_names, key_of, gram_names, gram_token, gram, counts)

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.tokens)

    def digest(self) -> npt.NDArray[np.uint8]:
        """Identifies the tables, uint8 `[32]`; a checkpoint keeps it so that it meets no other tokenizer."""
        facts = repr((self.tokens, self.keys, self.grams)).encode()
        return np.frombuffer(hashlib.sha256(facts).digest(), np.uint8)

    def by_key(self, counts: npt.NDArray[Any]) -> Floats:
        """Counts by id `[V]` summed by key, float64 (whole numbers below 2^53 are exact)."""
        keyed = self.key_of >= 0
        return np.bincount(self.key_of[keyed], counts[keyed], len(self.keys)).astype(np.float64)

    def by_gram(self, counts: npt.NDArray[Any]) -> Floats:
        """Counts by id `[V]` summed by trigram, as often as the trigram occurs in the id."""
        return np.bincount(self.gram, counts[self.gram_token], len(self.grams)).astype(np.float64)

    def of_keys(self, values: Floats) -> Floats:
        """A value for every key, by id `[V]`; 0 where the id has none."""
        keyed = self.key_of >= 0
        spread = np.zeros(self.size)
        spread[keyed] = values[self.key_of[keyed]]
        return spread

    def gram_sums(self, values: Floats) -> Floats:
        """A value for every trigram, summed over the trigrams of each id `[V]`."""
        return np.bincount(self.gram_token, values[self.gram], self.size).astype(np.float64)


def numbered(names: Sequence[str]) -> tuple[tuple[str, ...], Ids]:
    """The different names in the order they first occur, and the number of each; -1 for an empty one."""
    numbers = {name: i for i, name in enumerate(dict.fromkeys(name for name in names if name))}
    return tuple(numbers), np.array([numbers.get(name, -1) for name in names], np.int64)


def repeats(keys: Ids) -> Flags:
    """Positions whose key occurs more than once in its row, bool `[n, L]`; never where the key is negative."""
    length = keys.shape[1]
    shift = length.bit_length()
    # Key and position in one number: sorting these is several times as fast as finding the order.
    small = int(keys.max(initial=0)) < 1 << 31 - shift
    ranked = keys.astype(np.int32 if small else np.int64) << shift
    ranked |= np.arange(length, dtype=ranked.dtype)
    ranked.sort(axis=1)
    flat = ranked.reshape(-1)
    same = (flat[1:] ^ flat[:-1]) < 1 << shift
    same &= flat[:-1] >= 0
    same[length - 1 :: length] = False
    pairs = np.flatnonzero(same)
    pairs = np.concatenate([pairs, pairs + 1])
    result = np.zeros(keys.size, bool)
    result[(flat.take(pairs) & (1 << shift) - 1) + pairs // length * length] = True
    return result.reshape(keys.shape)
