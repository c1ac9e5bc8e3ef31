"""babylm_hf: pretrain language models on little text with the Hugging Face Trainer.

The public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from .lazy import loader

__version__ = "0.1.0"

_HOME = {
    "BabyLMTrainer": "training",
    "BabyLMTrainingArguments": "training",
    "DataCollatorForDecayingMasking": "masking",
    "DataCollatorForDiffusionMasking": "masking",
    "DataCollatorForDynamicMasking": "masking",
    "DataCollatorForFrequencyMasking": "masking",
    "DataCollatorForGuidedMasking": "masking",
    "HubPublisher": "publishing",
    "MaskingCollator": "masking",
    "ModelCardRenderer": "publishing",
    "Recipe": "recipe",
    "RunPlan": "plan",
    "RunRecord": "publishing",
    "TokenStream": "corpus",
    "evaluate_model": "evaluation",
}

__all__ = [*sorted(_HOME), "__version__"]

__getattr__ = loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
