"""AMLM n-hot Hard: as `hard`, with word vectors that are told which pieces of the vocabulary a piece contains.

Method: the embedding of a piece is its word vector plus a trained vector for each of its substrings that is a piece
itself ("_doing" has "_do", "oing", "ing", "g" and 14 more), so that pieces of like spelling are alike from the start.
What the paper leaves open are options (`--nhot_scaling` and its like); see docs/nhot.md.

Paper: Edman & Fraser 2025, https://arxiv.org/abs/2510.20475, section 3.2.

What to expect: in the paper adjective nominalisation of unseen words gains 9 points over `hard` (43.7 against 34.3),
and BLiMP loses 2 (68.1 against 70.0). One more row for every piece: 15.4 of 50.0 M parameters.

    accelerate launch recipes/nhot_hard.py --demo
"""

from __future__ import annotations

from dataclasses import replace

from hard import RECIPE as HARD

RECIPE = replace(
    HARD,
    name="nhot_hard",
    title="Adaptive masked language modelling, hard metric, with n-hot embeddings (AMLM n-hot Hard)",
    defaults={**HARD.defaults, "model": "nhot-deberta-base"},
    demo={**HARD.demo, "model": "nhot-deberta-tiny"},
)

if __name__ == "__main__":
    RECIPE.main()
