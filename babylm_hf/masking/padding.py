"""From a list of examples to rectangular arrays: lists, numpy arrays or tensors of any lengths, padded on the right."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import OptionError
from .rows import WORD_STARTS

Feature = Mapping[str, Any]

TRAINING_ID = "example_id"
EVALUATION_ID = "evaluation_id"


def pad_features(
    features: Sequence[Feature], pad_id: int, multiple: int | None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """Pads examples to the longest of them.

    Rows are always padded on the right: a token's random number goes by its position, which padding must not shift.

    Args:
        features: examples with `input_ids`; with `attention_mask`, `token_type_ids` and `word_starts` or without; other
            keys are left out.
        pad_id: fills `input_ids`.
        multiple: pad to a multiple of this many tokens.

    Returns:
        `input_ids`, `attention_mask` and perhaps `token_type_ids` and `word_starts`, int64 `[n, L]`.
    """
    rows = [feature["input_ids"] for feature in features]
    lengths = [len(row) for row in rows]
    width = max(lengths)
    if multiple:
        width = -(-width // multiple) * multiple
    arrays = {"input_ids": _filled(rows, lengths, width, pad_id)}
    if all("attention_mask" in feature for feature in features):
        arrays["attention_mask"] = _filled([f["attention_mask"] for f in features], lengths, width, 0)
    elif min(lengths) == width:
        arrays["attention_mask"] = np.ones((len(rows), width), np.int64)
    else:
        arrays["attention_mask"] = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    for name in ("token_type_ids", WORD_STARTS):
        if all(name in feature for feature in features):
            arrays[name] = _filled([f[name] for f in features], lengths, width, 0)
    return arrays


def example_ids(features: Sequence[Feature], key: str) -> npt.NDArray[np.int64]:
    """The number of each example, int64 `[n]`.

    Raises:
        OptionError: the examples have none, because the Trainer has removed the column or the data set never had it.
    """
    try:
        return np.array([int(feature[key]) for feature in features], np.int64)
    except KeyError:
        raise OptionError(
            f"the examples have no {key!r}, without which masks could not be reproduced: set "
            "remove_unused_columns=False and give the data set the column: "
            f'dataset.add_column("{key}", range(len(dataset)))'
        ) from None


def _filled(rows: list[Any], lengths: list[int], width: int, filler: int) -> npt.NDArray[np.int64]:
    if min(lengths) == width:
        return _joined(rows).reshape(len(rows), width)
    filled = np.full((len(rows), width), filler, np.int64)
    flat, ends = _joined(rows), np.cumsum(lengths)
    for row, end, length in zip(filled, ends, lengths, strict=True):
        row[:length] = flat[end - length : end]
    return filled


def _joined(rows: list[Any]) -> npt.NDArray[np.int64]:
    """The rows one after the other."""
    if isinstance(rows[0], torch.Tensor):
        rows = [row.numpy() for row in rows]
    if isinstance(rows[0], np.ndarray):
        return np.concatenate(rows, dtype=np.int64, casting="same_kind")
    # `struct` reads a list of ints three times as fast as numpy does; a bytearray leaves the result writable.
    pack = {length: struct.Struct(f"{length}q").pack for length in set(map(len, rows))}
    return np.frombuffer(bytearray().join([pack[len(row)](*row) for row in rows]), np.int64)
