"""The token stream: a corpus as one flat memory-mapped array of token ids, cut into training rows by arithmetic.

All documents follow each other; row r of length L is tokens r*L to (r+1)*L. Rows exist at every length without being
stored, nothing is dropped, and neither the number of workers nor the order of reading can change them. The last row is
padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorpusError
from .cache import check_files, read_info
from .documents import Document, Source
from .files import find_sources

_BLOCK_TOKENS = 1 << 20


class TokenStream:
    """A corpus as tokens, opened from the folder that `TokenStream.build` made. Pickling it sends the path, not the
    tokens.

    Attributes:
        folder: where its files are.
        info: what is in it and what it was made of.
        tokens: token ids, memory map uint16 or uint32 `[num_tokens]`.
        word_starts: words that begin at each token, memory map uint8 `[num_tokens]`: 0 or 1, and more only where a
            tokenizer puts several words in a token or deletes some.
        document_starts: first token of each document, memory map uint64 `[num_documents]`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Opens a stream; see `open`."""
        self.folder = Path(folder)
        self.info = read_info(self.folder)
        check_files(self.folder, self.info)
        self.tokens = self._map("tokens", np.dtype(self.info.token_type))
        self.word_starts = self._map("word_starts", np.dtype(np.uint8))
        self.document_starts = self._map("document_starts", np.dtype(np.uint64))

    @classmethod
    def open(cls, folder: str | Path) -> TokenStream:
        """Opens a stream made before.

        Raises:
            CorpusError: the folder holds no stream, or one whose files have been damaged.
        """
        return cls(folder)

    @classmethod
    def build(
        cls,
        sources: Sequence[Source],
        tokenizer: Any,
        cache_dir: str | Path,
        document: Document = "line",
        text_field: str = "text",
        progress: bool | None = None,
    ) -> TokenStream:
        """Tokenises the text, or opens what an earlier call made of the same text, tokenizer and options.

        Any number of processes may build the same stream at once; each sees a whole one.

        Args:
            sources: see `iter_documents`.
            tokenizer: a fast tokenizer of transformers, or a `tokenizers.Tokenizer`; its special tokens are added to
                every document.
            cache_dir: folder that holds all streams; this one's is named after its fingerprint.
            document: what ends a document: "line" or "blank_line".
            text_field: field of a JSON line that holds the text.
            progress: show a progress bar on stderr; None for only when that is a terminal.

        Raises:
            CorpusError: the text or the tokenizer cannot be used.
        """
        from .build import find_or_build

        stream = cls(find_or_build(sources, tokenizer, Path(cache_dir), document, text_field, progress))
        # The text decides which stream it is, so it may have been made from the same text under other names.
        for report, source in zip(stream.info.sources, find_sources(sources), strict=True):
            report.path = source.title
        return stream

    def _map(self, name: str, dtype: np.dtype) -> np.ndarray:
        return np.memmap(self.folder / f"{name}.bin", dtype=dtype, mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        return (TokenStream, (str(self.folder),))

    def __repr__(self) -> str:
        info = self.info
        size = f"{info.num_words} words, {info.num_tokens} tokens, {info.num_documents} documents"
        return f"TokenStream({size}, {self.folder})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the tokens: text, tokenizer, options."""
        return self.info.fingerprint

    @property
    def num_tokens(self) -> int:
        """Tokens in the stream, special tokens included."""
        return self.info.num_tokens

    def num_rows(self, seq_length: int) -> int:
        """Rows of `seq_length` tokens that hold the whole stream; the last may be shorter."""
        return -(-self.num_tokens // _positive(seq_length))

    def row_words(self, seq_length: int) -> np.ndarray:
        """Words that begin in each row, int64 `[num_rows]`; their sum is the corpus's number of words."""
        words = np.zeros(self.num_rows(seq_length), np.int64)
        rows_at_once = max(1, _BLOCK_TOKENS // seq_length)
        for row in range(0, len(words), rows_at_once):
            block = self.word_starts[row * seq_length : (row + rows_at_once) * seq_length]
            words[row : row + rows_at_once] = np.add.reduceat(
                block, np.arange(0, len(block), seq_length), dtype=np.int64
            )
        return words

    def fetch(self, seq_length: int, rows: np.ndarray | Sequence[int]) -> dict[str, np.ndarray]:
        """Rows as a model takes them.

        Args:
            seq_length: tokens a row.
            rows: row numbers, `[n]`.

        Returns:
            `input_ids` and `attention_mask`, int64 `[n, seq_length]`; beyond the end of the stream the pad id and 0.

        Raises:
            IndexError: a row number is outside [0, num_rows).
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and not (rows.min() >= 0 and rows.max() < self.num_rows(seq_length)):
            raise IndexError(
                f"rows {rows.min()} to {rows.max()} asked of a stream with {self.num_rows(seq_length)} rows"
            )
        at = rows[:, None] * seq_length + np.arange(seq_length)
        inside = at < self.num_tokens
        ids = self.tokens[np.minimum(at, self.num_tokens - 1)].astype(np.int64)
        return {"input_ids": np.where(inside, ids, self.info.pad_id), "attention_mask": inside.astype(np.int64)}

    def fetch_word_starts(self, seq_length: int, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Words that begin at each token of the rows, int64 `[n, seq_length]`; 0 beyond the end of the stream."""
        at = np.asarray(rows, np.int64)[:, None] * seq_length + np.arange(seq_length)
        starts = self.word_starts[np.minimum(at, self.num_tokens - 1)].astype(np.int64)
        return np.where(at < self.num_tokens, starts, 0)

    def token_counts(self) -> np.ndarray:
        """How often each id occurs in the stream, int64 `[vocab_size]`."""
        return np.fromfile(self.folder / "token_counts.bin", np.int64)


def _positive(seq_length: int) -> int:
    if seq_length < 1:
        raise CorpusError(f"rows of {seq_length} tokens are impossible; the sequence length must be at least 1")
    return seq_length
