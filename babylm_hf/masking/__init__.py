"""Masking: rates, policies, corruption, counter-based randomness, and the data collators made of them."""

from __future__ import annotations

from .adaptive import AdaptivePolicy
from .base import RowCollator
from .budget import BudgetPolicy, ExactPolicy, Stage
from .causal_collator import DataCollatorForCausalRows
from .collator import MaskingCollator, evaluation_masks
from .collators import DataCollatorForDecayingMasking, DataCollatorForDynamicMasking
from .controls import FrequencyBandPolicy, RandomSketchPolicy
from .corruption import Corruption
from .counting import SketchShape
from .diffusion_collators import DataCollatorForDiffusionMasking, DataCollatorForFrequencyMasking
from .features import TokenFeatures
from .frequency import FrequencyPolicy
from .guided import AccuracyMorphPolicy
from .guided_collator import DataCollatorForGuidedMasking
from .guided_siblings import CmsMorphPolicy, EntityAccuracyMorphPolicy
from .heavy_hitters import SpaceSaving
from .hhm import HeavyHitterPolicy
from .inspection import TokenMask, mask_probabilities, sentence_probabilities
from .noise import NoiseRate, make_noise
from .policies import IndependentPolicy, Policy, UniformPolicy
from .rates import ConstantRate, CosineDecayRate, LinearDecayRate, Rate, RowRates, StepRate, make_rate
from .rows import MaskRows
from .schedules import NoiseSchedule
from .sketch import CountMinSketch
from .statistics import TokenStatistics
from .vocabulary import Vocabulary
from .word_policies import SpanPolicy, WholeWordPolicy
from .words import WordBoundaries

__all__ = [
    "AccuracyMorphPolicy",
    "AdaptivePolicy",
    "BudgetPolicy",
    "CmsMorphPolicy",
    "ConstantRate",
    "Corruption",
    "CosineDecayRate",
    "CountMinSketch",
    "DataCollatorForCausalRows",
    "DataCollatorForDecayingMasking",
    "DataCollatorForDiffusionMasking",
    "DataCollatorForDynamicMasking",
    "DataCollatorForFrequencyMasking",
    "DataCollatorForGuidedMasking",
    "EntityAccuracyMorphPolicy",
    "ExactPolicy",
    "FrequencyBandPolicy",
    "FrequencyPolicy",
    "HeavyHitterPolicy",
    "IndependentPolicy",
    "LinearDecayRate",
    "MaskRows",
    "MaskingCollator",
    "NoiseRate",
    "NoiseSchedule",
    "Policy",
    "RandomSketchPolicy",
    "Rate",
    "RowCollator",
    "RowRates",
    "SketchShape",
    "SpaceSaving",
    "SpanPolicy",
    "Stage",
    "StepRate",
    "TokenFeatures",
    "TokenMask",
    "TokenStatistics",
    "UniformPolicy",
    "Vocabulary",
    "WholeWordPolicy",
    "WordBoundaries",
    "evaluation_masks",
    "make_noise",
    "make_rate",
    "mask_probabilities",
    "sentence_probabilities",
]
