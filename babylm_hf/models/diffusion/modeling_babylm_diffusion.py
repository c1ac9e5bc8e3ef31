"""A masked-diffusion language model: a bidirectional encoder that is told what share of its input is masked.

Kosmopoulou et al. 2025, "Masked Diffusion Language Models with Frequency-Informed Training" (arXiv 2509.05056), on the
encoder of LTG-BERT and GPT-BERT: layer norms without weights before and inside both sub-layers, gated attention with
bucketed relative positions, gated feed-forward layers, and adaLN-zero conditioning on the mask rate.

This file and those that it imports travel with the weights; they need torch and transformers only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput

from .configuration_babylm_diffusion import BabyLMDiffusionConfig
from .generation_babylm_diffusion import DiffusionGenerationMixin
from .layers_babylm_diffusion import (
    DiffusionEmbeddings,
    DiffusionHead,
    DiffusionLayer,
    ScaledLinear,
    TimeEmbedding,
    distance_buckets,
)

# transformers 4.51 takes along only what this file imports itself, and the generation needs this one.
from .sampling_babylm_diffusion import GenerationOptionError as GenerationOptionError


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
        masked: Tensor = (input_ids == self.config.mask_token_id) & present
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
        padding = None
        if attention_mask is not None:
            # Half the least number: a sum with any score stays finite, and no weight comes of it.
            least = torch.finfo(hidden.dtype).min / 2
            padding = (~attention_mask.bool()[None, :, None, :]).to(hidden.dtype) * least
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
