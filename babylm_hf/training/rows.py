"""Where training rows come from: our token stream as it is, or anybody's tokenised `datasets.Dataset`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CorpusError, OptionError

WORDS_COLUMN = "num_words"


class DatasetRows:
    """A tokenised data set as a source of rows: one example, one row, padded to the longest of its batch.

    Args:
        dataset: `datasets.Dataset` (or anything with `__len__`, `column_names` and column access) with an `input_ids`
            column; a `num_words` column, if it has one, holds the whitespace words of each example and makes
            milestones by words possible.
        pad_id: id that fills short rows.

    Raises:
        CorpusError: the data set is empty or has no `input_ids`.
    """

    def __init__(self, dataset: Any, pad_id: int) -> None:
        columns = list(getattr(dataset, "column_names", None) or [])
        if "input_ids" not in columns:
            raise CorpusError(f"the data set has no 'input_ids' column (it has {columns}); tokenise it first")
        if len(dataset) == 0:
            raise CorpusError("the data set has no rows")
        self.dataset = (
            dataset.with_format("numpy", columns=["input_ids"]) if hasattr(dataset, "with_format") else dataset
        )
        self.pad_id = pad_id
        self.lengths = np.fromiter((len(ids) for ids in self.dataset["input_ids"]), np.int64, len(dataset))
        self.words = np.asarray(dataset[WORDS_COLUMN][:], np.int64) if WORDS_COLUMN in columns else None
        self.fingerprint = str(getattr(dataset, "_fingerprint", f"rows-{len(dataset)}-tokens-{self.lengths.sum()}"))

    @property
    def max_length(self) -> int:
        """Tokens in the longest row."""
        return int(self.lengths.max())

    def num_rows(self, seq_length: int) -> int:
        """Rows in a pass; those longer than `seq_length` are an error, never cut."""
        if self.max_length > seq_length:
            row = int(np.argmax(self.lengths > seq_length))
            raise OptionError(
                f"row {row} of the data set has {self.lengths[row]} tokens, more than --max_seq_len {seq_length}; "
                "split the rows or raise the length"
            )
        return len(self.lengths)

    def row_words(self, seq_length: int) -> np.ndarray:
        """Whitespace words of each row, int64 `[num_rows]`; zeros where the data set does not say."""
        return self.words if self.words is not None else np.zeros(self.num_rows(seq_length), np.int64)

    def fetch(self, seq_length: int, rows: np.ndarray) -> dict[str, np.ndarray]:
        """`input_ids` and `attention_mask`, int64 `[n, longest of these rows]`."""
        examples = [np.asarray(ids, np.int64) for ids in self.dataset[rows.tolist()]["input_ids"]]
        width = max(len(ids) for ids in examples)
        input_ids = np.full((len(examples), width), self.pad_id, np.int64)
        attention_mask = np.zeros((len(examples), width), np.int64)
        for i, ids in enumerate(examples):
            input_ids[i, : len(ids)] = ids
            attention_mask[i, : len(ids)] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}


def as_rows(source: Any, pad_id: int) -> Any:
    """`source` if it can give rows by itself (a `TokenStream`), else a `DatasetRows` around it."""
    return source if hasattr(source, "fetch") and hasattr(source, "row_words") else DatasetRows(source, pad_id)
