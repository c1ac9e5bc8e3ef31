"""Masked diffusion with the cosine schedule and frequency-informed masking: every row has a mask rate of its own.

Method: for each row a time t is drawn, evenly spread over the rows of the step, and from it a mask rate
m = 1 - cos(pi/2 (1 - t)), 0.363 on average. The model, which is told the rate, predicts the masked tokens; a row's loss
counts |dm/dt| / m, which makes the sum a bound of the likelihood (NELBO). From the second pass on rarer tokens of a row
are masked slightly more often. The same weights fill gaps, score sentences and generate text.

Source: Kosmopoulou et al. 2025, "Masked Diffusion Language Models with Frequency-Informed Training" (BabyLM, Strict
track), https://aclanthology.org/2025.babylm-main.38. Published: 128 tokens a row (here the default) and 512
(`--max_seq_len 512 --batch_size 512`, the submission). Ours differs where theirs is wrong or lacks something: see
docs/masked_diffusion.md; `--reference_behaviour --end_of_text false --suppress_mask false` gives theirs.

What to expect: 126.6 million parameters; the paper reports BLiMP 79 at 128 tokens and 76.9 at 512 after ten passes
through 100 million words.

    accelerate launch recipes/diffusion_cosine.py --demo
    accelerate launch recipes/diffusion_cosine.py --train_file a.txt b.txt --validation_file v.txt
"""

from __future__ import annotations

from babylm_hf import Recipe

PAPER = {
    "title": "Masked Diffusion Language Models with Frequency-Informed Training",
    "authors": "Despoina Kosmopoulou, Efthymios Georgiou, Vaggelis Dorovatas, Georgios Paraskevopoulos and "
    "Alexandros Potamianos",
    "year": "2025",
    "url": "https://arxiv.org/abs/2509.05056",
    "bibtex": """@inproceedings{kosmopoulou-etal-2025-masked,
  title = {Masked Diffusion Language Models with Frequency-Informed Training},
  author = {Kosmopoulou, Despoina and Georgiou, Efthymios and Dorovatas, Vaggelis and Paraskevopoulos, Georgios and
            Potamianos, Alexandros},
  booktitle = {Proceedings of the First BabyLM Workshop},
  year = {2025},
  url = {https://aclanthology.org/2025.babylm-main.38}
}""",
}

DEFAULTS = {
    # the model: 126,636,800 parameters with its tokenizer
    "model": "diffusion-base",
    "tokenizer_algorithm": "bpe-gptbert",
    "vocab_size": 16_384,
    "document": "blank_line",
    "end_of_text": True,
    # the plan: 1,024 rows of 128 tokens a step
    "max_seq_len": "128",
    "batch_size": 1024,
    "num_train_epochs": 10,
    "track": "strict",
    # the masks
    "mask_replace_prob": 1.0,
    "random_replace_prob": 0.0,
    # the optimizer: LAMB, and an average of the weights
    "lamb": True,
    "lamb_clip_ratio": False,
    "lamb_coupled_decay": True,
    "learning_rate": 7e-3,
    "adam_beta1": 0.9,
    "adam_beta2": 0.98,
    "weight_decay": 0.1,
    "max_grad_norm": 2.0,
    "warmup_steps": 0.016,
    "cooldown_steps": 0.016,
    "lr_floor": 0.1,
    "ema_decay": 0.999,
}
DEMO = {
    # about a million parameters, minutes on a CPU
    "model": "diffusion-tiny",
    "intermediate_size": 256,
    "vocab_size": 1_200,
    "document": "line",
    "max_seq_len": "32",
    "batch_size": 64,
    "num_train_epochs": 5,
    "max_words": "2M",
    "track": "none",
    "milestones": "5x400K",
    "corpus_licence": "apache-2.0",  # the toy language is part of this project
    "max_pairs": 20,
    "dropout": 0.0,
    "lamb": False,
    "muon": True,  # the minutes allow five passes, and with it they suffice
    "learning_rate": 4e-3,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "warmup_steps": 0.03,
    "logging_steps": 20,
    "save_steps": 200,
    "nelbo_tokens": 4_000,
}

RECIPE = Recipe(
    name="diffusion_cosine",
    title="Masked diffusion: cosine schedule, frequency-informed masks",
    paper=PAPER,
    dataset="BabyLM-community/BabyLM-2026-Strict",
    defaults={
        **DEFAULTS,
        "noise_schedule": "cosine",
        "masking": "frequency",
        "frequency_exponent": 0.02,
        "frequency_weighting": "rank",
        # Above 0, or the most frequent token of a row would never be learnt: in short texts that is their end.
        "frequency_floor": 0.01,
    },
    demo=DEMO,
)

if __name__ == "__main__":
    RECIPE.main()
