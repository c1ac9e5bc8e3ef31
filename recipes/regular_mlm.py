"""Regular masked language modelling: the baseline of `hard_decay`, every position equally likely to be masked.

The rate is 15 % throughout; `--mlm_prob 0.4 --mask_decay 0.25` gives the decaying baseline, which in the paper is the
stronger one (BLiMP 70.8 and fine-tuning 69.7 on average, against 70.7 and 68.5).

Paper: Edman & Fraser 2025, https://arxiv.org/abs/2510.20475, column "Reg" of Table 1.
"""

from __future__ import annotations

from dataclasses import replace

from hard import CONSTANT
from hard_decay import RECIPE as HARD_DECAY

RECIPE = replace(
    HARD_DECAY,
    name="regular_mlm",
    title="Regular masked language modelling (the baseline of AMLM)",
    defaults={**HARD_DECAY.defaults, **CONSTANT, "masking": "regular"},
)

if __name__ == "__main__":
    RECIPE.main()
