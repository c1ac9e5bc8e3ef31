"""AMLM-Soft: as `soft_decay`, at a constant mask rate of 15 %.

Paper: Edman & Fraser 2025, https://arxiv.org/abs/2510.20475, section 3.1, equations 4 and 5.

What to expect: BLiMP 69.7 in the paper, a point below uniform masking at the same rate.
"""

from __future__ import annotations

from dataclasses import replace

from hard import CONSTANT
from soft_decay import RECIPE as SOFT_DECAY

RECIPE = replace(
    SOFT_DECAY,
    name="soft",
    title="Adaptive masked language modelling, soft metric, constant mask rate (AMLM-Soft)",
    defaults={**SOFT_DECAY.defaults, **CONSTANT},
)

if __name__ == "__main__":
    RECIPE.main()
