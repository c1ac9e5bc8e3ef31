"""The parts of the masked-diffusion encoder: embeddings, time, attention, feed-forward, head.

The position part of an attention score depends on the distance i - j alone: it is computed for the 2L - 1 distances of
a row and read as an L x L square by a strided view, then given to `scaled_dot_product_attention` as its bias.

This file travels with the weights and needs torch and transformers only.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_babylm_diffusion import BabyLMDiffusionConfig

# No probability in any dtype, yet finite, so that sums of p log p stay numbers.
IMPOSSIBLE = -1e4


def distance_buckets(length: int, bucket_size: int, max_position: int, device: torch.device | None = None) -> Tensor:
    """The position vector of every distance in a row: int64 `[2 length - 1]`, for distances 1 - length to length - 1.

    With K the bucket size, vector K - 1 + d belongs to a distance d within +-K/2; beyond, buckets grow with the
    logarithm of the distance, and from `max_position` - 1 on there is one for all.
    """
    distance = torch.arange(1 - length, length, device=device)
    middle = bucket_size // 2
    size = distance.abs().clamp(min=middle, max=max_position - 1).float()
    growth = torch.log(size / middle) / math.log((max_position - 1) / middle) * (middle - 1)
    far = (torch.ceil(growth).long() + middle).clamp(max=bucket_size - 1)
    return bucket_size - 1 + torch.where(distance.abs() <= middle, distance, far * distance.sign())


class _PositionScores(torch.autograd.Function):
    """Two `[N, L, 2L - 1]` to `[N, L, L]`: out[i, j] = by_query[i, j - i + L - 1] + by_key[j, i - j + L - 1]."""

    @staticmethod
    def forward(ctx: Any, by_query: Tensor, by_key: Tensor) -> Tensor:
        ctx.shape = by_query.shape
        return torch.add(_diagonals(by_query), _diagonals(by_key).transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        by_query, by_key = (gradients[0].new_zeros(ctx.shape) for _ in range(2))
        _diagonals(by_query).copy_(gradients[0])
        _diagonals(by_key).copy_(gradients[0].transpose(1, 2))
        return by_query, by_key


def _diagonals(by_distance: Tensor) -> Tensor:
    """The view behind `_PositionScores` of a contiguous tensor: each row starts one column before the row above it."""
    number, length, width = by_distance.shape
    offset = by_distance.storage_offset() + length - 1
    return by_distance.as_strided((number, length, length), (length * width, width - 1, 1), offset)


class ScaledLinear(nn.Linear):
    """A linear layer whose weights start at `init_scale` times the usual size."""

    def __init__(self, in_features: int, out_features: int, bias: bool, init_scale: float) -> None:
        self.init_scale = init_scale
        super().__init__(in_features, out_features, bias=bias)


class DiffusionEmbeddings(nn.Module):
    """Word vectors, normed; and the position vectors that all layers share."""

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.word_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False)
        self.relative_embeddings = nn.Embedding(2 * config.position_bucket_size - 1, config.hidden_size)
        self.relative_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states `[B, L, D]` and position vectors `[2K - 1, D]`."""
        hidden = self.dropout(self.word_layer_norm(self.word_embeddings(input_ids)))
        return hidden, self.dropout(self.relative_layer_norm(self.relative_embeddings.weight))


class TimeEmbedding(nn.Module):
    """The mask rate of each row as a vector of width c: sines and cosines of the rate itself, then two layers."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.dense_in = nn.Linear(size, width)
        self.dense_out = nn.Linear(width, width)

    def forward(self, mask_rate: Tensor) -> Tensor:
        """Float `[B]` in [0, 1] to `[B, c]`."""
        half = self.size // 2
        frequencies = torch.exp(-math.log(10000.0) / half * torch.arange(half, device=mask_rate.device))
        phases = mask_rate.float()[:, None] * frequencies
        waves = torch.cat((phases.cos(), phases.sin()), dim=-1).to(self.dense_in.weight.dtype)
        return F.silu(self.dense_out(F.silu(self.dense_in(waves))))


class DiffusionAttention(nn.Module):
    """Attention with relative positions whose context is gated before the output projection."""

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.scale = 1.0 / math.sqrt(3 * (width // self.heads))
        self.query_key = nn.Linear(width, 2 * width)
        self.value_gate = nn.Linear(width, 2 * width)
        self.context_layer_norm = nn.LayerNorm(width, config.layer_norm_eps, elementwise_affine=False)
        self.dense_out = nn.Linear(width, width)
        self.probs_dropout = nn.Dropout(config.attention_probs_dropout_prob)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor, positions: Tensor, buckets: Tensor, padding: Tensor | None) -> Tensor:
        """`[B, L, D]` to the same.

        Args:
            hidden: normed states.
            positions: position vectors `[2K - 1, D]`.
            buckets: the vector of each distance, from L - 1 down to 1 - L, int64 `[2L - 1]`.
            padding: `[1, B, 1, L]` for the scores, far below 0 where there is no token; None where every position
                holds one.
        """
        query, key = (self._by_head(part) for part in self.query_key(hidden).chunk(2, dim=-1))
        value, gate = self.value_gate(hidden).chunk(2, dim=-1)
        context = self._context(query, key, self._by_head(value), positions, buckets, padding)
        context = context.permute(1, 2, 0, 3).flatten(2) * F.gelu(gate)
        update: Tensor = self.dropout(self.dense_out(self.context_layer_norm(context)))
        return update

    def _by_head(self, states: Tensor) -> Tensor:
        """`[B, L, D]` to `[H, B, L, D / H]`: a head's product with the position vectors serves all rows at once."""
        parts: Tensor = states.unflatten(-1, (self.heads, -1))
        return parts.permute(2, 0, 1, 3).contiguous()

    def _context(
        self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor, buckets: Tensor, padding: Tensor | None
    ) -> Tensor:
        """Values averaged by attention, all `[H, B, L, D / H]`."""
        heads, batch, length, _ = query.shape
        shape = (heads, batch, length, length)
        bias = self.position_scores(query, key, positions, buckets)
        if padding is not None:
            bias.view(shape).add_(padding.to(bias.dtype))
        if not (self.training and query.device.type == "cpu"):
            dropout = self.probs_dropout.p if self.training else 0.0
            return F.scaled_dot_product_attention(
                query, key, value, attn_mask=bias.view(shape), dropout_p=dropout, scale=self.scale
            )
        # With a bias and dropout torch's attention has no kernel of its own for a CPU; this is what it would do.
        query, key, value = (part.flatten(0, 1) for part in (query, key, value))
        scores = torch.baddbmm(bias.view(-1, length, length), query, key.transpose(1, 2), alpha=self.scale)
        return torch.bmm(self.probs_dropout(scores.softmax(-1)), value).view(heads, batch, length, -1)

    def position_scores(self, query: Tensor, key: Tensor, positions: Tensor, buckets: Tensor) -> Tensor:
        """The scaled part of the scores that goes by distance, `[H * B, L, L]`: q_i . k_d + k_j . q_d, d = i - j."""
        projected = (self.query_key(positions) * self.scale).to(query.dtype)
        # [H, D / H, 2K - 1], and with `buckets` one column for every distance of the row.
        position_query, position_key = (
            part.unflatten(-1, (self.heads, -1)).permute(1, 2, 0) for part in projected.chunk(2, dim=-1)
        )
        length = query.shape[2]
        content_to_position = torch.bmm(query.flatten(1, 2), position_key[..., buckets])
        # For a key the distances run the other way: row j needs i - j for i = 0, 1, ... as its columns.
        position_to_content = torch.bmm(key.flatten(1, 2), position_query[..., buckets.flip(0)])
        shape = (-1, length, 2 * length - 1)
        scores: Tensor = _PositionScores.apply(content_to_position.view(shape), position_to_content.view(shape))
        return scores


