"""From texts to token rows: what a model has to be asked, decided once for all checkpoints that share a tokenizer.

A request is a text of which a suffix, the completion, is to be scored. Following the BabyLM pipeline, a token counts if
its characters end after the start of the completion: a token that straddles the boundary counts whole, special tokens
have no characters and never count. Every backend reduces a request to queries: feed a row of ids, perhaps with one of
them masked, and read the log-probability of a token at a position.

| backend  | row                              | where the token at i is read |
|----------|----------------------------------|------------------------------|
| `mlm`    | the text with the token masked   | i                            |
| `mntp`   | the same                         | i - 1 (shifted objective)    |
| `causal` | the text up to the last token    | i - 1; never the first token |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..errors import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Backend = Literal["mlm", "causal", "mntp", "enc_dec_mask", "enc_dec_prefix"]
BACKENDS: tuple[str, ...] = get_args(Backend)

_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Request:
    """A text whose suffix is scored.

    Attributes:
        text: the whole sentence, without special tokens.
        start: where the completion begins, in characters.
        prefix: what the encoder is given by the backend `enc_dec_prefix`; None for nothing.
    """

    text: str
    start: int = 0
    prefix: str | None = None


@dataclass(frozen=True)
class RowRequest:
    """Ids as they are fed, and the tokens to be read from them: for tasks that build their own input.

    Attributes:
        ids: the whole row, special tokens included.
        reads: positions in it.
        targets: the id whose log-probability is read at each.
    """

    ids: tuple[int, ...]
    reads: tuple[int, ...]
    targets: tuple[int, ...]


AnyRequest = Request | RowRequest


@dataclass(frozen=True)
class Row:
    """One distinct request in tokens; int64 arrays.

    Attributes:
        ids: `[L]`.
        masks: `[q]` position that is masked for each query, -1 for none.
        reads: `[q]` position at which the query reads.
        targets: `[q]` the id it asks for.
    """

    ids: np.ndarray
    masks: np.ndarray
    reads: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Bucket:
    """All rows of one length, and their queries.

    Attributes:
        ids: int64 `[m, L]`.
        row: int64 `[q]`, index into `ids` for each query.
        masks, reads, targets: int64 `[q]`, as in `Row`.
        slots: int64 `[q]`, where the answer stands in the plan's values.
    """

    ids: np.ndarray
    row: np.ndarray
    masks: np.ndarray
    reads: np.ndarray
    targets: np.ndarray
    slots: np.ndarray


class ScoringPlan:
    """What has to be computed for a list of requests, without repetitions.

    Args:
        tokenizer: a fast one, whose own special tokens are used.
        backend: `mlm`, `mntp` or `causal`.
        requests: in any order, repetitions cost nothing.

    Raises:
        OptionError: an unknown backend, a slow tokenizer, or one without a mask token where the backend needs it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, backend: Backend, requests: Sequence[AnyRequest]) -> None:
        check_tokenizer(tokenizer, backend)
        self.backend = backend
        self.mask_id = tokenizer.mask_token_id
        self.vocabulary = len(tokenizer)
        distinct: dict[AnyRequest, int] = {}
        self.number = np.array([distinct.setdefault(request, len(distinct)) for request in requests], dtype=np.int64)
        self.rows = _rows(tokenizer, backend, list(distinct))
        counts = np.array([len(row.reads) for row in self.rows], dtype=np.int64)
        self.bounds = np.concatenate([[0], np.cumsum(counts)])
        self.cache: dict[str, Any] = {}  # what a scorer derives from the plan and can use again

    def __len__(self) -> int:
        return len(self.number)

    def lengths(self) -> np.ndarray:
        """Tokens that the model is fed for each request, int64 `[n]`."""
        lengths = np.array([len(row.ids) for row in self.rows], dtype=np.int64)
        return lengths[self.number]

    def buckets(self) -> Iterator[Bucket]:
        """The distinct rows by length, longest first, so that what does not fit into memory fails at once."""
        lengths = np.array([len(row.ids) if len(row.reads) else 0 for row in self.rows], dtype=np.int64)
        for length in np.unique(lengths)[::-1]:
            if length:
                yield self.bucket(np.flatnonzero(lengths == length))

    def bucket(self, members: np.ndarray) -> Bucket:
        """Rows of equal length together."""
        rows = [self.rows[i] for i in members]
        return Bucket(
            ids=np.stack([row.ids for row in rows]),
            row=np.repeat(np.arange(len(rows)), [len(row.reads) for row in rows]),
            masks=np.concatenate([row.masks for row in rows]),
            reads=np.concatenate([row.reads for row in rows]),
            targets=np.concatenate([row.targets for row in rows]),
            slots=np.concatenate([np.arange(self.bounds[i], self.bounds[i + 1]) for i in members]),
        )

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """The values of each request, in the order in which they were asked for, from float64 `[bounds[-1]]`."""
        return [values[self.bounds[i] : self.bounds[i + 1]] for i in self.number]


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, backend: str) -> None:
    """Refuse what cannot be scored with this tokenizer.

    Raises:
        OptionError: see `ScoringPlan`.
    """
    if backend not in BACKENDS:
        raise OptionError(f"--backend {backend}: the backends are {', '.join(BACKENDS[:-1])} and {BACKENDS[-1]}.")
    if not tokenizer.is_fast:
        raise OptionError(
            "Scoring needs a fast tokenizer (one with a tokenizer.json): only those know their characters."
        )
    if backend != "causal" and tokenizer.mask_token_id is None:
        raise OptionError(f"The tokenizer has no mask token: a model cannot be scored with it by --backend {backend}.")
    if backend.startswith("enc_dec") and tokenizer.bos_token_id is None:
        raise OptionError(f"The tokenizer has no BOS token, with which the decoder of --backend {backend} starts.")


