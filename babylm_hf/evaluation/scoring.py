"""Log-probabilities of sentences, as the BabyLM pipeline defines them, computed without its waste.

Masked models: pseudo-log-likelihood, every scored token predicted with that one token masked (Salazar et al. 2020).
Causal models: ordinary log-likelihood. A token is scored if its characters end after the start of the completion;
special tokens have no characters and never are. Sums of natural logarithms, without length normalisation.

The numbers are those of the pipeline in float32; the work is not. Sentences that occur twice and masked contexts that
differ only in the token to be predicted are computed once, batches hold sentences of one length so that nothing is
padded, and the vocabulary is computed at the scored positions only (`babylm_hf.models.heads`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..errors import OptionError
from ..models.heads import PositionSelector, evaluating

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Backend = Literal["mlm", "causal"]

# Logits held at a time, 256 MB in float32: a large vocabulary shortens the batches before it fills the memory.
_MAX_LOGITS = 1 << 26


def score_sentences(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[str],
    *,
    backend: Backend,
    starts: Sequence[int] | None = None,
    batch_tokens: int = 8192,
    progress: str | None = None,
) -> np.ndarray:
    """Summed log-probability of each sentence, float64 `[n]`.

    Args:
        model: with a vocabulary head; its mode, gradients and the random state are left alone.
        tokenizer: a fast one, whose own special tokens are used.
        sentences: without special tokens.
        backend: `mlm` for masked models, `causal` for models that predict the next token. A causal sentence's first
            token has nothing before it and is not scored, so the tokenizer should put a BOS token in front.
        starts: where in each sentence (in characters) the completion to be scored begins; at 0 without it.
        batch_tokens: tokens in a batch.
        progress: label of a progress bar.

    Raises:
        OptionError: the tokenizer is not a fast one, or has no mask token.
    """
    values = token_log_probabilities(
        model, tokenizer, sentences, backend=backend, starts=starts, batch_tokens=batch_tokens, progress=progress
    )
    return np.array([value.sum() for value in values], dtype=np.float64)


def score_masked(model: nn.Module, tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> np.ndarray:
    """Pseudo-log-likelihood of each sentence under a masked model, float64 `[n]`."""
    return score_sentences(model, tokenizer, sentences, backend="mlm")


def score_causal(model: nn.Module, tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> np.ndarray:
    """Log-likelihood of each sentence under a causal model, float64 `[n]`."""
    return score_sentences(model, tokenizer, sentences, backend="causal")


def token_log_probabilities(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[str],
    *,
    backend: Backend,
    starts: Sequence[int] | None = None,
    batch_tokens: int = 8192,
    progress: str | None = None,
) -> list[np.ndarray]:
    """Log-probability of every scored token, in order: a float64 array for each sentence.

    Arguments and errors are those of `score_sentences`.
    """
    if backend not in ("mlm", "causal"):
        raise OptionError(f"--backend {backend}: the backends are mlm and causal.")
    if backend == "mlm" and tokenizer.mask_token_id is None:
        raise OptionError("The tokenizer has no mask token: a masked model cannot be scored with it.")
    keys = list(zip(sentences, starts if starts is not None else [0] * len(sentences), strict=True))
    distinct = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    ids, scored = _encode(tokenizer, list(distinct))
    results: list[np.ndarray] = [np.zeros(0)] * len(distinct)
    with evaluating(model), tqdm(total=len(distinct), desc=progress, disable=progress is None) as bar:
        engine = _Engine(model, tokenizer, batch_tokens)
        for length, group in _by_length(ids):
            values = engine.score(
                backend, np.stack([ids[i] for i in group]), np.stack([scored[i] for i in group]), length
            )
            for number, value in zip(group, values, strict=True):
                results[number] = value
            bar.update(len(group))
    return [results[distinct[key]] for key in keys]


def _encode(
    tokenizer: PreTrainedTokenizerBase, sentences: list[tuple[str, int]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids, and which of them end after the start of the completion."""
    if not tokenizer.is_fast:
        raise OptionError(
            "Scoring needs a fast tokenizer (one with a tokenizer.json): only those know their characters."
        )
    if not sentences:
        return [], []
    encoded = tokenizer(
        [text for text, _ in sentences],
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        verbose=False,
    )
    ids = [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"]]
    scored = [
        np.fromiter((end > start for _, end in offsets), dtype=bool, count=len(offsets))
        for offsets, (_, start) in zip(encoded["offset_mapping"], sentences, strict=True)
    ]
    return ids, scored


def _by_length(ids: list[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """The sentences of each length, longest first, so that what does not fit into memory fails at once."""
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    for length in np.unique(lengths)[::-1]:
        yield int(length), np.flatnonzero(lengths == length)


class _Engine:
    """Scores sentences of equal length."""

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, batch_tokens: int) -> None:
        self.selector = PositionSelector(model)
        self.device = next(model.parameters()).device
        self.mask_id = tokenizer.mask_token_id
        self.vocabulary = len(tokenizer)
        self.batch_tokens = batch_tokens

    def score(self, backend: Backend, ids: np.ndarray, scored: np.ndarray, length: int) -> list[np.ndarray]:
        """For each row of `ids` int64 `[m, length]`, the log-probabilities of its tokens that are `scored`."""
        values = np.zeros(ids.shape, dtype=np.float64)
        if backend == "mlm":
            self._masked(ids, scored, values)
        elif length > 1:
            scored = scored & (np.arange(length) > 0)
            self._causal(ids, scored, values)
        else:
            scored = np.zeros_like(scored)
        return [value[wanted] for value, wanted in zip(values, scored, strict=True)]

    def _masked(self, ids: np.ndarray, scored: np.ndarray, values: np.ndarray) -> None:
        """Fill `values` where `scored`, masking one token at a time."""
        sentence, position = np.nonzero(scored)
        if len(sentence) == 0:
            return
        targets = ids[sentence, position]
        contexts = ids[sentence]
        contexts[np.arange(len(contexts)), position] = self.mask_id
        keys = np.ascontiguousarray(np.concatenate([contexts, position[:, None]], axis=1, dtype=np.int32))
        _, first, context_of = np.unique(
            keys.view([("", np.int32)] * keys.shape[1]).ravel(), return_index=True, return_inverse=True
        )
        by_context = np.argsort(context_of, kind="stable")
        bounds = np.searchsorted(context_of[by_context], np.arange(len(first) + 1))
        found = np.empty(len(targets))
        for start, stop in self._batches(len(first), ids.shape[1], logits_per_row=1):
            rows = first[start:stop]
            asked = by_context[bounds[start] : bounds[stop]]
            flat = np.arange(len(rows)) * ids.shape[1] + position[rows]
            found[asked] = self._log_probabilities(contexts[rows], flat, context_of[asked] - start, targets[asked])
        values[sentence, position] = found

    def _causal(self, ids: np.ndarray, scored: np.ndarray, values: np.ndarray) -> None:
        """Fill `values` where `scored` (never at the first token) from left to right."""
        length = ids.shape[1] - 1
        for start, stop in self._batches(len(ids), length, logits_per_row=length):
            row, position = np.nonzero(scored[start:stop])
            if len(row) == 0:
                continue
            flat, targets = row * length + position - 1, ids[start + row, position]
            found = self._log_probabilities(ids[start:stop, :-1], flat, np.arange(len(flat)), targets)
            values[start + row, position] = found

    def _batches(self, rows: int, length: int, logits_per_row: int) -> Iterator[tuple[int, int]]:
        per_row = logits_per_row if self.selector.head is not None else length
        size = max(1, min(self.batch_tokens // length, _MAX_LOGITS // (per_row * self.vocabulary)))
        for start in range(0, rows, size):
            yield start, min(start + size, rows)

    def _log_probabilities(
        self, rows: np.ndarray, flat: np.ndarray, which: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """log p(targets[j]) at the position flat[which[j]] of the flattened `rows`, float64.

        In float32 whatever the model computes in: in bfloat16, sums of different sentences come out equal.
        """
        ids = torch.from_numpy(rows).to(self.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        logits = self.selector.logits(inputs, torch.from_numpy(flat).to(self.device)).float()
        at, wanted = torch.from_numpy(which).to(self.device), torch.from_numpy(targets).to(self.device)
        return (logits[at, wanted] - torch.logsumexp(logits, dim=-1)[at]).double().cpu().numpy()
