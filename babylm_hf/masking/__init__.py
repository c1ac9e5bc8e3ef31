"""Masking: rates, policies, corruption, counter-based randomness, and the data collators made of them."""

from __future__ import annotations

from .adaptive import AdaptivePolicy
from .collator import MaskingCollator, evaluation_masks
from .collators import DataCollatorForDecayingMasking, DataCollatorForDynamicMasking
from .corruption import Corruption
from .diffusion_collators import DataCollatorForDiffusionMasking, DataCollatorForFrequencyMasking
from .frequency import FrequencyPolicy
from .noise import NoiseRate, make_noise
from .policies import IndependentPolicy, Policy, UniformPolicy
from .rates import ConstantRate, CosineDecayRate, LinearDecayRate, Rate, RowRates, StepRate, make_rate
from .rows import MaskRows
from .schedules import NoiseSchedule
from .statistics import TokenStatistics
from .vocabulary import Vocabulary
from .word_policies import SpanPolicy, WholeWordPolicy
from .words import WordBoundaries

__all__ = [
    "AdaptivePolicy",
    "ConstantRate",
    "Corruption",
    "CosineDecayRate",
    "DataCollatorForDecayingMasking",
    "DataCollatorForDiffusionMasking",
    "DataCollatorForDynamicMasking",
    "DataCollatorForFrequencyMasking",
    "FrequencyPolicy",
    "IndependentPolicy",
    "LinearDecayRate",
    "MaskRows",
    "MaskingCollator",
    "NoiseRate",
    "NoiseSchedule",
    "Policy",
    "Rate",
    "RowRates",
    "SpanPolicy",
    "StepRate",
    "TokenStatistics",
    "UniformPolicy",
    "Vocabulary",
    "WholeWordPolicy",
    "WordBoundaries",
    "evaluation_masks",
    "make_noise",
    "make_rate",
]
