"""Masking: rates, policies, corruption, counter-based randomness, and the data collators made of them."""

from __future__ import annotations

from .adaptive import AdaptivePolicy
from .collator import MaskingCollator, evaluation_masks
from .collators import DataCollatorForDecayingMasking, DataCollatorForDynamicMasking
from .corruption import Corruption
from .policies import MaskRows, Policy, UniformPolicy
from .rates import ConstantRate, LinearDecayRate, Rate, make_rate
from .statistics import TokenStatistics
from .vocabulary import Vocabulary

__all__ = [
    "AdaptivePolicy",
    "ConstantRate",
    "Corruption",
    "DataCollatorForDecayingMasking",
    "DataCollatorForDynamicMasking",
    "LinearDecayRate",
    "MaskRows",
    "MaskingCollator",
    "Policy",
    "Rate",
    "TokenStatistics",
    "UniformPolicy",
    "Vocabulary",
    "evaluation_masks",
    "make_rate",
]
