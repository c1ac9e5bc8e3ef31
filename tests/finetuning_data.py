"""Task folders and saved models for the tests of fine-tuning."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_lines, tiny_tokenizer

FIELDS = {
    "boolq": ("question", "passage"),
    "mnli": ("premise", "hypothesis"),
    "mrpc": ("sentence1", "sentence2"),
    "multirc": ("question", "answer", "paragraph"),
    "qqp": ("question1", "question2"),
    "rte": ("sentence1", "sentence2"),
    "wsc": ("text", "span1_text", "span2_text"),
}


def task_rows(task: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Examples that can be learned: the texts of a class all begin with the same word, another for each class."""
    draw = random.Random(f"{task} {seed}")
    labels = 3 if task == "mnli" else 2
    rows = []
    for index in range(count):
        label = index % labels
        texts = [" ".join(draw.choice(tiny_lines()).split()[:8]) for _ in FIELDS[task]]
        rows.append(
            {name: f"{'abc'[label] * 3} {text} {index}" for name, text in zip(FIELDS[task], texts, strict=True)}
            | {"label": label, "idx": index}
        )
    draw.shuffle(rows)
    return rows


def write_task(folder: Path, task: str, train: int = 48, valid: int = 20, seed: int = 0) -> Path:
    """A task's two files in `folder`, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("valid", valid)):
        rows = task_rows(task, count, seed + (part == "valid"))
        (folder / f"{task}.{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def save_model(folder: Path, kind: str = "bert", positions: int = 130) -> Path:
    """A two-layer model with its tokenizer, as a pretraining run leaves it."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": positions,
    }
    if kind == "gpt2":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": positions}
    if kind == "deberta-v2":
        sizes |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
    tokenizer = tiny_tokenizer()
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **sizes, **ids)
    torch.manual_seed(0)
    auto = AutoModelForCausalLM if kind in ("gpt2", "llama") else AutoModelForMaskedLM
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
