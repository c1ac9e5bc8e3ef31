"""DeBERTa-v2's disentangled attention, the same numbers for a fraction of the work.

A score of the stock implementation has a content part and two position parts that depend on the distance i - j alone
(He et al. 2021, "DeBERTa", section 3.1). It projects the whole table of positions anew for every example and collects
the L x L scores with index tensors. Here the 2L - 1 distances that occur are projected once per head, and the scores
are read from the products by a strided view: element (i, j) of the square lies at column j - i + L - 1 of row i.

The weights are the stock module's own, so a model may change over at any time, and what is saved is a stock model.
Dropout has the stock rates but draws in another order. Price: custom autograd for the view, and no second set of query
states (the stock method is called where there is one).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from .attention_dropout import attention_with_dropout
from .dropout import is_fast, threshold_of


def use_fast_attention(model: nn.Module) -> int:
    """Give every DeBERTa-v2 self-attention of `model` the fast forward; returns how many there were (0 elsewhere)."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention

    found = [module for module in model.modules() if isinstance(module, DisentangledSelfAttention)]
    for module in found:
        module.forward = MethodType(_forward, module)
    return len(found)


class _ByDistance(torch.autograd.Function):
    """`[N, L, 2L - 1]` by query and by key, either may be None, to scores `[N, L, L]`.

    out[i, j] = by_query[i, j - i + L - 1] + by_key[j, i - j + L - 1]
    """

    @staticmethod
    def forward(ctx: Any, by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
        ctx.shapes = [None if products is None else products.shape for products in (by_query, by_key)]
        if by_query is None or by_key is None:
            only = _diagonals(by_query) if by_query is not None else _diagonals(by_key).transpose(1, 2)
            return only.contiguous()
        return torch.add(_diagonals(by_query), _diagonals(by_key).transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        made: list[Tensor | None] = []
        for shape, gradient in zip(ctx.shapes, (gradients[0], gradients[0].transpose(1, 2)), strict=True):
            made.append(None if shape is None else gradient.new_zeros(shape))
            if shape is not None:
                _diagonals(made[-1]).copy_(gradient)
        return tuple(made)


def _diagonals(products: Tensor | None) -> Tensor:
    """The view behind `_ByDistance` of a contiguous tensor `[N, L, 2L - 1]`."""
    assert products is not None
    number, length, width = products.shape
    offset = products.storage_offset() + length - 1
    return products.as_strided((number, length, length), (length * width, width - 1, 1), offset)


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
    query, key, value = (
        _by_head(projection(hidden_states), heads) for projection in (self.query_proj, self.key_proj, self.value_proj)
    )
    parts = 1 + sum(kind in self.pos_att_type for kind in ("c2p", "p2c"))
    query = query * (query.shape[-1] * parts) ** -0.5
    bias = _position_scores(self, query, key, rel_embeddings, length, parts) if self.relative_attention else None
    query, key, value = (states.view(heads, batch, length, -1) for states in (query, key, value))
    context, probabilities = _attention(self, query, key, value, bias, attention_mask)
    return context.permute(1, 2, 0, 3).reshape(batch, length, -1), probabilities if output_attentions else None


def _attention(
    self: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Tensor
) -> tuple[Tensor, Tensor | None]:
    """The context `[heads, B, L, d]` and, where they exist as a whole, the probabilities `[B, heads, L, L]`."""
    heads, batch, length, _ = query.shape
    shape = (heads, batch, length, length)
    bias = query.new_zeros(shape) if bias is None else bias.view(shape)
    # On a CPU it costs nothing to look whether there is padding at all.
    if query.device.type != "cpu" or not bool(mask.all()):
        # Half of the lowest number leaves room for the scores that are added to it.
        bias = bias.masked_fill(~mask.bool().transpose(0, 1), torch.finfo(bias.dtype).min / 2)
    threshold = threshold_of(self.dropout.p, query) if self.training and is_fast(self.dropout) else None
    if threshold is not None:
        return attention_with_dropout(query, key, value, bias, threshold, 1.0), None
    query, key, value = (states.flatten(0, 1) for states in (query, key, value))
    probabilities = torch.baddbmm(bias.flatten(0, 1), query, key.transpose(1, 2)).softmax(-1)
    probabilities = self.dropout(probabilities)
    return torch.bmm(probabilities, value).view(heads, batch, length, -1), probabilities.view(shape).transpose(0, 1)


def _by_head(projected: Tensor, heads: int) -> Tensor:
    """`[B, L, heads * d]` to `[heads, B * L, d]`: one matrix product a head serves the whole batch."""
    return projected.reshape(-1, heads, projected.shape[-1] // heads).transpose(0, 1).contiguous()


def _position_scores(
    self: Any, query: Tensor, key: Tensor, table: Tensor | None, length: int, parts: int
) -> Tensor | None:
    """The two position parts of the scores, `[heads * B, L, L]`; `query` is scaled already."""
    if table is None:
        raise ValueError("relative attention needs rel_embeddings")
    table = self.pos_dropout(table)[_distance_rows(self, length, table.device)]
    heads = self.num_attention_heads
    shape, by_query, by_key = (-1, length, 2 * length - 1), None, None
    if "c2p" in self.pos_att_type:
        project = self.key_proj if self.share_att_key else self.pos_key_proj
        by_query = torch.bmm(query, _by_head(project(table), heads).transpose(1, 2)).view(shape)
    if "p2c" in self.pos_att_type:
        project = self.query_proj if self.share_att_key else self.pos_query_proj
        positions = _by_head(project(table), heads).flip(1) * (query.shape[-1] * parts) ** -0.5
        by_key = torch.bmm(key, positions.transpose(1, 2)).view(shape)
    if by_query is None and by_key is None:
        return None
    scores: Tensor = _ByDistance.apply(by_query, by_key)
    return scores


def _distance_rows(self: Any, length: int, device: torch.device) -> Tensor:
    """Row of the position table for each distance i - j from L - 1 down to 1 - L, int64 `[2L - 1]`."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    distance: Tensor = torch.arange(length - 1, -length, -1, device=device)
    if self.position_buckets > 0 and self.max_relative_positions > 0:
        distance = make_log_bucket_position(distance, self.position_buckets, self.max_relative_positions)
    middle = int(self.pos_ebd_size)
    return (distance.long() + middle).clamp(0, 2 * middle - 1)
