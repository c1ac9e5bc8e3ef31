"""Every block of Python on the pages runs, page by page, beside one small run of the demonstration.

A page's blocks share their names. What a block takes for granted ("a model", "a data set") is given to it below.
"""

from __future__ import annotations

import shutil

import pytest
from docs.markdown import FILES, blocks
from tiny import REPOSITORY

from babylm_hf.sweep import load_recipe

PAGES = [path for path in FILES if any(block.language == "python" for block in blocks(path))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_code_of_a_page_runs(path, workplace, tmp_path, monkeypatch, hub):
    folder = tmp_path / "here"
    shutil.copytree(workplace, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    names = given(path.name)
    for block in blocks(path):
        if block.language == "python":
            code = compile("\n" * block.line + block.text, str(path), "exec")
            exec(code, names)


def given(page):
    """What a page's code may take for granted."""
    from datasets import Dataset
    from transformers import AutoModelForMaskedLM, AutoTokenizer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained("runs/mine")
    folder = "runs/diffusion" if page == "generation.md" else "runs/mine"
    model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
    lines = ["the dog sees the cat .", "the girls sleep ."] * 8
    return {
        "tokenizer": tokenizer,
        "model": model,
        "folder": folder,
        "FirstMentionPolicy": type(load_recipe(REPOSITORY / "examples" / "first_mention.py").policy(None)),
        "dataset": Dataset.from_dict({"input_ids": tokenizer(lines)["input_ids"]}),
        "training_arguments": TrainingArguments(
            "runs/given", max_steps=2, use_cpu=True, report_to="none", disable_tqdm=True, remove_unused_columns=False
        ),
    }
