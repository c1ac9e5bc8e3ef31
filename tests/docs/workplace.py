"""A folder in which the commands and code of the pages work: small texts, runs, evaluation data under their names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from evaluation_data import write_layout
from finetuning_data import write_task
from tiny import REPOSITORY, TINY_RECIPE

from babylm_hf.corpus.toy import toy_minimal_pairs, toy_sentences
from babylm_hf.evaluation.finetuning.tasks import TASKS
from babylm_hf.models import build_model
from babylm_hf.sweep import load_recipe

TEXTS = ("a.txt", "b.txt", "v.txt", "dev.txt", "wiki.txt", "speech.txt", "films.txt", "subtitles.txt")
RUNS = ("hard_decay", "hard_decay_demo", "m")


def make_workplace(folder: Path) -> Path:
    """Fill a folder: `runs/mine` and copies of it under other names, texts, `evaluation_data`, `my_pairs`, recipes."""
    for seed, name in enumerate(TEXTS):
        (folder / name).write_text("\n".join(toy_sentences(3000, seed)) + "\n", encoding="utf-8")
    write_layout(folder / "evaluation_data")
    glue = folder / "evaluation_data" / "full_eval" / "glue_filtered"
    glue.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        write_task(glue, task)
    (folder / "my_pairs").mkdir()
    for paradigm, pairs in toy_minimal_pairs(2, seed=0).items():
        (folder / "my_pairs" / f"{paradigm}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    recipe = load_recipe(REPOSITORY / "recipes" / "hard_decay.py")
    run = folder / "runs" / "mine"
    recipe.run(recipe.parse([*TINY_RECIPE, "--output_dir", str(run), "--eval_pairs", str(folder / "my_pairs")]))
    shutil.copytree(run / "chck_2K", run / "chck_1M")
    for name in RUNS:
        shutil.copytree(run, folder / "runs" / name)
    from babylm_hf.corpus import load_tokenizer

    tokenizer = load_tokenizer(run)
    diffusion = build_model("diffusion-tiny", tokenizer, hidden_size=32, intermediate_size=32, num_hidden_layers=1)
    diffusion.save_pretrained(folder / "runs" / "diffusion")
    tokenizer.save_pretrained(folder / "runs" / "diffusion")
    shutil.copytree(REPOSITORY / "recipes", folder / "recipes")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    return folder
