"""Attention scores that depend on the distance of two tokens, read from products by a strided view.

A product of a row's query with the vectors of all 2L - 1 distances that occur holds every score that the row needs, in
order: element (i, j) of the L x L square lies at column j - i + L - 1 of row i. No index tensors are made.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def by_distance(by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    """`[N, L, 2L - 1]` by query and by key, one of which may be None, to scores `[N, L, L]`.

    out[i, j] = by_query[i, j - i + L - 1] + by_key[j, i - j + L - 1]
    """
    scores: Tensor = _ByDistance.apply(by_query, by_key)
    return scores


class _ByDistance(torch.autograd.Function):
    """See `by_distance`."""

    @staticmethod
    def forward(ctx: Any, by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
        ctx.shapes = [None if products is None else products.shape for products in (by_query, by_key)]
        return sum_by_distance(by_query, by_key)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        made: list[Tensor | None] = []
        for shape, gradient in zip(ctx.shapes, (gradients[0], gradients[0].transpose(1, 2)), strict=True):
            made.append(None if shape is None else gradient.new_zeros(shape))
            if made[-1] is not None:
                diagonals(made[-1]).copy_(gradient)
        return tuple(made)


def with_distances(states: Tensor, table: Tensor) -> Tensor:
    """Queries or keys `[M * N, L, d]` times the vectors `[M, d, 2L - 1]` of their M heads: `[M * N, L, 2L - 1]`."""
    products = torch.bmm(states.view(len(table), -1, states.shape[-1]), table)
    return products.view(*states.shape[:2], -1)


def sum_by_distance(by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    """`by_distance` without gradients."""
    if by_query is None:
        assert by_key is not None
        return diagonals(by_key).transpose(1, 2).contiguous()
    if by_key is None:
        return diagonals(by_query).contiguous()
    return torch.add(diagonals(by_query), diagonals(by_key).transpose(1, 2))


def diagonals(products: Tensor) -> Tensor:
    """The view `[N, L, L]` of a contiguous tensor `[N, L, 2L - 1]`: row i from its column L - 1 - i on."""
    number, length, width = products.shape
    offset = products.storage_offset() + length - 1
    return products.as_strided((number, length, length), (length * width, width - 1, 1), offset)
