"""first_mention: a masking policy of one's own, as the page "Write a policy" makes it.

Method: a token that has come before in its row can be copied; one that comes for the first time must be known. So a
repeated token is masked a quarter as often as a new one, at the same mask rate.

What to expect: an example, not a published method. Compare it with uniform masking before you believe in it:

    babylm-hf sweep examples/first_mention.py --seeds 0 1 2 --demo --output_dir runs/first_mention
    babylm-hf sweep regular_mlm --seeds 0 1 2 --demo --output_dir runs/regular
    babylm-hf compare runs/regular/seed-* runs/first_mention/seed-*
"""

from __future__ import annotations

import numpy as np

from babylm_hf import Recipe
from babylm_hf.masking import IndependentPolicy


class FirstMentionPolicy(IndependentPolicy):
    """Masks a token that has come before in its row less often than one that is new there."""

    def __init__(self, repeated: float = 0.25) -> None:
        self.repeated = repeated

    def probabilities(self, input_ids, eligible, rate):
        """Of each token [n, L] to be masked; a row's mean over its eligible tokens is its rate."""
        order = np.argsort(input_ids, axis=1, kind="stable")  # equal ids side by side, the first mention first
        sorted_ids = np.take_along_axis(input_ids, order, axis=1)
        again = np.zeros_like(eligible)
        np.put_along_axis(again, order[:, 1:], sorted_ids[:, 1:] == sorted_ids[:, :-1], axis=1)
        weights = np.where(again, self.repeated, 1.0) * eligible
        budget = np.asarray(rate) * eligible.sum(axis=1)
        return weights * (budget / np.maximum(weights.sum(axis=1), 1.0))[:, None]

    def describe(self):
        """What the run record and the card say about it."""
        return {"name": "first mention", "repeated": self.repeated}


RECIPE = Recipe(
    name="first_mention",
    title="Masks what a row says for the first time",
    paper={"title": "An example of babylm_hf", "authors": "the developers of babylm_hf", "year": "2026", "url": ""},
    policy=lambda vocabulary: FirstMentionPolicy(),
    defaults={"model": "deberta-small", "max_seq_len": "128", "batch_size": 64, "track": "strict-small"},
    demo={  # but for the policy that of `regular_mlm`, with which it is compared
        "model": "deberta-tiny",
        "hidden_size": 128,
        "intermediate_size": 512,
        "dropout": 0.0,
        "vocab_size": 1_200,
        "max_seq_len": "0:32,2:64",
        "batch_size": 32,
        "num_train_epochs": 3,
        "track": "none",
        "milestones": "10x135K",
        "corpus_licence": "apache-2.0",
        "max_pairs": 20,
        "muon": True,
        "learning_rate": 4e-3,
        "adam_beta2": 0.98,
        "logging_steps": 20,
    },
)

if __name__ == "__main__":
    RECIPE.main()
