"""Configuration of the masked-diffusion encoder. This file travels with the weights and needs transformers only."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

# Saving one model names its own class only, but from a folder of it the other classes are loaded too.
AUTO_MAP = {
    "AutoConfig": "configuration_babylm_diffusion.BabyLMDiffusionConfig",
    "AutoModel": "modeling_babylm_diffusion.BabyLMDiffusionModel",
    "AutoModelForMaskedLM": "modeling_babylm_diffusion.BabyLMDiffusionForMaskedLM",
    "AutoModelForSequenceClassification": "modeling_babylm_diffusion.BabyLMDiffusionForSequenceClassification",
}
DEFAULT_MASK_RATES = ("zero", "inverse_length", "observed")


class BabyLMDiffusionConfig(PretrainedConfig):
    """Sizes and choices of a masked-diffusion encoder; the defaults are the published model of 126,636,800 parameters.

    Args:
        vocab_size: pieces in the vocabulary.
        hidden_size: width D.
        num_hidden_layers: number of layers.
        num_attention_heads: number of heads; must divide `hidden_size`.
        intermediate_size: width of the feed-forward layers.
        hidden_dropout_prob: dropout of the embeddings, the position vectors, both sub-layers and the head.
        attention_probs_dropout_prob: dropout of the attention weights.
        layer_norm_eps: added to the variance in every layer norm.
        position_bucket_size: K; a distance below K/2 has a position vector of its own, those farther away share
            vectors on a logarithmic scale, 2K - 1 in all.
        max_position_embeddings: distances from here on share the last vector; rows may be longer.
        conditioning_size: width of the time conditioning on the mask rate; None or 0 for a model without it.
        time_embedding_size: sines and cosines of the mask rate, together.
        default_mask_rate: what a forward without `mask_rate` is conditioned on: "zero", "inverse_length" (one over the
            row's length, as if one token were masked), or "observed" (the share of masks among its ordinary tokens).
        suppress_mask: whether the mask token has probability 0 in the output.
        mask_token_id: id of the mask token, for "observed" and `suppress_mask`.
        special_token_ids: ids that are never masked in training nor generated, the mask token among them.
        classifier_dropout: dropout of a classification head; `hidden_dropout_prob` where None.
    """

    model_type = "babylm-diffusion"

    def __init__(
        self,
        vocab_size: int = 16384,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 2560,
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        layer_norm_eps: float = 1e-5,
        position_bucket_size: int = 32,
        max_position_embeddings: int = 512,
        conditioning_size: int | None = 128,
        time_embedding_size: int = 256,
        default_mask_rate: str = "zero",
        suppress_mask: bool = True,
        mask_token_id: int | None = 4,
        special_token_ids: list[int] | None = None,
        classifier_dropout: float | None = None,
        pad_token_id: int | None = 3,
        bos_token_id: int | None = 1,
        eos_token_id: int | None = 2,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        if default_mask_rate not in DEFAULT_MASK_RATES:
            raise ValueError(f"default_mask_rate is {default_mask_rate!r}; choose one of {DEFAULT_MASK_RATES}")
        if position_bucket_size % 2 or max_position_embeddings - 1 <= position_bucket_size // 2:
            raise ValueError(
                "position_bucket_size must be even and less than twice the largest distance, "
                f"but it is {position_bucket_size} and max_position_embeddings {max_position_embeddings}"
            )
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.layer_norm_eps = layer_norm_eps
        self.position_bucket_size = position_bucket_size
        self.max_position_embeddings = max_position_embeddings
        self.conditioning_size = conditioning_size
        self.time_embedding_size = time_embedding_size
        self.default_mask_rate = default_mask_rate
        self.suppress_mask = suppress_mask
        self.mask_token_id = mask_token_id
        self.special_token_ids = special_token_ids
        self.classifier_dropout = classifier_dropout
        super().__init__(
            pad_token_id=pad_token_id,
            bos_token_id=bos_token_id,
            eos_token_id=eos_token_id,
            tie_word_embeddings=tie_word_embeddings,
            **{"auto_map": dict(AUTO_MAP), **kwargs},
        )
        self.pad_token_id = pad_token_id
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self.tie_word_embeddings = tie_word_embeddings
