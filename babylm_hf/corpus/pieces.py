"""What each vocabulary entry says about white space: the table from which word starts are read off a token sequence.

Two families of tokenizers keep white space in their pieces: byte-level ones (every byte is a letter, the space is a Ġ)
and those with a word-start marker (▁). For any other, WordPiece among them, there is no such table.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from tokenizers import Tokenizer

MARKER = "\u2581"
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
# What Python's `str.split` splits at among the single bytes of UTF-8.
_ASCII_SPACE = frozenset(" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f")


@dataclass(frozen=True)
class PieceTable:
    """One entry a vocabulary id.

    Attributes:
        inside: words that begin inside the piece, after white space of its own; uint8.
        begins: whether its first character belongs to a word; bool.
        ends_blank: whether white space is its last character, or it is a special token, which ends a word too; bool.
        blank: whether it is white space and nothing else; bool.
        added: whether it is an added token, which the tokenizer matches in the text by other rules; bool.
    """

    inside: np.ndarray
    begins: np.ndarray
    ends_blank: np.ndarray
    blank: np.ndarray
    added: np.ndarray


def piece_table(tokenizer: Tokenizer) -> PieceTable | None:
    """The table of `tokenizer`, or None where its pieces do not show white space."""
    spec = json.loads(tokenizer.to_str())
    letters = _letters(spec)
    if letters is None:
        return None
    vocab = tokenizer.get_vocab()
    size = max(vocab.values()) + 1
    inside = np.zeros(size, np.uint8)
    begins, ends_blank, blank, added = (np.zeros(size, bool) for _ in range(4))
    for piece, index in vocab.items():
        spaces = letters(piece)
        begins[index] = bool(spaces) and not spaces[0]
        ends_blank[index] = bool(spaces) and spaces[-1]
        blank[index] = all(spaces)
        inside[index] = min(255, sum(before and not here for before, here in pairwise(spaces)))
    unknown = _unknown_id(spec, vocab)
    for entry in spec["added_tokens"]:
        index = entry["id"]
        if index != unknown:
            inside[index], begins[index], ends_blank[index], blank[index], added[index] = 0, False, True, False, True
    return PieceTable(inside, begins, ends_blank, blank, added)


def vocab_size(tokenizer: Tokenizer) -> int:
    """One more than the largest id, added tokens and holes included."""
    return max(tokenizer.get_vocab().values()) + 1


def _unknown_id(spec: dict[str, Any], vocab: dict[str, int]) -> int | None:
    """The unknown token stands for characters, so unlike other added tokens it is part of a word."""
    model = spec["model"]
    return model["unk_id"] if model.get("unk_id") is not None else vocab.get(model.get("unk_token") or "")


def _letters(spec: dict[str, Any]) -> Any:
    """A function from a piece to "is this character white space?" a character; None for tokenizers without a marker."""
    if spec["model"]["type"] not in ("BPE", "Unigram"):
        return None
    steps = [*_flat(spec["normalizer"], "normalizers"), *_flat(spec["pre_tokenizer"], "pretokenizers")]
    kinds = [step["type"] for step in steps]
    if "ByteLevel" in kinds:
        byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
        blank = {letter for letter, byte in byte_of.items() if chr(byte) in _ASCII_SPACE}
        return lambda piece: [letter in blank for letter in piece]
    marks = any(s["type"] == "Replace" and s["content"] == MARKER and s["pattern"].get("String") == " " for s in steps)
    if "Metaspace" in kinds or marks:
        return _marked_letters
    return None


def _marked_letters(piece: str) -> list[bool]:
    byte = _BYTE_PIECE.fullmatch(piece)
    if byte:
        return [chr(int(byte[1], 16)) in _ASCII_SPACE]
    return [letter == MARKER or letter.isspace() for letter in piece]


def _flat(step: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    """The steps of a sequence, or the one step."""
    if step is None:
        return []
    return [leaf for part in step[inner] for leaf in _flat(part, inner)] if step["type"] == "Sequence" else [step]


def byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each byte: printable Latin-1 stays, the rest follows from
    U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
