"""AMLM-Hard: as `hard_decay`, at a constant mask rate of 15 %.

Paper: Edman & Fraser 2025, https://arxiv.org/abs/2510.20475, section 3.1, equations 1 to 3.

What to expect: BLiMP 70.0 in the paper against 70.7 for uniform masking: at a constant rate the adaptive weights help
fine-tuning a little (69.0 against 68.5 on average) and not BLiMP.
"""

from __future__ import annotations

from dataclasses import replace

from hard_decay import RECIPE as HARD_DECAY

CONSTANT = {"mlm_prob": 0.15, "mask_decay": 0.0}

RECIPE = replace(
    HARD_DECAY,
    name="hard",
    title="Adaptive masked language modelling, hard metric, constant mask rate (AMLM-Hard)",
    defaults={**HARD_DECAY.defaults, **CONSTANT},
)

if __name__ == "__main__":
    RECIPE.main()
