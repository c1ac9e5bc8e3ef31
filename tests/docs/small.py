"""Shown commands made small: what decides the size of a run is overridden, what a page is about stays."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from babylm_hf.recipe import Recipe
from babylm_hf.sweep import find_recipe, load_recipe

SIZES = """
    --num_hidden_layers 1 --num_attention_heads 2 --hidden_size 32 --intermediate_size 32 --vocab_size 300
    --exact_vocab_size false --max_seq_len 16 --batch_size 64 --gradient_accumulation_steps 1 --num_train_epochs 1
    --max_steps 3 --warmup_steps 0.1 --cooldown_steps 0 --milestones 500 --max_pairs 2 --use_cpu true
    --disable_tqdm true --demo_words 3000
""".split()  # noqa: SIM905
STANDS_FOR = {
    "...": "--demo",
    "MODEL": "runs/diffusion",
    "EVAL_SAMPLE": "evaluation_data",
    "2MB": "6KB",
    "10.77.0.1": "127.0.0.1",
}
"""What a page lets the reader fill in, and amounts of text and addresses that are not here."""


def expanded(words: list[str]) -> list[str]:
    """The words as the shell passes them on: patterns filled in, and nothing written to another file."""
    words = words[: words.index(">")] if ">" in words else words
    words = [STANDS_FOR.get(word, word) for word in words]
    return [name for word in words for name in ((sorted(glob.glob(word)) if "*" in word else []) or [word])]


def recipe_in(words: list[str]) -> tuple[Recipe, int] | None:
    """The recipe that a command runs, and where it stands in it."""
    for place, word in enumerate(words):
        if re.fullmatch(r"(recipes|examples)/\w+\.py", word):
            return load_recipe(Path(word)), place
    for head in (["babylm-hf", "sweep"], ["babylm-hf", "inspect", "plan"]):
        if words[: len(head)] == head:
            return load_recipe(find_recipe(words[len(head)])), len(head)
    return None


def small(words: list[str]) -> list[str]:
    """The command with the sizes of a test, and two seeds at most."""
    words = expanded(words)
    if "--seeds" in words:
        first = words.index("--seeds") + 1
        while words[first + 2 : first + 3] and words[first + 2].isdigit():
            del words[first + 2]
    if found := recipe_in(words):
        mixed = found[0].defaults.get("mix_bytes") and "--demo" not in words
        return [*words, *SIZES, *(["--mix_bytes", "6KB"] if mixed else [])]
    sizes = {"tokenizer train": ["--vocab_size", "300"], "finetune": ["--epochs", "1"]}
    return [*words, *next((more for head, more in sizes.items() if " ".join(words[1:]).startswith(head)), [])]
