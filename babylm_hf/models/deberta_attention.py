"""DeBERTa-v2's disentangled attention, the same numbers for a fraction of the work.

A score of the stock implementation has a content part and two position parts that depend on the distance i - j alone
(He et al. 2021, "DeBERTa", section 3.1). It projects the whole table of positions anew for every example and collects
the L x L scores with index tensors. Here the 2L - 1 distances that occur are projected once per head, and the scores
are read from the products by a strided view (`distances`).

The weights are the stock module's own, so a model may change over at any time, and what is saved is a stock model.
Dropout has the stock rates but draws in another order. Price: custom autograd for the view, and no second set of query
states (the stock method is called where there is one).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from .attention_dropout import additive_mask, attention_with_dropout
from .distances import by_distance, with_distances
from .dropout import is_fast, threshold_of


def use_fast_attention(model: nn.Module) -> int:
    """Give every DeBERTa-v2 self-attention of `model` the fast forward; returns how many there were (0 elsewhere)."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention

    found = [module for module in model.modules() if isinstance(module, DisentangledSelfAttention)]
    for module in found:
        module.forward = MethodType(_forward, module)
    return len(found)


def _forward(
    self: Any,
    hidden_states: Tensor,
    attention_mask: Tensor,
    output_attentions: bool = False,
    query_states: Tensor | None = None,
    relative_pos: Tensor | None = None,
    rel_embeddings: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """`DisentangledSelfAttention.forward`; hidden states `[B, L, H]`, mask `[B, 1, L, L]` or `[B, 1, 1, L]`."""
    if query_states is not None:
        context, probabilities = type(self).forward(
            self, hidden_states, attention_mask, output_attentions, query_states, relative_pos, rel_embeddings
        )
        return context, probabilities
    batch, length, _ = hidden_states.shape
    heads = self.num_attention_heads
    hidden_states = _cast_once(hidden_states)
    query, key, value = (
        _by_head(projection(hidden_states), heads) for projection in (self.query_proj, self.key_proj, self.value_proj)
    )
    parts = 1 + sum(kind in self.pos_att_type for kind in ("c2p", "p2c"))
    scale = (query.shape[-1] * parts) ** -0.5
    tables = _distance_tables(self, rel_embeddings, length, scale) if self.relative_attention else (None, None)
    query, key, value = (states.view(heads, batch, length, -1) for states in (query, key, value))
    context, probabilities = _attention(self, query, key, value, attention_mask, scale, *tables)
    return context.permute(1, 2, 0, 3).reshape(batch, length, -1), probabilities if output_attentions else None


def _cast_once(states: Tensor) -> Tensor:
    """The states as autocast would hand them to each of the three projections."""
    kind = states.device.type
    lower = torch.is_autocast_enabled(kind) and states.dtype == torch.float32
    return states.to(torch.get_autocast_dtype(kind)) if lower else states


def _attention(
    self: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scale: float,
    by_query: Tensor | None,
    by_key: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """The context `[heads, B, L, d]` and, where they exist as a whole, the probabilities `[B, heads, L, L]`."""
    shape = (*query.shape[:3], query.shape[2])
    bias = None
    # On a CPU it costs nothing to look whether there is padding at all; a compiler would have to stop there.
    compiling = torch.compiler.is_compiling()
    if query.device.type != "cpu" or compiling or not bool(mask.all()):
        bias = additive_mask(mask, query.dtype).transpose(0, 1).expand(shape)
    drops = self.training and is_fast(self.dropout) and not compiling
    threshold = threshold_of(self.dropout.p, query) if drops else None
    if threshold is not None:
        return attention_with_dropout(query, key, value, bias, threshold, scale, by_query, by_key), None
    query, key, value = (states.flatten(0, 1) for states in (query, key, value))
    scores = torch.bmm(query * scale, key.transpose(1, 2))
    if by_query is not None or by_key is not None:
        scores = scores + by_distance(with_distances(query, by_query), with_distances(key, by_key))
    if bias is not None:
        scores = scores + bias.flatten(0, 1)
    probabilities = self.dropout(scores.softmax(-1))
    return torch.bmm(probabilities, value).view(*shape[:3], -1), probabilities.view(shape).transpose(0, 1)


def _by_head(projected: Tensor, heads: int) -> Tensor:
    """`[B, L, heads * d]` to `[heads, B * L, d]`: one matrix product a head serves the whole batch."""
    return projected.reshape(-1, heads, projected.shape[-1] // heads).transpose(0, 1).contiguous()


def _distance_tables(self: Any, table: Tensor | None, length: int, scale: float) -> tuple[Tensor | None, Tensor | None]:
    """What queries and what keys are multiplied with, `[heads, d, 2L - 1]` each; None where the model has no such part.

    For a query the column of key j is j - i + L - 1, for a key that of query i is i - j + L - 1.
    """
    if table is None:
        raise ValueError("relative attention needs rel_embeddings")
    table = self.pos_dropout(table)[_distance_rows(self, length, table.device)]
    heads = self.num_attention_heads
    by_query = by_key = None
    if "c2p" in self.pos_att_type:
        project = self.key_proj if self.share_att_key else self.pos_key_proj
        by_query = _by_head(project(table) * scale, heads).transpose(1, 2)
    if "p2c" in self.pos_att_type:
        project = self.query_proj if self.share_att_key else self.pos_query_proj
        by_key = _by_head(project(table) * scale, heads).flip(1).transpose(1, 2)
    return by_query, by_key


def _distance_rows(self: Any, length: int, device: torch.device) -> Tensor:
    """Row of the position table for each distance i - j from L - 1 down to 1 - L, int64 `[2L - 1]`."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    distance: Tensor = torch.arange(length - 1, -length, -1, device=device)
    if self.position_buckets > 0 and self.max_relative_positions > 0:
        distance = make_log_bucket_position(distance, self.position_buckets, self.max_relative_positions)
    middle = int(self.pos_ebd_size)
    return (distance.long() + middle).clamp(0, 2 * middle - 1)
