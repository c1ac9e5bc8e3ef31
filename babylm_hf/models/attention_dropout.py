"""Attention whose dropout is drawn at the speed of memory, for stock models that train on a CPU.

torch's `scaled_dot_product_attention` has no kernel for a CPU with dropout: it makes every step of the plain formula a
pass over all L x L probabilities, and draws their dropout one by one. Here the formula is worked through a few heads at
a time, so that scores and random bits stay in a core's cache, and kept are the probabilities and what was dropped.

    use_fast_attention_dropout(model)      # any model that takes its attention from transformers' AttentionInterface

Without dropout, off a CPU and under `torch.compile` it is the stock attention. The choice is not saved with a model.
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

from .dropout import LEVELS, Draws, scaled_product, threshold_of

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
        bias = torch.zeros(bias.shape, dtype=query.dtype).masked_fill_(~bias, torch.finfo(query.dtype).min / 2)
    if bias is not None:
        bias = bias.to(query.dtype).expand(*query.shape[:3], -1)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    return attention_with_dropout(query, key, value, bias, threshold, scale).transpose(1, 2).contiguous(), None


def attention_with_dropout(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, threshold: int, scale: float
) -> Tensor:
    """softmax(scale * q k^T + bias), dropout, times v, on a CPU.

    Args:
        query, key, value: `[M, N, L, d]`, examples and heads in either order; the result is of that shape.
        bias: `[M, N, L, L]`; its gradient is made where it is asked for.
        threshold: of 65,536 levels those that are dropped.
        scale: of the products.
    """
    context: Tensor = _Attention.apply(query, key, value, bias, threshold, scale)
    return context


class _Attention(torch.autograd.Function):
    """See `attention_with_dropout`."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, threshold: int, scale: float
    ) -> Tensor:
        outer, inner, length, size = query.shape
        ctx.scales = scale, LEVELS / (LEVELS - threshold)
        query, key, value = (states.reshape(-1, length, size) for states in (query, key, value))
        probabilities = query.new_empty(len(query), length, length)
        keep, draws = torch.empty_like(probabilities), Draws(threshold)
        context, nothing = torch.empty_like(query), query.new_zeros(())
        for rows, part in _parts(outer, inner, length):
            given = nothing if bias is None else bias[rows].reshape(-1, length, length)
            scores = torch.baddbmm(given, query[part], key[part].transpose(1, 2), beta=bias is not None, alpha=scale)
            chances = torch.softmax(scores, -1, out=probabilities[part])
            draws.fill(keep[part])
            torch.bmm(scaled_product(chances, keep[part], ctx.scales[1]), value[part], out=context[part])
        ctx.save_for_backward(query, key, value, probabilities, keep)
        return context.view(outer, inner, length, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, probabilities, keep = ctx.saved_tensors
        scale, factor = ctx.scales
        shape, gradient = gradients[0].shape, gradients[0].reshape(query.shape)
        of_query, of_key, of_value = (torch.empty_like(query) for _ in range(3))
        nothing = query.new_zeros(())
        of_bias = torch.empty_like(probabilities) if ctx.needs_input_grad[3] else None
        for _, part in _parts(*shape[:3]):
            chances, kept, slope = probabilities[part], keep[part], gradient[part]
            torch.bmm(scaled_product(chances, kept, factor).transpose(1, 2), slope, out=of_value[part])
            of_chances = scaled_product(torch.bmm(slope, value[part].transpose(1, 2)), kept, factor)
            of_scores = of_chances if of_bias is None else of_bias[part]
            torch._softmax_backward_data(of_chances, chances, -1, chances.dtype, grad_input=of_scores)
            torch.baddbmm(nothing, of_scores, key[part], beta=0, alpha=scale, out=of_query[part])
            torch.baddbmm(nothing, of_scores.transpose(1, 2), query[part], beta=0, alpha=scale, out=of_key[part])
        if of_bias is not None:
            of_bias = of_bias.view(*shape[:3], -1)
        return of_query.view(shape), of_key.view(shape), of_value.view(shape), of_bias, None, None


def _parts(outer: int, inner: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Places of the outer dimension that are worked on together, and those of both dimensions as one."""
    at_once = max(1, _CHUNK // (inner * length * length))
    for start in range(0, outer, at_once):
        end = min(start + at_once, outer)
        yield slice(start, end), slice(start * inner, end * inner)
