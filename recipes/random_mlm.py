"""Random masked language modelling: the baseline of `accuracy_morph`, an exact 15 % of every row, chosen evenly.

With the same seed and steps, everything else is equal: order, replacements, dropout, and through the warm-up the masks.

Source: the same submission, https://github.com/alonsopg/BabyLM-2026-submission. Its three seeds reached BLiMP 62.8,
62.8 and 61.7.
"""

from __future__ import annotations

from dataclasses import replace

from accuracy_morph import RECIPE as ACCURACY_MORPH

RECIPE = replace(
    ACCURACY_MORPH,
    name="random_mlm",
    title="Random masked language modelling (the baseline of Accuracy-Morph)",
    defaults={**ACCURACY_MORPH.defaults, "masking": "random"},
)

if __name__ == "__main__":
    RECIPE.main()
