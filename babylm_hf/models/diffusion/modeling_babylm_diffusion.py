"""A masked-diffusion language model: a bidirectional encoder that is told what share of its input is masked.

Kosmopoulou et al. 2025, "Masked Diffusion Language Models with Frequency-Informed Training" (arXiv 2509.05056), on the
encoder of LTG-BERT and GPT-BERT: layer norms without weights before and inside both sub-layers, gated attention with
bucketed relative positions, gated feed-forward layers, and adaLN-zero conditioning on the mask rate.

This file travels with the weights and needs torch and transformers only. The position part of an attention score
depends on the distance i - j alone: it is computed for the 2L - 1 distances of a row and read as an L x L square by a
strided view, then given to `scaled_dot_product_attention` as its bias.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput

from .configuration_babylm_diffusion import BabyLMDiffusionConfig
from .generation_babylm_diffusion import DiffusionGenerationMixin

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


class _ReadByDistance(torch.autograd.Function):
    """`[B, H, L, 2L - 1]` to `[B, H, L, L]`: out[i, j] = x[i, j - i + L - 1]."""

    @staticmethod
    def forward(ctx: Any, by_distance: Tensor) -> Tensor:
        ctx.shape = by_distance.shape
        return _diagonals(by_distance.contiguous()).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        by_distance = gradient.new_zeros(ctx.shape)
        _diagonals(by_distance).copy_(gradient)
        return by_distance


def _diagonals(by_distance: Tensor) -> Tensor:
    """The view behind `_ReadByDistance` of a contiguous tensor: each row starts one column before the row above it."""
    batch, heads, length, width = by_distance.shape
    strides = (heads * length * width, length * width, width - 1, 1)
    return by_distance.as_strided((batch, heads, length, length), strides, by_distance.storage_offset() + length - 1)


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
        self.probs_dropout = config.attention_probs_dropout_prob
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor, positions: Tensor, buckets: Tensor, padding: Tensor | None) -> Tensor:
        """`[B, L, D]` to the same.

        Args:
            hidden: normed states.
            positions: position vectors `[2K - 1, D]`.
            buckets: the vector of each distance, from L - 1 down to 1 - L, int64 `[2L - 1]`.
            padding: bool `[B, 1, 1, L]`, True where there is no token; None where every position holds one.
        """
        query, key = (self._by_head(part) for part in self.query_key(hidden).chunk(2, dim=-1))
        value, gate = self.value_gate(hidden).chunk(2, dim=-1)
        bias = self.position_scores(query, key, positions, buckets)
        if padding is not None:
            bias = bias.masked_fill_(padding, torch.finfo(bias.dtype).min)
        dropout = self.probs_dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(
            query, key, self._by_head(value), attn_mask=bias, dropout_p=dropout, scale=self.scale
        )
        context = context.transpose(1, 2).flatten(2) * F.gelu(gate)
        return self.dropout(self.dense_out(self.context_layer_norm(context)))

    def _by_head(self, states: Tensor) -> Tensor:
        """`[..., L, D]` to `[..., H, L, D / H]`."""
        return states.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def position_scores(self, query: Tensor, key: Tensor, positions: Tensor, buckets: Tensor) -> Tensor:
        """The scaled part of the scores that depends on distances, `[B, H, L, L]`: q_i . k_d + k_j . q_d, d = i - j."""
        projected = (self.query_key(positions) * self.scale).to(query.dtype)
        # [H, 2K - 1, D / H], and with `buckets` one column for every distance of the row.
        position_query, position_key = (self._by_head(part) for part in projected.chunk(2, dim=-1))
        content_to_position = query @ position_key[:, buckets].transpose(-1, -2)
        # For a key the distances run the other way: row j needs i - j for i = 0, 1, ... as its columns.
        position_to_content = key @ position_query[:, buckets.flip(0)].transpose(-1, -2)
        by_query = _ReadByDistance.apply(content_to_position)
        by_key = _ReadByDistance.apply(position_to_content)
        return by_query + by_key.transpose(-1, -2)


class DiffusionFeedForward(nn.Module):
    """a * gelu(b) between two projections without bias, normed in the middle; weights start smaller in later layers."""

    def __init__(self, config: BabyLMDiffusionConfig, layer: int) -> None:
        super().__init__()
        scale = math.sqrt(1.0 / (2.0 * (1 + layer)))
        self.dense_in = ScaledLinear(config.hidden_size, 2 * config.intermediate_size, False, scale)
        self.layer_norm = nn.LayerNorm(config.intermediate_size, config.layer_norm_eps, elementwise_affine=False)
        self.dense_out = ScaledLinear(config.intermediate_size, config.hidden_size, False, scale)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[B, L, D]` to the same."""
        value, gate = self.dense_in(hidden).chunk(2, dim=-1)
        return self.dropout(self.dense_out(self.layer_norm(value * F.gelu(gate, approximate="tanh"))))


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
            return hidden + self.feed_forward(self.layer_norm(hidden))
        shift, scale, gate, ff_shift, ff_scale, ff_gate = self.modulation(time)[:, None, :].chunk(6, dim=-1)
        update = self.attention(self._modulated(hidden, shift, scale), positions, buckets, padding)
        hidden = torch.addcmul(hidden, gate, update)
        return torch.addcmul(hidden, ff_gate, self.feed_forward(self._modulated(hidden, ff_shift, ff_scale)))

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


