"""DeBERTa-v2 with n-hot embeddings; its code files travel with its weights, so that any process can load them.

    model = build_model("nhot-deberta-small", tokenizer)

Importing this package makes the architecture known to the Auto classes of transformers.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

from .configuration_nhot_deberta import NHotDebertaConfig
from .modeling_nhot_deberta import (
    NHotDebertaForMaskedLM,
    NHotDebertaForSequenceClassification,
    NHotDebertaModel,
    NHotEmbedding,
)
from .substrings import substring_table

__all__ = [
    "NHotDebertaConfig",
    "NHotDebertaForMaskedLM",
    "NHotDebertaForSequenceClassification",
    "NHotDebertaModel",
    "NHotEmbedding",
    "fill_substrings",
    "substring_table",
    "substrings_of",
]

_MODELS = {
    "AutoModel": (AutoModel, NHotDebertaModel),
    "AutoModelForMaskedLM": (AutoModelForMaskedLM, NHotDebertaForMaskedLM),
    "AutoModelForSequenceClassification": (AutoModelForSequenceClassification, NHotDebertaForSequenceClassification),
}

AutoConfig.register(NHotDebertaConfig.model_type, NHotDebertaConfig, exist_ok=True)
NHotDebertaConfig.register_for_auto_class()  # saving writes the code files and the auto_map beside the weights
for _name, (_auto_class, _model_class) in _MODELS.items():
    _auto_class.register(NHotDebertaConfig, _model_class, exist_ok=True)
    _model_class.register_for_auto_class(_name)


def substrings_of(config: NHotDebertaConfig, tokenizer: Any) -> list[list[int]]:
    """The table that a configuration asks for."""
    return substring_table(
        tokenizer,
        itself=config.nhot_self,
        word_start=config.nhot_word_start,
        with_specials=config.nhot_specials,
    )


def fill_substrings(model: Any, tokenizer: Any) -> None:
    """Fill the table of a new model; does nothing to other architectures.

    Args:
        model: whose configuration has the `vocab_size` and `nhot_entries` of `tokenizer`, as `build_model` sees to.
        tokenizer: a fast tokenizer of transformers.
    """
    if isinstance(model.config, NHotDebertaConfig):
        model.get_input_embeddings().fill(substrings_of(model.config, tokenizer))