class DiffusionFeedForward(nn.Module):
    """a * gelu(b) between two projections without bias, normed in the middle; weights start smaller in later layers."""

    def __init__(self, config: BabyLMDiffusionConfig, layer: int) -> None:
        super().__init__()
        scale = math.sqrt(1.0 / (2.0 * (1 + layer)))
        self.dense_in = ScaledLinear(config.hidden_size, 2 * config.intermediate_size, False, scale)
        self.layer_norm = nn.LayerNorm(config.intermediate_size, config.layer_norm_eps, elementwise_affine=False)
        self.dense_out = ScaledLinear(config.intermediate_size, config.hidden_size, False, scale)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: Tensor, hidden: Tensor, scale: Tensor | None) -> Tensor:
        """What is made of normed `states` is added to `hidden`, times `scale`; all `[..., D]`.

        All that goes on is handed over, so that in the last layer a caller may choose positions in front of it.
        """
        value, gate = self.dense_in(states).chunk(2, dim=-1)
        update: Tensor = self.dropout(self.dense_out(self.layer_norm(value * F.gelu(gate, approximate="tanh"))))
        return hidden + update if scale is None else torch.addcmul(hidden, scale, update)


class DiffusionLayer(nn.Module):
    """Attention and feed-forward, each on normed (and modulated) states and added to them (behind a gate)."""

    def __init__(self, config: BabyLMDiffusionConfig, layer: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False)
        self.attention = DiffusionAttention(config)
        self.feed_forward = DiffusionFeedForward(config, layer)
        self.modulation = None
        if config.conditioning_size:
            self.modulation = ScaledLinear(config.conditioning_size, 6 * config.hidden_size, True, 0.0)

    def forward(
        self, hidden: Tensor, time: Tensor | None, positions: Tensor, buckets: Tensor, padding: Tensor | None
    ) -> Tensor:
        """`[B, L, D]` to the same; `time` is `[B, c]`, or None without conditioning."""
        if self.modulation is None:
            hidden = hidden + self.attention(self.layer_norm(hidden), positions, buckets, padding)
            after: Tensor = self.feed_forward(self.layer_norm(hidden), hidden, None)
            return after
        shift, scale, gate, ff_shift, ff_scale, ff_gate = self.modulation(time)[:, None, :].chunk(6, dim=-1)
        update = self.attention(self._modulated(hidden, shift, scale), positions, buckets, padding)
        hidden = torch.addcmul(hidden, gate, update)
        states = self._modulated(hidden, ff_shift, ff_scale)
        after = self.feed_forward(states, hidden, ff_gate.expand_as(hidden))
        return after

    def _modulated(self, hidden: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return torch.addcmul(shift, self.layer_norm(hidden), 1 + scale)


class DiffusionHead(nn.Module):
    """From hidden states to the logits of the vocabulary, position by position."""

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__()
        self.suppressed = config.mask_token_id if config.suppress_mask else None
        self.layer_norm_in = nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.layer_norm_out = nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[..., D]` to `[..., V]`."""
        hidden = self.layer_norm_out(F.gelu(self.dense(self.layer_norm_in(hidden))))
        bias: Tensor = self.decoder.bias
        if self.suppressed is not None:
            bias = bias.index_fill(
                0, torch.arange(self.suppressed, self.suppressed + 1, device=bias.device), IMPOSSIBLE
            )
        return F.linear(self.dropout(hidden), self.decoder.weight, bias)
