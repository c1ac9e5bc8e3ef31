"""A rate whose rows weigh differently: the trainer's loss is the weighted sum over all maskable tokens of the step."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_model, tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.masking import DataCollatorForDiffusionMasking, DataCollatorForGuidedMasking


def _trainer(folder, rows, **options):
    collator = DataCollatorForDiffusionMasking(tiny_tokenizer())
    return tiny_trainer(folder, rows, collator=collator, max_steps=3, max_seq_len="16", **options)


def _losses(trainer):
    trainer.train()
    return [(line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


def test_the_diffusion_loss_is_the_weighted_sum_over_maskable_tokens(tmp_path):
    rows = tiny_stream(tmp_path)
    trainer = _trainer(tmp_path, rows)
    step = trainer.plan.step(0)
    batch = {name: torch.from_numpy(values) for name, values in rows.fetch(16, step.rows).items()}
    keys = {
        "example_id": torch.from_numpy(step.rows),
        "places": torch.arange(len(step.rows)),
        "step_rows": len(step.rows),
    }
    masked = trainer.data_collator.mask({**batch, **keys}, pass_index=0, step=0)
    with torch.no_grad():
        logits = tiny_model()(input_ids=masked["input_ids"], attention_mask=masked["attention_mask"]).logits
    losses = F.cross_entropy(logits.transpose(1, 2), masked["labels"], ignore_index=-100, reduction="none")
    expected = (losses * masked["loss_weights"]).sum() / masked["maskable"].sum()
    assert _losses(trainer)[0][0] == pytest.approx(float(expected), rel=1e-5)


def test_the_diffusion_loss_does_not_depend_on_accumulation(tmp_path):
    rows = tiny_stream(tmp_path)
    whole = _losses(_trainer(tmp_path / "1", rows))
    cut = _losses(_trainer(tmp_path / "3", rows, gradient_accumulation_steps=3))
    assert cut == [pytest.approx(pair, rel=1e-5) for pair in whole]


def test_a_guided_policy_learns_in_the_trainer(tmp_path):
    collator = DataCollatorForGuidedMasking(tiny_tokenizer())
    trainer = tiny_trainer(tmp_path, tiny_stream(tmp_path), collator=collator, max_steps=3)
    assert len(_losses(trainer)) == 3
    assert any(values.any() for values in collator.policy.state().values())