class BabyLMDiffusionPreTrainedModel(PreTrainedModel):
    """What the models have in common: how their weights start."""

    config_class = BabyLMDiffusionConfig
    base_model_prefix = "model"
    _no_split_modules = ["DiffusionLayer"]  # noqa: RUF012 (as in every PreTrainedModel)
    _supports_sdpa = True
    _keys_to_ignore_on_load_unexpected = [r"^head\."]  # noqa: RUF012

    def _init_weights(self, module: nn.Module) -> None:
        """Normal with variance 2 / (5 D), cut at two standard deviations; biases and modulation start at zero."""
        std = math.sqrt(2.0 / (5.0 * self.config.hidden_size))
        if isinstance(module, nn.Linear | nn.Embedding):
            scaled = std * (module.init_scale if isinstance(module, ScaledLinear) else 1.0)
            if scaled == 0.0:
                nn.init.zeros_(module.weight)
            else:
                nn.init.trunc_normal_(module.weight, mean=0.0, std=scaled, a=-2 * scaled, b=2 * scaled)
        elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
            nn.init.ones_(module.weight)
        if isinstance(bias := getattr(module, "bias", None), Tensor):
            nn.init.zeros_(bias)


class BabyLMDiffusionModel(BabyLMDiffusionPreTrainedModel):
    """The encoder. Its last hidden states are not normed; every head does that itself."""

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__(config)
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(
                f"hidden_size {config.hidden_size} cannot be shared among {config.num_attention_heads} attention heads"
            )
        self.embeddings = DiffusionEmbeddings(config)
        self.time = None
        if config.conditioning_size:
            self.time = TimeEmbedding(config.time_embedding_size, config.conditioning_size)
        self.layers = nn.ModuleList(DiffusionLayer(config, layer) for layer in range(config.num_hidden_layers))
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The word vectors."""
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the word vectors."""
        self.embeddings.word_embeddings = value

    def rates_of(self, input_ids: Tensor, attention_mask: Tensor | None, mask_rate: Tensor | float | None) -> Tensor:
        """What each row is conditioned on, float32 `[B]`: `mask_rate`, or what `config.default_mask_rate` says."""
        rows, device = len(input_ids), input_ids.device
        if mask_rate is not None:
            return torch.as_tensor(mask_rate, dtype=torch.float32, device=device).expand(rows)
        if self.config.default_mask_rate == "zero":
            return torch.zeros(rows, device=device)
        present = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        if self.config.default_mask_rate == "inverse_length":
            return 1.0 / present.sum(-1).clamp_min(1).float()
        masked = (input_ids == self.config.mask_token_id) & present
        special = torch.tensor(self.config.special_token_ids or [], dtype=input_ids.dtype, device=device)
        ordinary = present & (masked | ~torch.isin(input_ids, special))
        return masked.sum(-1).float() / ordinary.sum(-1).clamp_min(1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        mask_rate: Tensor | float | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Hidden states of every position.

        Args:
            input_ids: int64 `[B, L]`, masked tokens as the mask token.
            attention_mask: `[B, L]`, 0 at padding.
            mask_rate: the share of tokens that is masked, in [0, 1], float `[B]` or one number for all rows; without it
                `config.default_mask_rate` decides.
            token_type_ids: not used; some tokenizers make them.
            output_hidden_states: also return the states before the first and after every layer.
            return_dict: False for a tuple.
        """
        hidden, positions = self.embeddings(input_ids)
        time = None if self.time is None else self.time(self.rates_of(input_ids, attention_mask, mask_rate))
        config = self.config
        buckets = distance_buckets(
            input_ids.shape[1], config.position_bucket_size, config.max_position_embeddings, input_ids.device
        ).flip(0)
        padding = None if attention_mask is None else ~attention_mask.bool()[:, None, None, :]
        wanted = output_hidden_states if output_hidden_states is not None else config.output_hidden_states
        states = [hidden]
        for layer in self.layers:
            hidden = layer(hidden, time, positions, buckets, padding)
            if wanted:
                states.append(hidden)
        output = BaseModelOutput(last_hidden_state=hidden, hidden_states=tuple(states) if wanted else None)
        return output if _as_dict(config, return_dict) else output.to_tuple()


class BabyLMDiffusionForMaskedLM(BabyLMDiffusionPreTrainedModel, DiffusionGenerationMixin):
    """The encoder with its vocabulary head, whose word vectors are those of the input."""

    _tied_weights_keys = {"head.decoder.weight": "model.embeddings.word_embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__(config)
        self.model = BabyLMDiffusionModel(config)
        self.head = DiffusionHead(config)
        self.post_init()

    @classmethod
    def can_generate(cls) -> bool:
        """False: transformers means generation from left to right by it."""
        return False

    def get_output_embeddings(self) -> nn.Linear:
        """The last layer of the head."""
        return self.head.decoder

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replace the last layer of the head."""
        self.head.decoder = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        mask_rate: Tensor | float | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Logits `[B, L, V]` of the unmasked token at every position, from states at the same position.

        Args:
            labels: int64 `[B, L]`, -100 where there is no target. The loss is their mean cross-entropy in nats, without
                the weights of the diffusion objective, which belong to the noise schedule and not to the model.

        The other arguments are the encoder's.
        """
        output = self.model(
            input_ids, attention_mask, mask_rate, output_hidden_states=output_hidden_states, return_dict=True
        )
        logits = self.head(output.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=-100)
        made = MaskedLMOutput(loss=loss, logits=logits, hidden_states=output.hidden_states)
        return made if _as_dict(self.config, return_dict) else made.to_tuple()


class BabyLMDiffusionForSequenceClassification(BabyLMDiffusionPreTrainedModel):
    """The encoder with a classifier on the first position, for fine-tuning; by default at mask rate zero."""

    def __init__(self, config: BabyLMDiffusionConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        dropout = config.classifier_dropout if config.classifier_dropout is not None else config.hidden_dropout_prob
        self.model = BabyLMDiffusionModel(config)
        self.classifier = nn.Sequential(
            nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.GELU(),
            nn.LayerNorm(config.hidden_size, config.layer_norm_eps, elementwise_affine=False),
            nn.Dropout(dropout),
            nn.Linear(config.hidden_size, config.num_labels),
        )
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        mask_rate: Tensor | float | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Logits `[B, num_labels]`; with `labels` `[B]` the cross-entropy, or for one label the squared error.

        With `config.problem_type` "multi_label_classification" labels are `[B, num_labels]` and every one is yes or no.
        """
        output = self.model(
            input_ids, attention_mask, mask_rate, output_hidden_states=output_hidden_states, return_dict=True
        )
        logits = self.classifier(output.last_hidden_state[:, 0])
        loss = None
        if labels is not None and self.config.problem_type == "multi_label_classification":
            loss = F.binary_cross_entropy_with_logits(logits.float(), labels.float())
        elif labels is not None and (self.num_labels == 1 or self.config.problem_type == "regression"):
            loss = F.mse_loss(logits.float().squeeze(-1), labels.float().squeeze(-1))
        elif labels is not None:
            loss = F.cross_entropy(logits.float(), labels.view(-1))
        made = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=output.hidden_states)
        return made if _as_dict(self.config, return_dict) else made.to_tuple()


def _as_dict(config: BabyLMDiffusionConfig, asked: bool | None) -> bool:
    """Whether to return a named output; the field of the configuration changed its name in transformers 5."""
    return asked if asked is not None else bool(getattr(config, "return_dict", True))
