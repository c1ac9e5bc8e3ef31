"""Accuracy-Morph: part of every row's masks goes to tokens and character trigrams that the model gets wrong.

Method: for every masked target it is noted whether the model's best guess was right, by token and by character trigram.
After 30 % of the run at random, each row spends about 15 in 100 of its masks on tokens in proportion to their error
rate, 5 in 100 by the mean error rate of their trigrams, and the rest evenly. The tilt is mild: nearly every token is a
candidate, and the chance of a hard one rises by about a tenth.

Source: a submission to BabyLM 2026, https://github.com/alonsopg/BabyLM-2026-submission. Its relatives and controls are
one option away: `--policy entity_accuracy_morph`, `cms_morph`, `hhm`, `entity_only`, `error_only`, `frequency_only`,
`random_sketch`. `--reference_behaviour` counts in sketches and updates when it evaluates, as the published code does.

What to expect: with the same seed the run is that of `random_mlm` up to step 3,000 of 10,000. The submission reports a
validation loss of 3.0105 against 3.0296 at random for one seed and the same direction for another; two seeds show no
significant difference in any score (BLiMP 62.7 against 62.8).

    accelerate launch recipes/accuracy_morph.py --demo
    accelerate launch recipes/accuracy_morph.py --train_file a.txt b.txt --validation_file v.txt
"""

from __future__ import annotations

from babylm_hf import Recipe

PAPER = {
    "title": "Accuracy-Morph: masking by token accuracy and character trigrams (BabyLM 2026 submission)",
    "authors": "alonsopg",
    "year": "2026",
    "url": "https://github.com/alonsopg/BabyLM-2026-submission",
    "bibtex": """@misc{accuracy-morph-2026,
  title = {Accuracy-Morph: masking by token accuracy and character trigrams},
  author = {alonsopg},
  year = {2026},
  note = {BabyLM 2026 submission},
  url = {https://github.com/alonsopg/BabyLM-2026-submission}
}""",
}

RECIPE = Recipe(
    name="accuracy_morph",
    title="Accuracy-Morph: masks guided by the model's own errors, by token and by character trigram",
    paper=PAPER,
    dataset="BabyLM-community/BabyLM-2026-Strict-Small",
    defaults={
        # the model: BERT, 11,201,338 parameters with its tokenizer
        "model": "bert-small",
        "tokenizer_if_reachable": "google-bert/bert-base-uncased",
        "tokenizer_algorithm": "wordpiece",
        "vocab_size": 30_522,
        "lower": True,
        # the plan: 10,000 steps of 64 rows of 128 tokens
        "max_seq_len": "128",
        "batch_size": 64,
        "max_steps": 10_000,
        "num_train_epochs": 10,
        "track": "strict-small",
        # the masks
        "masking": "accuracy_morph",
        "mlm_prob": 0.15,
        "mask_update_steps": 200,
        # the optimizer: AdamW
        "learning_rate": 5e-4,
        "weight_decay": 0.01,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.06,
    },
    demo={
        # about a million parameters, minutes on a CPU
        "model": "bert-tiny",
        "tokenizer_if_reachable": None,
        "vocab_size": 1_200,
        "max_seq_len": "64",
        "batch_size": 64,
        "max_steps": -1,
        "num_train_epochs": 4,
        "track": "none",
        "milestones": "10x150K",
        "mask_update_steps": 20,
        "learning_rate": 2e-3,
        "logging_steps": 10,
        "save_steps": 100,
    },
)

if __name__ == "__main__":
    RECIPE.main()
