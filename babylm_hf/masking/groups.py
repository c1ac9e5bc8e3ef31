"""Groups of token ids, for seeing where mask weights go: by frequency in the corpus and by kind of word."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import CONTINUATION
from .rows import Flags

Tagger = Callable[[str], str | None]
"""From a word to its class, or None where it has none."""

_CLOSED = """
a an the this that these those my your his her its our their some any no every each either neither both all i you he she
it we they me him us them mine yours hers ours theirs myself yourself himself herself itself ourselves themselves who
whom whose which what am is are was were be been being do does did have has had having can could may might must shall
should will would and or but nor so yet if because although though while whereas unless until when where why how than as
of in on at by for with about against between into through during before after above below to from up down out off over
under not n't 's 're 've 'll 'd 'm there
"""

FUNCTION_WORDS = frozenset(_CLOSED.split())
"""Closed-class words of English: determiners, pronouns, auxiliaries, conjunctions, prepositions, particles."""

_START = ("▁", "Ġ")
_DIGIT = re.compile(r"\d")


def frequency_bands(counts: npt.ArrayLike, special_ids: Sequence[int] = ()) -> dict[str, Flags]:
    """Ids by the power of ten of their corpus count, rarest first; special ids and unseen ones are in none.

    Args:
        counts: occurrences of each id, `[V]`.
        special_ids: ids to leave out.

    Returns:
        name, such as `10-99`, -> bool `[V]`; bands without ids are left out.
    """
    seen = np.array(counts, np.int64)
    seen[list(special_ids)] = 0
    bands = {}
    for power in range(len(str(int(seen.max(initial=0))))):
        low, high = 10**power, 10 ** (power + 1)
        chosen = (seen >= low) & (seen < high)
        if chosen.any():
            bands[f"{low:,}-{high - 1:,}"] = chosen
    return bands


def word_classes(tokenizer: Any, tagger: Tagger | None = None) -> dict[str, Flags]:
    """Ids by kind of piece: function word, punctuation, number, inside of a word, other word.

    Args:
        tokenizer: gives the pieces. Where it marks neither beginnings nor insides of words, no piece is an inside.
        tagger: the class of a word, such as a part-of-speech tagger's; pieces for which it says None, and all
            without it, are classed by the list of function words and by their characters.

    Returns:
        name -> bool `[V]`; special ids are in none, classes without ids are left out.
    """
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    inside = _inside(pieces)
    classes: dict[str, list[int]] = {}
    for i, piece in enumerate(pieces):
        if i not in special:
            name = "inside of a word" if inside(piece) else _class_of(tokenizer.decode([i]).strip(), tagger)
            classes.setdefault(name, []).append(i)
    found = {}
    for name, ids in sorted(classes.items()):
        found[name] = np.zeros(len(pieces), bool)
        found[name][ids] = True
    return found


def _inside(pieces: Sequence[str]) -> Callable[[str], bool]:
    """Whether a piece goes on with a word that another began, by the tokenizer's own marks."""
    if any(piece.startswith(CONTINUATION) for piece in pieces):
        return lambda piece: piece.startswith(CONTINUATION)
    if any(piece.startswith(_START) for piece in pieces):
        return lambda piece: not piece.startswith(_START) and piece[:1].isalnum()
    return lambda piece: False


def _class_of(word: str, tagger: Tagger | None) -> str:
    if tagger is not None and (named := tagger(word)) is not None:
        return named
    if word and all(character in string.punctuation or not character.isalnum() for character in word):
        return "punctuation"
    if _DIGIT.search(word):
        return "number"
    return "function word" if word.lower() in FUNCTION_WORDS else "other word"


def target_divergence(counts: npt.ArrayLike, parts: Sequence[tuple[float, npt.ArrayLike | None]]) -> float:
    """How far a policy's choice of targets is from an even one: Kullback-Leibler divergence in nats.

    Of the distribution over ids of the targets that the policy is expected to choose in the corpus, from that of the
    corpus itself. Rows and exhausted parts of a budget are left out of account.

    Args:
        counts: occurrences of each id in the corpus, `[V]`.
        parts: share of the budget and weight of each id in it, `[V]`; None for equal weights, to which a part without
            any weight falls back.
    """
    corpus = np.asarray(counts, np.float64)
    corpus = corpus / corpus.sum()
    chosen = np.zeros(corpus.shape)
    for share, weights in parts:
        part = corpus if weights is None else corpus * np.asarray(weights, np.float64)
        chosen += share * (part / part.sum() if part.sum() > 0 else corpus)
    held = chosen > 0
    return float(np.sum(chosen[held] * np.log(chosen[held] / corpus[held])))


def group_means(weights: npt.ArrayLike, groups: Mapping[str, Flags]) -> dict[str, float]:
    """Mean weight of every group as a multiple of the mean over all that are in one; empty if that mean is 0."""
    values = np.asarray(weights, np.float64)
    everyone = np.zeros(values.shape, bool)
    for chosen in groups.values():
        everyone |= chosen
    overall = values[everyone].mean() if everyone.any() else 0.0
    return {name: float(values[chosen].mean() / overall) for name, chosen in groups.items()} if overall else {}
