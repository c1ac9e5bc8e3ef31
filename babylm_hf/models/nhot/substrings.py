"""The substrings of every piece of a vocabulary that are pieces themselves.

A piece is compared by its surface, with the mark of a word's beginning: "Ġdoing" and "▁doing" contain "doing", and
"ing" is in both. In a WordPiece vocabulary, which marks the inside of words instead, "doing" begins a word and "##ing"
does not: they are "▁doing" and "ing" here, so that the same sets come out whatever the algorithm.
"""

from __future__ import annotations

import json
import re
from typing import Any

WORD_START = "▁"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def surfaces(tokenizer: Any) -> tuple[dict[int, str], set[int], str]:
    """Surface of every id, the ids of special and byte pieces, and the mark of a word's beginning.

    Args:
        tokenizer: a fast tokenizer of transformers.
    """
    pieces = {number: piece for piece, number in tokenizer.get_vocab().items()}
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    specials = {*tokenizer.all_special_ids, *added, *(i for i, piece in pieces.items() if _BYTE.fullmatch(piece))}
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    inside = backend["model"].get("continuing_subword_prefix") if backend["model"]["type"] == "WordPiece" else None
    if inside:
        pieces = {
            number: piece
            if number in specials
            else piece.removeprefix(inside)
            if piece.startswith(inside)
            else WORD_START + piece
            for number, piece in pieces.items()
        }
        return pieces, specials, WORD_START
    return pieces, specials, "Ġ" if "ByteLevel" in json.dumps(backend["pre_tokenizer"]) else WORD_START


def substring_table(
    tokenizer: Any, *, itself: bool = True, word_start: bool = True, with_specials: bool = False
) -> list[list[int]]:
    """For each id from 0 to the vocabulary's size the ids of its substrings, in rising order.

    Args:
        tokenizer: a fast tokenizer of transformers.
        itself: whether a piece is among its own substrings.
        word_start: whether the mark of a word's beginning, where it is a piece, counts as a substring when alone.
        with_specials: whether special and byte pieces take part; otherwise theirs are empty.
    """
    pieces, specials, mark = surfaces(tokenizer)
    known = {i: piece for i, piece in pieces.items() if with_specials or i not in specials}
    # Two ids may have one surface, as an added token and the piece that it replaces.
    ids: dict[str, list[int]] = {}
    for number, piece in known.items():
        ids.setdefault(piece, []).append(number)
    if not word_start:
        ids.pop(mark, None)
    table: list[list[int]] = []
    for number in range(len(tokenizer)):
        piece = known.get(number, "")
        cuts = {piece[a:b] for a in range(len(piece)) for b in range(a + 1, len(piece) + 1)}
        found = {inner for cut in cuts if cut in ids for inner in ids[cut]}
        table.append(sorted(found if itself else found - {number}))
    return table
