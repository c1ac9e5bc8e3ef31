"""babylm_hf: pretrain language models on little text with the Hugging Face Trainer.

The public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "BabyLMTrainer": "babylm_hf.training",
    "BabyLMTrainingArguments": "babylm_hf.training",
    "DataCollatorForDecayingMasking": "babylm_hf.masking",
    "DataCollatorForDiffusionMasking": "babylm_hf.masking",
    "DataCollatorForDynamicMasking": "babylm_hf.masking",
    "DataCollatorForFrequencyMasking": "babylm_hf.masking",
    "DataCollatorForGuidedMasking": "babylm_hf.masking",
    "HubPublisher": "babylm_hf.publishing",
    "MaskingCollator": "babylm_hf.masking",
    "ModelCardRenderer": "babylm_hf.publishing",
    "Recipe": "babylm_hf.recipe",
    "RunPlan": "babylm_hf.plan",
    "RunRecord": "babylm_hf.publishing",
    "TokenStream": "babylm_hf.corpus",
    "evaluate_model": "babylm_hf.evaluation",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'babylm_hf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
