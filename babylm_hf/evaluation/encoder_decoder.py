"""Scores of encoder-decoder models, in the two ways of the BabyLM pipeline.

`enc_dec_mask`: the encoder reads the sentence with one token masked, the decoder BOS and the mask token; the masked
token is read at the decoder's last position, for every scored token in turn.

`enc_dec_prefix`: the encoder reads CLS, the prefix, the mask token and EOS (those that the tokenizer has), the decoder
BOS, the mask token and the completion without its last token; the completion's tokens are read one position to the
left. Both need a tokenizer with a mask and a BOS token; where the pipeline would fail without, this refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..errors import OptionError
from ..models.heads import evaluating, logits_of
from .scoring_plan import AnyRequest, Backend, Request, check_tokenizer, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Pair:
    """One forward: encoder ids, decoder ids, and the tokens read at the decoder's last positions."""

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    targets: tuple[int, ...]


def score_encoder_decoder(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[AnyRequest],
    backend: Backend,
    *,
    batch_tokens: int = 8192,
    progress: str | None = None,
) -> list[np.ndarray]:
    """Log-probability of every token that each request asks for: a float64 array for each.

    Args:
        model: with an encoder, a decoder and a vocabulary head.
        tokenizer: a fast one with a mask and a BOS token.
        requests: texts; those of `enc_dec_prefix` bring their prefix.
        backend: `enc_dec_mask` or `enc_dec_prefix`.
        batch_tokens: tokens of encoder and decoder in a batch.
        progress: label of a progress bar.

    Raises:
        OptionError: the tokenizer lacks a token, or a task has its own rows, which these backends cannot read.
    """
    check_tokenizer(tokenizer, backend)
    texts = [request for request in requests if isinstance(request, Request)]
    if len(texts) != len(requests):
        raise OptionError(f"--backend {backend} scores sentences only: leave this task out.")
    distinct = {request: number for number, request in enumerate(dict.fromkeys(texts))}
    wanted = _masked(tokenizer, list(distinct)) if backend == "enc_dec_mask" else _prefixed(tokenizer, list(distinct))
    values = _run(model, sorted({pair for pairs in wanted for pair in pairs}, key=_size), batch_tokens, progress)
    scores = [np.concatenate([values[pair] for pair in pairs]) if pairs else np.zeros(0) for pairs in wanted]
    return [scores[distinct[request]] for request in texts]


def _size(pair: _Pair) -> tuple[int, int]:
    return -len(pair.encoder), -len(pair.decoder)


def _masked(tokenizer: PreTrainedTokenizerBase, requests: list[Request]) -> list[list[_Pair]]:
    mask, bos = tokenizer.mask_token_id, tokenizer.bos_token_id
    found = []
    for request, (ids, offsets) in zip(requests, encode(tokenizer, requests), strict=True):
        row = ids.tolist()
        scored = np.flatnonzero(offsets[:, 1] > request.start).tolist()
        found.append([_Pair((*row[:i], mask, *row[i + 1 :]), (bos, mask), (row[i],)) for i in scored])
    return found


def _prefixed(tokenizer: PreTrainedTokenizerBase, requests: list[Request]) -> list[list[_Pair]]:
    def plain(text: str | None) -> list[int]:
        return [] if text is None else list(tokenizer(text, add_special_tokens=False)["input_ids"])

    first = [] if tokenizer.cls_token_id is None else [tokenizer.cls_token_id]
    last = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    found = []
    for request in requests:
        targets = plain(request.text[request.start :])
        encoder = [*first, *plain(request.prefix), tokenizer.mask_token_id, *last]
        decoder = [tokenizer.bos_token_id, tokenizer.mask_token_id, *targets[:-1]]
        found.append([_Pair(tuple(encoder), tuple(decoder), tuple(targets))] if targets else [])
    return found


def _run(model: nn.Module, pairs: list[_Pair], batch_tokens: int, progress: str | None) -> dict[_Pair, np.ndarray]:
    values: dict[_Pair, np.ndarray] = {}
    device = next(model.parameters()).device
    with evaluating(model), tqdm(total=len(pairs), desc=progress, disable=progress is None) as bar:
        start = 0
        while start < len(pairs):
            shape = _size(pairs[start])
            most = max(1, batch_tokens // -sum(shape))
            batch = [pair for pair in pairs[start : start + most] if _size(pair) == shape]  # sorted: a run of equals
            encoder, decoder, targets = (
                torch.tensor([getattr(pair, name) for pair in batch], device=device)
                for name in ("encoder", "decoder", "targets")
            )
            output = model(
                input_ids=encoder,
                attention_mask=torch.ones_like(encoder),
                decoder_input_ids=decoder,
                decoder_attention_mask=torch.ones_like(decoder),
            )
            logits = logits_of(output)[:, -targets.shape[1] :].float()
            chosen = logits.gather(-1, targets[..., None])[..., 0] - torch.logsumexp(logits, dim=-1)
            values.update(zip(batch, chosen.double().cpu().numpy(), strict=True))
            start += len(batch)
            bar.update(len(batch))
    return values
