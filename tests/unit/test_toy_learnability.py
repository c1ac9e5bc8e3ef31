"""The toy language can be learnt: a small masked model of stock parts tells good from bad after minutes on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import DebertaV2Config, DebertaV2ForMaskedLM, PreTrainedTokenizerFast

from babylm_hf.corpus.toy import write_toy_corpus
from babylm_hf.evaluation import PairResults, evaluate_pairs, load_pairs

SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]


def byte_pairs(lines: list[str]) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(lines, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def small_model(size: int) -> DebertaV2ForMaskedLM:
    return DebertaV2ForMaskedLM(
        DebertaV2Config(
            vocab_size=size,
            hidden_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=512,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            relative_attention=True,
            position_buckets=32,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
        )
    )


def train(model: Any, rows: torch.Tensor, steps: int, batch: int = 32, rate: float = 0.25) -> None:
    """Ordinary masked language modelling, AdamW, one cycle."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.05)
    model.train()
    for _ in range(steps):
        ids = rows[torch.randint(len(rows), (batch,))]
        targets = (torch.rand(ids.shape) < rate) & (ids >= len(SPECIALS))
        fate = torch.rand(ids.shape)
        seen = torch.where(targets & (fate < 0.8), SPECIALS.index("[MASK]"), ids)
        seen = torch.where(targets & (fate >= 0.9), torch.randint(5, model.config.vocab_size, ids.shape), seen)
        labels = torch.where(targets, ids, -100)
        model(input_ids=seen, attention_mask=torch.ones_like(seen), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_small_model_learns_the_language(tmp_path: Path) -> None:
    text, _, folder = write_toy_corpus(tmp_path, 400_000, seed=0)
    lines = text.read_text(encoding="utf-8").splitlines()
    tokenizer = byte_pairs(lines)
    ids = [i for row in tokenizer(lines)["input_ids"] for i in row]
    rows = torch.tensor(ids[: len(ids) // 64 * 64]).view(-1, 64)
    torch.manual_seed(0)
    model, pairs = small_model(len(tokenizer)), load_pairs(folder)

    def score() -> PairResults:
        return evaluate_pairs(model, tokenizer, pairs)

    assert abs(score().accuracy() - 0.5) < 0.06
    train(model, rows, steps=1000)  # 2 M tokens, three passes
    trained = score()
    assert trained.accuracy() > 0.85
    assert sum(accuracy > 0.9 for accuracy in trained.by_paradigm().values()) >= 9
