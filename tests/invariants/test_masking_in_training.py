"""Weighted losses and whole words in the trainer: the same for any cut of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_model, tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.errors import OptionError
from babylm_hf.masking import (
    ConstantRate,
    DataCollatorForDiffusionMasking,
    DataCollatorForGuidedMasking,
    MaskingCollator,
    WholeWordPolicy,
)

STEPS = 5


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return tiny_stream(tmp_path_factory.mktemp("stream"), words=1500)


def curve(folder, rows, collator, **options):
    trainer = tiny_trainer(folder, rows, collator=collator, max_steps=STEPS, **options)
    trainer.train()
    return trainer, [(line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize("schedule", ["cosine", "bimodal"])
def test_the_weighted_loss_does_not_depend_on_accumulation(tmp_path, rows, schedule):
    # Specification of masked diffusion, acceptance tests 9 and 15.
    def collator():
        return DataCollatorForDiffusionMasking(tiny_tokenizer(), schedule, token_counts=rows.token_counts())

    trainer, whole = curve(tmp_path / "1", rows, collator())
    for accumulation in (2, 5):
        _, cut = curve(tmp_path / str(accumulation), rows, collator(), gradient_accumulation_steps=accumulation)
        assert cut == [pytest.approx(pair, rel=1e-4) for pair in whole]
    rates = [line["mask_rate_realised"] for line in trainer.state.log_history if "loss" in line]
    assert np.mean(rates) == pytest.approx(trainer.data_collator.rate.at(0, STEPS), abs=0.1)


def test_the_first_weighted_loss_by_hand(tmp_path, rows):
    collator = DataCollatorForDiffusionMasking(tiny_tokenizer(), "cosine")
    trainer = tiny_trainer(tmp_path, rows, collator=collator, max_steps=1, gradient_accumulation_steps=3)
    step = trainer.plan.step(0)
    batch = {name: torch.from_numpy(values) for name, values in rows.fetch(step.seq_length, step.rows).items()}
    batch |= {"example_id": torch.from_numpy(step.rows), "places": torch.arange(len(step.rows))}
    masked = collator.mask({**batch, "step_rows": len(step.rows)}, pass_index=0, step=0)
    with torch.no_grad():
        logits = tiny_model()(input_ids=masked["input_ids"], attention_mask=masked["attention_mask"]).logits
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), masked["labels"], reduction="none")
    expected = (losses * masked["loss_weights"]).sum() / masked["maskable"].sum()
    trainer.train()
    logged = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert logged == [pytest.approx(float(expected), rel=1e-5)]


@pytest.mark.parametrize("kind", ["hhm", "cms_morph"])
def test_policies_that_learn_from_the_losses_of_a_step(tmp_path, rows, kind):
    def collator():
        return DataCollatorForGuidedMasking(tiny_tokenizer(), kind, 0.3, warmup=1, mask_update_steps=2)

    trainer, whole = curve(tmp_path / "1", rows, collator())
    _, cut = curve(tmp_path / "2", rows, collator(), gradient_accumulation_steps=2)
    assert cut == [pytest.approx(pair, rel=1e-4) for pair in whole]
    assert trainer.policy.token_weights().any()


def test_whole_words_come_from_the_stream(tmp_path, rows):
    collator = MaskingCollator(tiny_tokenizer(), rate=ConstantRate(0.2), policy=WholeWordPolicy())
    trainer, _ = curve(tmp_path, rows, collator)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["word_starts"].shape == batch["input_ids"].shape
    target = collator.mask(batch, pass_index=0, step=0)["labels"] != -100
    inside = (batch["word_starts"][:, 1:] == 0) & (batch["input_ids"][:, 1:] >= 5) & (batch["input_ids"][:, :-1] >= 5)
    assert torch.equal(target[:, 1:][inside], target[:, :-1][inside])
    assert target.any()


def test_whole_words_of_a_data_set_need_boundaries(tmp_path):
    from datasets import Dataset

    data = Dataset.from_dict({"input_ids": [[1, 7, 8, 2]] * 40})
    collator = MaskingCollator(tiny_tokenizer(), rate=ConstantRate(0.2), policy=WholeWordPolicy())
    with pytest.raises(OptionError, match="where words begin"):
        curve(tmp_path, data, collator, max_seq_len="8")
