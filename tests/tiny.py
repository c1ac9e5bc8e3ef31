"""Small things that many tests need: a text, a tokenizer, a stream, models and trainers of a few thousand weights."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from babylm_hf.corpus import TokenStream, train_tokenizer
from babylm_hf.corpus.toy import toy_sentences
from babylm_hf.masking import DataCollatorForDynamicMasking
from babylm_hf.training import BabyLMTrainer, BabyLMTrainingArguments

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

INDUCTOR = pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.skipif(not shutil.which("g++"), reason="g++")])
"""A backend of torch.compile, for tests that also have a quick one."""

TINY_RECIPE = """
    --demo --demo_words 3000 --vocab_size 300 --hidden_size 32 --intermediate_size 32 --num_hidden_layers 1
    --max_seq_len 0:16,1:32 --batch_size 64 --num_train_epochs 2 --milestones 2x2K --mask_update_steps 3
    --logging_steps 5 --save_steps 20 --use_cpu true --disable_tqdm true
""".split()  # noqa: SIM905

PLAIN_TRAINING: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "num_train_epochs": 3,
    "remove_unused_columns": False,
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "learning_rate": 0.02,
    "seed": 3,
    "use_cpu": True,
    "disable_tqdm": True,
}
"""Arguments of a stock `transformers.Trainer` with a collator of ours."""


@cache
def tiny_lines(words: int = 4000, seed: int = 0) -> tuple[str, ...]:
    """Toy sentences."""
    return tuple(toy_sentences(words, seed))


@cache
def tiny_tokenizer() -> Any:
    """A byte-level BPE of 400 pieces."""
    return train_tokenizer(iter([list(tiny_lines())]), "bpe", 400)


def tiny_stream(folder: Path, words: int = 4000, seed: int = 0) -> TokenStream:
    """A token stream of toy sentences, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / f"toy-{words}-{seed}.txt"
    text.write_text("\n".join(tiny_lines(words, seed)) + "\n", encoding="utf-8")
    return TokenStream.build([text], tiny_tokenizer(), cache_dir=folder / "cache")


def tiny_model(architecture: str = "bert", seed: int = 0, dropout: float = 0.0) -> Any:
    """A two-layer masked language model over the tiny tokenizer."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    names = {"bert": "bert", "roberta": "roberta", "modernbert": "modernbert", "deberta": "deberta-v2"}
    options: dict[str, Any] = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if architecture == "deberta":
        options |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
    if architecture == "modernbert":
        options = {"attention_dropout": dropout, "mlp_dropout": dropout, "embedding_dropout": dropout}
    config = AutoConfig.for_model(
        names[architecture],
        vocab_size=len(tiny_tokenizer()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=130,
        pad_token_id=tiny_tokenizer().pad_token_id,
        **options,
    )
    torch.manual_seed(seed)
    return AutoModelForMaskedLM.from_config(config)


@cache
def tiny_causal_tokenizer() -> Any:
    """A byte-level BPE of 400 pieces for causal models."""
    return train_tokenizer(iter([list(tiny_lines())]), "bpe", 400, causal=True)


def tiny_causal_model(architecture: str = "llama", seed: int = 0) -> Any:
    """A two-layer causal language model over the tiny causal tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_causal_tokenizer()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    options: dict[str, Any] = sizes | {"max_position_embeddings": 130}
    if architecture == "gpt2":
        options = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_inner": 48, "n_positions": 130}
        options |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    if architecture == "gemma2":
        options |= {"num_key_value_heads": 2, "head_dim": 16, "final_logit_softcapping": 5.0}
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **options,
    )
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config)


def tiny_trainer(
    folder: Path, rows: Any, *, architecture: str = "bert", dropout: float = 0.0, **options: Any
) -> BabyLMTrainer:
    """A trainer over `rows` that writes to `folder / "run"`; options are training arguments and parts of it."""
    collator = options.pop("collator", None) or DataCollatorForDynamicMasking(
        tiny_tokenizer(), kind="hard", mlm_probability=0.3, mask_decay=0.1, mask_update_steps=2
    )
    model = options.pop("model", None) or tiny_model(architecture, dropout=dropout)
    own = {name: options.pop(name) for name in ("callbacks", "eval_dataset", "milestone_tasks") if name in options}
    defaults = {
        "output_dir": str(options.pop("output_dir", folder / "run")),
        "max_seq_len": "0:16,1:32",
        "batch_size": 32,
        "num_train_epochs": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "milestones": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": "none",
    }
    args = BabyLMTrainingArguments(**{**defaults, **options})
    return BabyLMTrainer(
        model=model, args=args, data_collator=collator, train_dataset=rows, processing_class=tiny_tokenizer(), **own
    )


def gloo_threads() -> list[str]:
    """The threads of process groups that are alive in this process; empty where the system does not list threads."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]
