"""Texts as rows of token ids, for measuring likelihood: each text alone, long ones in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import OptionError


class TextRows(NamedTuple):
    """Rows of ids, each int64 `[L]`; the UTF-8 bytes of their text; and how many unknown tokens are among them."""

    rows: list[np.ndarray]
    text_bytes: int
    unknown: int


def rows_of_texts(tokenizer: Any, texts: Sequence[str], max_length: int, *, begin: bool = False) -> TextRows:
    """One row for each text, with the tokenizer's own special tokens; more where it is longer than `max_length`.

    Args:
        tokenizer: a fast one.
        texts: without special tokens.
        max_length: most tokens in a row, special tokens included.
        begin: put the begin-of-text token (or else end-of-text) in front of rows that do not start with a special
            token, as a causal model needs it to predict the first token.

    Raises:
        OptionError: the tokenizer is not a fast one, has no token to begin with, or no room is left for text.
    """
    if not tokenizer.is_fast:
        raise OptionError("likelihood needs a fast tokenizer (one with a tokenizer.json)")
    special = set(tokenizer.all_special_ids)
    first = None
    if begin:
        first = next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), None)
    room = max_length - (first is not None)
    if room - tokenizer.num_special_tokens_to_add() < 1:
        raise OptionError(f"--max_length {max_length} leaves no room for text beside the special tokens")
    encoded = tokenizer(list(texts), truncation=True, max_length=room, return_overflowing_tokens=True, verbose=False)
    rows = [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"] if len(row)]
    if begin and any(int(row[0]) not in special for row in rows):
        if first is None:
            raise OptionError("the tokenizer has neither a begin-of-text nor an end-of-text token to put before a text")
        rows = [row if int(row[0]) in special else np.concatenate([[first], row]) for row in rows]
    unknown = tokenizer.unk_token_id
    count = 0 if unknown is None else sum(int((row == unknown).sum()) for row in rows)
    if unknown is not None and unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        count = 0  # GPT-2's one special token has all roles
    return TextRows(rows, sum(len(text.encode("utf-8")) for text in texts), count)
