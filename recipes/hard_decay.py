"""AMLM-Hard-Decay: adaptive masked language modelling, hard metric, mask rate falling from 0.40 to 0.15.

Method: every vocabulary piece carries a mask weight. Within a row, positions are chosen in proportion to the weights of
their pieces; every 200 steps a weight moves towards the error rate that the model has just shown on its piece, so that
what is still hard is masked more often.

Paper: Edman & Fraser 2025, "Mask and You Shall Receive", https://arxiv.org/abs/2510.20475 (best system of the BabyLM
2025 Strict-Small track on NLP tasks).

What to expect: on 10 M words the paper reports BLiMP 71.3 (uniform masking under the same schedule: 70.8); most of the
gain over uniform masking at 15 % comes from the falling rate. One H100 needs about 20 minutes; the README shows a
reduced model for a CPU.

    accelerate launch recipes/hard_decay.py --demo
    accelerate launch recipes/hard_decay.py --train_file a.txt b.txt --validation_file v.txt
"""

from __future__ import annotations

from babylm_hf import Recipe

PAPER = {
    "title": "Mask and You Shall Receive: Optimizing Masked Language Modeling For Pretraining BabyLMs",
    "authors": "Lukas Edman and Alexander Fraser",
    "year": "2025",
    "url": "https://arxiv.org/abs/2510.20475",
    "bibtex": """@inproceedings{edman-fraser-2025-mask,
  title = {Mask and You Shall Receive: Optimizing Masked Language Modeling For Pretraining {BabyLM}s},
  author = {Edman, Lukas and Fraser, Alexander},
  booktitle = {Proceedings of the First BabyLM Workshop},
  year = {2025},
  url = {https://arxiv.org/abs/2510.20475}
}""",
}

RECIPE = Recipe(
    name="hard_decay",
    title="Adaptive masked language modelling, hard metric, decaying mask rate (AMLM-Hard-Decay)",
    paper=PAPER,
    dataset="BabyLM-community/BabyLM-2026-Strict-Small",
    defaults={
        # the model: 34.7 M parameters (paper, Table 4)
        "model": "deberta-v3-base",
        "hidden_size": 384,
        "intermediate_size": 1280,
        "vocab_size": 40_000,
        # the plan: 16,384 tokens in every step, ten passes
        "max_seq_len": "0:64,5:256",
        "batch_size": 256,
        "num_train_epochs": 10,
        "track": "strict-small",
        # the masks
        "masking": "hard",
        "mlm_prob": 0.40,
        "mask_decay": 0.25,
        "mask_update_steps": 200,
        # the optimizer
        "lamb": True,
        "learning_rate": 7e-3,
        "adam_beta1": 0.9,
        "adam_beta2": 0.98,
        "weight_decay": 0.1,
        "warmup_steps": 0.01,
    },
    demo={
        # under a million parameters, minutes on a CPU
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
        "corpus_licence": "apache-2.0",  # the toy language is part of this project
        "max_pairs": 20,
        "mask_update_steps": 40,
        # LAMB moves a tensor by a small share of its length: too slow for the two thousand steps of a demonstration.
        # With AdamW some seeds never learn more than word frequencies; with Muon all that were tried did.
        "lamb": False,
        "muon": True,
        "learning_rate": 4e-3,
        "weight_decay": 0.01,
        "logging_steps": 20,
        "save_steps": 500,
    },
)

if __name__ == "__main__":
    RECIPE.main()
