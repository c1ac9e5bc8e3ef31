"""A folder in which the commands and code of the pages work: small texts, runs, evaluation data under their names."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import sentencepiece
import synthetic_runs
from evaluation_data import write_layout
from finetuning_data import write_task
from huggingface_hub import HfApi
from tiny import REPOSITORY, TINY_RECIPE

from babylm_hf.corpus.toy import toy_minimal_pairs, toy_sentences
from babylm_hf.evaluation.finetuning.tasks import TASKS
from babylm_hf.models import build_model
from babylm_hf.sweep import load_recipe

TEXTS = ("a.txt", "b.txt", "v.txt", "dev.txt", "wiki.txt", "speech.txt", "films.txt", "subtitles.txt")
TEXTS += tuple(
    f"DATA/{part}/{name}.{part}"
    for part in ("train", "dev")
    for name in ("wiki", "childes", "masc", "gutenberg", "onestop")
)
RUNS = ("hard_decay", "hard_decay_demo", "m")
PUBLISHED = {
    "ns/model": ("mine", ("chck_1M", "chck_10M")),
    "me/model": ("mine", ("chck_100M",)),
    "me/hard_decay-0": ("hard_decay-0", ()),
    "me/hard_decay-1": ("hard_decay-1", ()),
}
"""Repositories that pages take for granted: the run that is there, and its milestones."""


def make_workplace(folder: Path) -> Path:
    """Fill a folder: `runs/mine` and copies of it, runs to compare, texts, `evaluation_data`, `my_pairs`, recipes."""
    for part in ("train", "dev"):
        (folder / "DATA" / part).mkdir(parents=True)
    for seed, name in enumerate(TEXTS):
        (folder / name).write_text("\n".join(toy_sentences(3000, seed)) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=folder / "a.txt", model_prefix=folder / "bb24", vocab_size=300, model_type="bpe", minloglevel=2
    )
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
    for milestone in ("chck_16K", "chck_1M"):
        shutil.copytree(run / "chck_2K", run / milestone)
    for name in RUNS:
        shutil.copytree(run, folder / "runs" / name)
    for recipe, seed in itertools.product(("regular_mlm", "hard_decay"), (0, 1)):
        synthetic_runs.make_run(folder / "runs" / f"{recipe}-{seed}", recipe, seed, items=True)
    from babylm_hf.corpus import load_tokenizer

    tokenizer = load_tokenizer(run)
    diffusion = build_model("diffusion-tiny", tokenizer, hidden_size=32, intermediate_size=32, num_hidden_layers=1)
    diffusion.save_pretrained(folder / "runs" / "diffusion")
    tokenizer.save_pretrained(folder / "runs" / "diffusion")
    shutil.copytree(REPOSITORY / "recipes", folder / "recipes")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    return folder


def publish_what_is_taken_for_granted(shown: str, hub: Any) -> None:
    """Bring the repositories that the commands of a page name to the Hub, unless the page publishes them itself.

    Args:
        shown: the commands.
        hub: the double.
    """
    api = HfApi(endpoint=hub.url, token=hub.token)
    for name, (run, milestones) in PUBLISHED.items():
        if name in shown:
            api.create_repo(name)
            api.upload_folder(repo_id=name, folder_path=Path("runs", run), ignore_patterns="c*/*")
            for milestone in milestones:
                api.create_branch(name, branch=milestone)
