"""Log-probabilities of sentences, as the BabyLM pipeline defines them, computed without its waste.

Masked models: pseudo-log-likelihood, every scored token predicted with that one token masked (Salazar et al. 2020).
Causal models: ordinary log-likelihood. Which tokens are scored stands in `babylm_hf.evaluation.scoring_plan`. Sums of
natural logarithms, without length normalisation.

The numbers are those of the pipeline in float32; the work is not. Sentences that occur twice and masked contexts that
differ only in the token to be predicted are computed once, batches hold rows of one length so that nothing is padded,
beginnings that causal rows share are computed once (`babylm_hf.evaluation.prefix_tree`), and the vocabulary is computed
at the scored positions only (`babylm_hf.models.heads`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..models.heads import PositionSelector, evaluating
from .prefix_tree import Pack, build_packs
from .scoring_plan import AnyRequest, Backend, Bucket, Request, Row, ScoringPlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Logits held at a time, 256 MB in float32: a large vocabulary shortens the batches before it fills the memory. On a CPU
# 24 MB: glibc returns to the system whatever is larger than 32 MB, and new pages for every batch cost more than rows.
_MAX_LOGITS = 1 << 26
_MAX_LOGITS_CPU = 6 << 20
_CACHED_LOGITS = 1 << 18  # logits in float32 that fit into the cache of a core, 1 MB
_TRIED_ROWS = 8  # rows on which prefix trees are compared with plain rows before they are trusted
_WORTH_A_TREE = 0.9  # share of the plain tokens above which a tree saves too little


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
        backend: `mlm` for masked models, `causal` for models that predict the next token, `mntp` for masked models that
            predict it one position to the left. A causal sentence's first token has nothing before it and is not
            scored, so the tokenizer should put a BOS token in front.
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
    begins = starts if starts is not None else [0] * len(sentences)
    requests = [Request(text, start) for text, start in zip(sentences, begins, strict=True)]
    return score_requests(model, tokenizer, requests, backend=backend, batch_tokens=batch_tokens, progress=progress)


def score_requests(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[AnyRequest],
    *,
    backend: Backend,
    batch_tokens: int = 8192,
    progress: str | None = None,
) -> list[np.ndarray]:
    """Log-probability of every token that each request asks for; arguments and errors as in `score_sentences`."""
    if backend in ("enc_dec_mask", "enc_dec_prefix"):
        from .encoder_decoder import score_encoder_decoder

        return score_encoder_decoder(model, tokenizer, requests, backend, batch_tokens=batch_tokens, progress=progress)
    return score_plan(model, ScoringPlan(tokenizer, backend, requests), batch_tokens=batch_tokens, progress=progress)


def score_plan(
    model: nn.Module, plan: ScoringPlan, *, batch_tokens: int = 8192, progress: str | None = None
) -> list[np.ndarray]:
    """The values of every request of a plan: a float64 array for each. A plan serves any number of checkpoints."""
    values = np.zeros(int(plan.bounds[-1]), dtype=np.float64)
    with evaluating(model), tqdm(total=len(values), desc=progress, disable=progress is None, unit="token") as bar:
        engine = _Engine(model, plan, batch_tokens, bar.update)
        packs = trees(plan) if plan.backend == "causal" else None
        if packs and engine.can_share_prefixes(plan):
            engine.run_packs(packs, values)
        else:
            for bucket in plan.buckets():
                engine.run_bucket(bucket, values)
    return plan.split(values)


def trees(plan: ScoringPlan) -> list[Pack] | None:
    """The rows of a plan as prefix trees, made once; None where they would save too little."""
    if "packs" not in plan.cache:
        slots = [np.arange(first, stop) for first, stop in zip(plan.bounds, plan.bounds[1:], strict=False)]
        packs = build_packs(plan.rows, slots)
        plain = sum(len(row.ids) for row in plan.rows if len(row.reads))
        worth = sum(map(len, packs)) <= _WORTH_A_TREE * plain
        plan.cache["packs"] = packs if worth else None
    kept: list[Pack] | None = plan.cache["packs"]
    return kept


def _neighbours_of_the_longest(plan: ScoringPlan) -> list[int]:
    """The longest row and those beside it in the order of tokens, found once for a plan."""
    if "tried" not in plan.cache:
        asked = [i for i, row in enumerate(plan.rows) if len(row.reads)]
        ranked = sorted(asked, key=lambda i: plan.rows[i].ids.astype(">i4").tobytes())
        longest = max(range(len(ranked)), key=lambda k: len(plan.rows[ranked[k]].ids))
        start = max(0, min(longest - _TRIED_ROWS // 2, len(ranked) - _TRIED_ROWS))
        plan.cache["tried"] = ranked[start : start + _TRIED_ROWS]
    tried: list[int] = plan.cache["tried"]
    return tried


class _Engine:
    """Answers the queries of a plan with one model."""

    def __init__(
        self, model: nn.Module, plan: ScoringPlan, batch_tokens: int, advance: Callable[[int], object]
    ) -> None:
        self.selector = PositionSelector(model)
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.mask_id = plan.mask_id
        # A model may have more logits than its tokenizer has pieces: rounded up, or another's tokenizer.
        self.vocabulary = max(plan.vocabulary, int(getattr(getattr(model, "config", None), "vocab_size", 0) or 0))
        self.batch_tokens = batch_tokens
        self.max_logits = min(_MAX_LOGITS, _MAX_LOGITS_CPU) if self.device.type == "cpu" else _MAX_LOGITS
        self.advance = advance

    # ------------------------------------------------------------------ rows of one length

    def run_bucket(self, bucket: Bucket, values: np.ndarray) -> None:
        """Fill `values` at the bucket's slots; a context that several queries share is computed once."""
        length = bucket.ids.shape[1]
        contexts = bucket.ids[bucket.row]
        masked = np.flatnonzero(bucket.masks >= 0)
        if len(masked):  # never for a causal model, which may have no mask token
            contexts[masked, bucket.masks[masked]] = self.mask_id
        first, context_of = _distinct(contexts)
        by_context = np.argsort(context_of, kind="stable")
        bounds = np.searchsorted(context_of[by_context], np.arange(len(first) + 1))
        most = int(np.diff(bounds).max())
        for start, stop in self._batches(len(first), length, most):
            asked = by_context[bounds[start] : bounds[stop]]
            flat = (context_of[asked] - start) * length + bucket.reads[asked]
            ids = torch.from_numpy(contexts[first[start:stop]]).to(self.device)
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            values[bucket.slots[asked]] = self._read(inputs, flat, bucket.targets[asked])
            self.advance(len(asked))

    def _batches(self, rows: int, length: int, logits_per_row: int) -> Iterator[tuple[int, int]]:
        per_row = logits_per_row if self.selector.head is not None else length
        size = max(1, min(self.batch_tokens // length, self.max_logits // (per_row * self.vocabulary)))
        for start in range(0, rows, size):
            yield start, min(start + size, rows)

    def _read(self, inputs: dict[str, torch.Tensor], flat: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """log p(targets[j]) at position flat[j] of the flattened input, float64.

        In float32 whatever the model computes in: in bfloat16, sums of different sentences come out equal.
        """
        positions, which = np.unique(flat, return_inverse=True)
        logits = self.selector.logits(inputs, torch.from_numpy(positions).to(self.device))
        at, wanted = torch.from_numpy(which).to(self.device), torch.from_numpy(targets).to(self.device)
        return (logits[at, wanted].float() - _log_partition(logits)[at]).double().cpu().numpy()

    # ------------------------------------------------------------------ prefix trees

    def can_share_prefixes(self, plan: ScoringPlan) -> bool:
        """Whether trees give this model's numbers: tried on the longest row and its neighbours among the sorted."""
        chosen = _neighbours_of_the_longest(plan)
        found, expected = np.zeros(int(plan.bounds[-1])), np.zeros(int(plan.bounds[-1]))
        slots = [np.arange(plan.bounds[i], plan.bounds[i + 1]) for i in chosen]
        advance, self.advance = self.advance, lambda _: None
        try:
            rows = [plan.rows[i] for i in chosen]
            self._run_padded(rows, slots, expected)
            self.run_packs(build_packs(rows, slots), found)
        except Exception:  # whatever an unknown model says to such a mask, the answer is the same: plain rows
            return False
        finally:
            self.advance = advance
        # float32 rounds in the sixth place; lower precision cannot tell more than that the mask was understood.
        exact = torch.finfo(self.dtype).eps < 1e-6
        return bool(np.allclose(found, expected, rtol=1e-6 if exact else 0.02, atol=2e-5 if exact else 0.05))

    def _run_padded(self, rows: Sequence[Row], slots: Sequence[np.ndarray], values: np.ndarray) -> None:
        """Fill `values` from rows of a causal model as they are, one batch: what follows a row says nothing to it."""
        width = max(len(row.ids) for row in rows)
        ids, mask = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)], mask[number, : len(row.ids)] = row.ids, 1
        inputs = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": torch.from_numpy(mask).to(self.device),
        }
        flat = np.concatenate([number * width + row.reads for number, row in enumerate(rows)])
        values[np.concatenate(slots)] = self._read(inputs, flat, np.concatenate([row.targets for row in rows]))

    def run_packs(self, packs: Sequence[Pack], values: np.ndarray) -> None:
        """Fill `values` from prefix trees, several of about one size at a time."""
        start, packs = 0, sorted(packs, key=len, reverse=True)
        while start < len(packs):
            longest = len(packs[start])
            most = max(sum(map(len, pack.nodes)) for pack in packs[start : start + 64])
            per_row = min(most, longest) if self.selector.head is not None else longest
            size = max(1, min(self.batch_tokens // longest, self.max_logits // (per_row * self.vocabulary)))
            self._run_packs(packs[start : start + size], longest, values)
            start += size

    def _run_packs(self, packs: Sequence[Pack], width: int, values: np.ndarray) -> None:
        ids, depths = (np.zeros((len(packs), width), dtype=np.int64) for _ in range(2))
        seen = np.zeros((len(packs), 1, width, width), dtype=bool)
        flat, targets, slots = [], [], []
        for number, pack in enumerate(packs):
            ids[number, : len(pack)], depths[number, : len(pack)] = pack.tokens, pack.depths
            seen[number, 0, : len(pack), : len(pack)] = pack.visible()
            flat += [number * width + nodes for nodes in pack.nodes]
            targets += pack.targets
            slots += pack.slots
        seen[:, :, range(width), range(width)] = True  # padding sees itself: a row of nothing has no softmax
        hidden = torch.from_numpy(~seen).to(self.device)
        mask = torch.zeros(seen.shape, dtype=self.dtype, device=self.device)
        inputs = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": mask.masked_fill_(hidden, torch.finfo(self.dtype).min),
            "position_ids": torch.from_numpy(depths).to(self.device),
        }
        asked = np.concatenate(slots)
        values[asked] = self._read(inputs, np.concatenate(flat), np.concatenate(targets))
        self.advance(len(asked))


def _log_partition(logits: torch.Tensor) -> torch.Tensor:
    """Logarithm of the summed exponentials of each row of `[N, V]`, float32 `[N]`.

    On a CPU a few rows at a time: what is made on the way then stays in the cache and asks the system for no new pages.
    """
    rows = max(1, _CACHED_LOGITS // logits.shape[-1]) if logits.device.type == "cpu" else len(logits)
    return torch.cat([part.float().logsumexp(dim=-1) for part in logits.split(rows)])


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each distinct row of int64 `[m, L]` stands first, and which of them every row is."""
    keys = np.ascontiguousarray(rows, dtype=np.int32)
    _, first, which = np.unique(
        keys.view(np.dtype((np.void, keys.itemsize * keys.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    return first, which.reshape(-1)
