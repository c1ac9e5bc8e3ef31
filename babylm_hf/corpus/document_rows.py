"""Rows of one document each, instead of packed ones.

A document longer than a row goes on in rows of its own, so nothing is dropped; short rows are padded to the longest of
their batch. Training on lines this way needs many times the rows of a packed run, most of them short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .stream import TokenStream

_MULTIPLE = 8  # widths are rounded up to it: fewer shapes, and the ones that kernels like


class DocumentRows:
    """A token stream cut at its documents; what `RunPlan` and the loader take for rows.

    Args:
        stream: the tokens. Everything that is not about rows is asked of it.
    """

    def __init__(self, stream: TokenStream) -> None:
        self.stream = stream
        self._cuts: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"stream": self.stream, "_cuts": {}}  # quicker made again than sent to a worker

    @property
    def info(self) -> Any:
        """What is in the stream and what it was made of."""
        return self.stream.info

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the rows: that of the stream, and that they are cut at documents."""
        return hashlib.sha256(f"{self.stream.fingerprint} cut at documents".encode()).hexdigest()

    def num_rows(self, seq_length: int) -> int:
        """Rows of at most `seq_length` tokens."""
        return len(self._cut(seq_length)[0])

    def row_words(self, seq_length: int) -> np.ndarray:
        """Words that begin in each row, int64 `[num_rows]`; their sum is the corpus's number of words."""
        starts, _ = self._cut(seq_length)
        return np.add.reduceat(np.asarray(self.stream.word_starts), starts, dtype=np.int64)

    def fetch(self, seq_length: int, rows: np.ndarray | Sequence[int]) -> dict[str, np.ndarray]:
        """`input_ids` and `attention_mask` of rows, int64 `[n, width]`: the longest of them, a multiple of 8 tokens.

        Raises:
            IndexError: a row number is outside [0, num_rows).
        """
        at, inside = self._places(seq_length, rows)
        ids = self.stream.tokens[at].astype(np.int64)
        return {"input_ids": np.where(inside, ids, self.stream.info.pad_id), "attention_mask": inside.astype(np.int64)}

    def fetch_word_starts(self, seq_length: int, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Words that begin at each token of the rows, int64 `[n, width]`; 0 at padding."""
        at, inside = self._places(seq_length, rows)
        return np.where(inside, self.stream.word_starts[at].astype(np.int64), 0)

    def token_counts(self) -> np.ndarray:
        """How often each id occurs in the stream, int64 `[vocab_size]`."""
        return self.stream.token_counts()

    def _places(self, seq_length: int, rows: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The place of every token in the stream, and whether it belongs to its row, both `[n, width]`."""
        rows = np.asarray(rows, np.int64)
        starts, lengths = self._cut(seq_length)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(starts)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} asked of a text with {len(starts)} rows")
        width = min(-(-int(lengths[rows].max(initial=1)) // _MULTIPLE) * _MULTIPLE, seq_length)
        steps = np.arange(width)
        return (
            np.minimum(starts[rows, None] + steps, self.stream.num_tokens - 1),
            steps < lengths[rows, None],
        )

    def _cut(self, seq_length: int) -> tuple[np.ndarray, np.ndarray]:
        """First token and length of each row, int64 `[num_rows]`."""
        if seq_length not in self._cuts:
            begins = np.append(np.asarray(self.stream.document_starts, np.int64), self.stream.num_tokens)
            sizes = np.diff(begins)
            begins, sizes = begins[:-1][sizes > 0], sizes[sizes > 0]  # some documents leave no token
            parts = -(-sizes // seq_length)
            number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
            starts = np.repeat(begins, parts) + number * seq_length
            lengths = np.minimum(np.repeat(sizes, parts) - number * seq_length, seq_length)
            self._cuts[seq_length] = starts, lengths
        return self._cuts[seq_length]
