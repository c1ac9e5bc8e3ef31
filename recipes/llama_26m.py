"""LLaMA baseline A: 26 million parameters, next-token prediction, two megabytes of text in equal parts of three kinds.

No masks, no curriculum, no feedback: what a plain causal model learns from so little, and what the others are measured
against. Embeddings of their own for input and output, and 16,000 pieces of byte-level BPE trained on the text itself,
give 26,448,768 parameters; a text that does not yield as many pieces is refused, as the model would be another one.

The model card gives 5 epochs of 64 rows of 512 tokens and 200 steps of warm-up. Two megabytes in packed rows are about
80 steps, so the rate never gets near its peak; the run says so. `--packing line` trains on one line a row, which makes
many more steps; `--warmup_steps 0.1` is a warm-up that ends. Where there is a GPU it computes in bfloat16 with gradient
checkpointing, elsewhere in float32.

Source: the model card of egemengulpinar/babylm-llama-26m on the Hugging Face Hub; docs/llama_baselines.md tells what it
leaves open and what we chose. It reports a BLiMP accuracy of 57.2 % on a sample of about 2,000 pairs.

    accelerate launch recipes/llama_26m.py --demo
    accelerate launch recipes/llama_26m.py --train_file wiki.txt speech.txt films.txt --validation_file v.txt

Each `--train_file` is a source of the mix; several files make one as `name=a.txt,b.txt`.
"""

from __future__ import annotations

from babylm_hf import Recipe

PAPER = {
    "title": "BabyLM-LLaMA-26M (model card)",
    "authors": "egemengulpinar",
    "year": "2024",
    "url": "https://huggingface.co/egemengulpinar/babylm-llama-26m",
    "bibtex": """@misc{babylm-llama-26m,
  title = {BabyLM-LLaMA-26M},
  author = {egemengulpinar},
  howpublished = {Hugging Face Hub, model card},
  url = {https://huggingface.co/egemengulpinar/babylm-llama-26m}
}""",
}

RECIPE = Recipe(
    name="llama_26m",
    title="Causal pretraining after LLaMA baseline A (26 million parameters on 2 MB of text)",
    paper=PAPER,
    defaults={
        # the text: as many bytes of every --train_file
        "mix_bytes": "2MB",
        # the model: 26,448,768 parameters with 16,000 pieces
        "model": "llama-26m",
        "objective": "causal",
        "vocab_size": 16_000,
        "exact_vocab_size": True,
        # the plan: 5 passes of 64 rows of 512 tokens, 16 at a time
        "max_seq_len": "512",
        "num_train_epochs": 5,
        "batch_size": 64,
        "gradient_accumulation_steps": 4,
        "track": "strict-small",
        # the optimizer: AdamW as transformers has it, none of which the card names but the rate
        "optim": "adamw_torch",
        "learning_rate": 3e-4,
        "weight_decay": 0.0,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 200,
        "logging_steps": 10,
        "save_steps": 20,
        "licence": "mit",
    },
    demo={
        # about a million parameters, minutes on a CPU
        "mix_bytes": None,
        "model": "llama-tiny",
        "vocab_size": 1_000,
        "max_seq_len": "128",
        "batch_size": 32,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 4,
        "track": "none",
        "milestones": "10x150K",
        "learning_rate": 2e-3,
        "warmup_steps": 0.1,
        "save_steps": 100,
    },
    gpu={
        "bf16": True,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    },
)

if __name__ == "__main__":
    RECIPE.main()
