"""Attention whose dropout is drawn at the speed of memory, for stock models that train on a CPU.

torch's `scaled_dot_product_attention` has no kernel for a CPU with dropout: it makes every step of the plain formula a
pass over all L x L probabilities, and draws their dropout one by one. Here the formula is worked through a few heads at
a time, so that scores and random bits stay in a core's cache, and kept are the probabilities and what was dropped.

    use_fast_attention_dropout(model)      # any model that takes its attention from transformers' AttentionInterface

Without dropout and off a CPU it is the stock attention, under `torch.compile` the plain formula. The choice is not
saved with a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .distances import diagonals, sum_by_distance, with_distances
from .dropout import LEVELS, Draws, fast_dropout, scaled_product, threshold_of

NAME = "sdpa_fast_dropout"
_CHUNK = 1 << 20
"""Probabilities worked on at a time."""


def use_fast_attention_dropout(model: Any) -> bool:
    """Have a stock model with `sdpa` attention use this one; returns whether it is of that kind."""
    if getattr(getattr(model, "config", None), "_attn_implementation", None) != "sdpa":
        return False
    try:
        if not model._can_set_attn_implementation():
            return False
    except AttributeError:
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """As `sdpa_attention_forward` of transformers: states `[B, H, L, d]` to `[B, L, H, d]`."""
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    plain = query.shape == key.shape == value.shape and not (causal and attention_mask is None)
    threshold = threshold_of(dropout, query)
    if threshold is None or not plain:
        context, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **rest
        )
        return context, None
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    bias = attention_mask
    if bias is not None and bias.dtype == torch.bool:
        bias = additive_mask(bias, query.dtype)
    if bias is not None:
        bias = bias.to(query.dtype).expand(*query.shape[:3], -1)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if torch.compiler.is_compiling():  # what the loop below saves, a compiler saves in its way
        scores = torch.matmul(query * scale, key.transpose(-1, -2))
        probabilities = (scores if bias is None else scores + bias).softmax(-1)
        context = torch.matmul(fast_dropout(probabilities, dropout), value)
    else:
        context = attention_with_dropout(query, key, value, bias, threshold, scale)
    return context.transpose(1, 2).contiguous(), None


@torch.library.custom_op("babylm_hf::additive_mask", mutates_args=())
def additive_mask(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What scores get by a mask of any dtype: 0 where it is true, else half of the lowest number.

    The other half is room for the scores. An operator of its own, as compiled loops would read the mask for every head.
    """
    made = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return made.masked_fill_(~seen.bool(), torch.finfo(dtype).min / 2)


@additive_mask.register_fake
def _(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty(seen.shape, dtype=dtype, device=seen.device)


def attention_with_dropout(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    threshold: int,
    scale: float,
    by_query: Tensor | None = None,
    by_key: Tensor | None = None,
) -> Tensor:
    """softmax(scale * q k^T + bias + what distances add), dropout, times v, on a CPU.

    Args:
        query, key, value: `[M, N, L, d]`, examples and heads in either order; the result is of that shape.
        bias: `[M, N, L, L]`, without gradient.
        threshold: of 65,536 levels those that are dropped.
        scale: of the products.
        by_query, by_key: `[M, d, 2L - 1]`, vectors of the distances; their products with the queries and the keys are
            added as in `distances.by_distance`.
    """
    context: Tensor = _Attention.apply(query, key, value, bias, by_query, by_key, threshold, scale)
    return context


class _Attention(torch.autograd.Function):
    """See `attention_with_dropout`."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        by_query: Tensor | None,
        by_key: Tensor | None,
        threshold: int,
        scale: float,
    ) -> Tensor:
        outer, inner, length, size = query.shape
        ctx.scales = scale, LEVELS / (LEVELS - threshold)
        query, key, value = (states.reshape(-1, length, size) for states in (query, key, value))
        probabilities = query.new_empty(len(query), length, length)
        keep, draws = torch.empty_like(probabilities), Draws(threshold)
        context, nothing = torch.empty_like(query), query.new_zeros(())
        for rows, part in _parts(outer, inner, length):
            given = nothing if bias is None else bias[rows].reshape(-1, length, length)
            if by_query is not None or by_key is not None:
                products = (
                    with_distances(states[part], None if table is None else table[rows])
                    for states, table in ((query, by_query), (key, by_key))
                )
                distances = sum_by_distance(*products)
                given = distances if bias is None else given + distances
            scores = torch.baddbmm(given, query[part], key[part].transpose(1, 2), beta=given.dim() > 0, alpha=scale)
            chances = torch.softmax(scores, -1, out=probabilities[part])
            draws.fill(keep[part])
            torch.bmm(scaled_product(chances, keep[part], ctx.scales[1]), value[part], out=context[part])
        ctx.save_for_backward(query, key, value, by_query, by_key, probabilities, keep)
        return context.view(outer, inner, length, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, by_query, by_key, probabilities, keep = ctx.saved_tensors
        scale, factor = ctx.scales
        shape, gradient = gradients[0].shape, gradients[0].reshape(query.shape)
        of_query, of_key, of_value = (torch.empty_like(query) for _ in range(3))
        of_by_query, of_by_key = (
            None if table is None else table.new_empty(table.shape) for table in (by_query, by_key)
        )
        nothing, parts = query.new_zeros(()), list(_parts(*shape[:3]))
        # As large as the first part, which is the largest; outside the diagonals it stays zero.
        needs_room = of_by_query is not None or of_by_key is not None
        room = query.new_zeros(parts[0][1].stop, shape[2], 2 * shape[2] - 1) if needs_room else nothing
        for rows, part in parts:
            chances, kept, slope = probabilities[part], keep[part], gradient[part]
            torch.bmm(scaled_product(chances, kept, factor).transpose(1, 2), slope, out=of_value[part])
            of_scores = scaled_product(torch.bmm(slope, value[part].transpose(1, 2)), kept, factor)
            torch._softmax_backward_data(of_scores, chances, -1, chances.dtype, grad_input=of_scores)
            flipped = of_scores.transpose(1, 2)
            torch.baddbmm(nothing, of_scores, key[part], beta=0, alpha=scale, out=of_query[part])
            torch.baddbmm(nothing, flipped, query[part], beta=0, alpha=scale, out=of_key[part])
            for states, table, of_states, of_table, slopes in (
                (query, by_query, of_query, of_by_query, of_scores),
                (key, by_key, of_key, of_by_key, flipped),
            ):
                if of_table is not None:
                    spread = room[: len(slopes)]
                    diagonals(spread).copy_(slopes)
                    _distances_backward(spread, states[part], table[rows], of_states[part], of_table[rows])
        return of_query.view(shape), of_key.view(shape), of_value.view(shape), None, of_by_query, of_by_key, None, None


def _distances_backward(spread: Tensor, states: Tensor, table: Tensor, of_states: Tensor, of_table: Tensor) -> None:
    """Backward of `with_distances`, given the gradient of its products: adds to `of_states`, writes `of_table`."""
    of_products = spread.view(len(table), -1, spread.shape[-1])
    by_head = (len(table), -1, states.shape[-1])
    of_states.view(by_head).baddbmm_(of_products, table.transpose(1, 2))
    torch.bmm(states.view(by_head).transpose(1, 2), of_products, out=of_table)


def _parts(outer: int, inner: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Places of the outer dimension that are worked on together, and those of both dimensions as one."""
    at_once = max(1, _CHUNK // (inner * length * length))
    for start in range(0, outer, at_once):
        end = min(start + at_once, outer)
        yield slice(start, end), slice(start * inner, end * inner)
