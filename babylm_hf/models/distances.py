"""Attention scores that depend on the distance of two tokens, read from products by a strided view.

A product of a row's query with the vectors of all 2L - 1 distances that occur holds every score that the row needs, in
order: element (i, j) of the L x L square lies at column j - i + L - 1 of row i. No index tensors are made.

What reads and writes the squares are operators of their own, which `torch.compile` calls as they are: the loops that it
makes of such views are several times slower.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("babylm_hf::by_distance", mutates_args=())
def by_distance(by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    """`[N, L, 2L - 1]` by query and by key, one of which may be None, to scores `[N, L, L]`.

    out[i, j] = by_query[i, j - i + L - 1] + by_key[j, i - j + L - 1]
    """
    return sum_by_distance(by_query, by_key)


@by_distance.register_fake
def _(by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    given = by_query if by_query is not None else by_key
    assert given is not None
    return given.new_empty(given.shape[0], given.shape[1], given.shape[1])


@torch.library.custom_op("babylm_hf::spread_by_distance", mutates_args=())
def _spread(gradient: Tensor) -> Tensor:
    """The gradient `[N, L, L]` of the scores as that of the products `[N, L, 2L - 1]`."""
    number, length, _ = gradient.shape
    products = gradient.new_zeros(number, length, 2 * length - 1)
    diagonals(products).copy_(gradient)
    return products


@_spread.register_fake
def _(gradient: Tensor) -> Tensor:
    return gradient.new_empty(gradient.shape[0], gradient.shape[1], 2 * gradient.shape[1] - 1)


def _remember(ctx: Any, inputs: tuple[Tensor | None, Tensor | None], output: Tensor) -> None:
    ctx.given = [products is not None for products in inputs]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    by_query, by_key = ctx.given
    return _spread(gradient) if by_query else None, _spread(gradient.transpose(1, 2)) if by_key else None


by_distance.register_autograd(_backward, setup_context=_remember)


def with_distances(states: Tensor, table: Tensor | None) -> Tensor | None:
    """Queries or keys `[M * N, L, d]` times the vectors `[M, d, 2L - 1]` of their M heads: `[M * N, L, 2L - 1]`."""
    if table is None:
        return None
    products = torch.bmm(states.view(len(table), -1, states.shape[-1]), table)
    return products.view(*states.shape[:2], -1)


def sum_by_distance(by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    """`by_distance` without gradients."""
    if by_query is None:
        assert by_key is not None
        return diagonals(by_key).transpose(1, 2).clone(memory_format=torch.contiguous_format)
    if by_key is None:
        return diagonals(by_query).clone(memory_format=torch.contiguous_format)
    return torch.add(diagonals(by_query), diagonals(by_key).transpose(1, 2))


def diagonals(products: Tensor) -> Tensor:
    """The view `[N, L, L]` of a contiguous tensor `[N, L, 2L - 1]`: row i from its column L - 1 - i on."""
    number, length, width = products.shape
    if length == 1:
        return products
    # From one row to the next it is one column less than a whole row.
    shorter = products.view(number, -1)[:, length - 1 : length - 1 + length * (width - 1)]
    return shorter.view(number, length, width - 1)[:, :, :length]
