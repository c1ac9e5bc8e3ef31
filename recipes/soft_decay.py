"""AMLM-Soft-Decay: as `hard_decay`, but a piece's mask weight follows its mean loss instead of its error rate.

Paper: Edman & Fraser 2025, https://arxiv.org/abs/2510.20475, section 3.1, equations 4 and 5.

What to expect: the opposite dynamics at first (rare pieces rise from the start) and much the same scores: BLiMP 71.4
in the paper, with entity tracking five points lower than the hard metric.
"""

from __future__ import annotations

from dataclasses import replace

from hard_decay import RECIPE as HARD_DECAY

RECIPE = replace(
    HARD_DECAY,
    name="soft_decay",
    title="Adaptive masked language modelling, soft metric, decaying mask rate (AMLM-Soft-Decay)",
    defaults={**HARD_DECAY.defaults, "masking": "soft"},
)

if __name__ == "__main__":
    RECIPE.main()
