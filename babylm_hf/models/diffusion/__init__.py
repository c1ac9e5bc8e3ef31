"""The masked-diffusion encoder; its code files travel with its weights, so that any process can load them.

    from babylm_hf.models.diffusion import BabyLMDiffusionConfig, BabyLMDiffusionForMaskedLM

Importing this package makes the architecture known to the Auto classes of transformers.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

from .configuration_babylm_diffusion import BabyLMDiffusionConfig
from .modeling_babylm_diffusion import (
    BabyLMDiffusionForMaskedLM,
    BabyLMDiffusionForSequenceClassification,
    BabyLMDiffusionModel,
)

__all__ = [
    "BabyLMDiffusionConfig",
    "BabyLMDiffusionForMaskedLM",
    "BabyLMDiffusionForSequenceClassification",
    "BabyLMDiffusionModel",
]

_MODELS = {
    "AutoModel": (AutoModel, BabyLMDiffusionModel),
    "AutoModelForMaskedLM": (AutoModelForMaskedLM, BabyLMDiffusionForMaskedLM),
    "AutoModelForSequenceClassification": (
        AutoModelForSequenceClassification,
        BabyLMDiffusionForSequenceClassification,
    ),
}

AutoConfig.register(BabyLMDiffusionConfig.model_type, BabyLMDiffusionConfig, exist_ok=True)
BabyLMDiffusionConfig.register_for_auto_class()  # saving writes the code files and the auto_map beside the weights
for _name, (_auto_class, _model_class) in _MODELS.items():
    _auto_class.register(BabyLMDiffusionConfig, _model_class, exist_ok=True)
    _model_class.register_for_auto_class(_name)