def encode(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids, and the end of each token in characters, of each text with the tokenizer's own special tokens."""
    if not requests:
        return
    encoded = tokenizer(
        [request.text for request in requests],
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        verbose=False,
    )
    for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        yield np.asarray(ids, dtype=np.int64), np.asarray(offsets, dtype=np.int64).reshape(-1, 2)


def _rows(tokenizer: PreTrainedTokenizerBase, backend: Backend, distinct: list[AnyRequest]) -> list[Row]:
    texts = [request for request in distinct if isinstance(request, Request)]
    encoded = encode(tokenizer, texts)
    opened = tokenizer.cls_token_id is not None or tokenizer.bos_token_id is not None
    rows = []
    for request in distinct:
        if isinstance(request, RowRequest):
            reads = np.asarray(request.reads, dtype=np.int64)
            ids, targets = (np.asarray(v, dtype=np.int64) for v in (request.ids, request.targets))
            rows.append(Row(ids, np.full_like(reads, -1), reads, targets))
            continue
        ids, offsets = next(encoded)
        # The pipeline adds the first token's start for causal models; it differs from 0 only before trimmed space.
        threshold = request.start + (int(offsets[0, 0]) if backend == "causal" and len(offsets) else 0)
        rows.append(_row(backend, ids, np.flatnonzero(offsets[:, 1] > threshold), opened))
    return rows


def _row(backend: Backend, ids: np.ndarray, scored: np.ndarray, opened: bool) -> Row:
    if backend == "mlm":
        return Row(ids, scored, scored, ids[scored])
    if backend == "mntp":
        if not opened:
            scored = scored[scored > 0]
        # A first token that is scored although something should stand before it is read at the end, as published.
        return Row(ids, scored, (scored - 1) % max(len(ids), 1), ids[scored])
    scored = scored[scored > 0]
    if len(scored) == 0:
        return Row(ids[:0], _NONE, _NONE, _NONE)
    return Row(ids[: scored[-1]], np.full_like(scored, -1), scored - 1, ids[scored])
