"""The loss and the gradient of a step do not depend on how the step is cut into micro-batches."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_model, tiny_stream, tiny_trainer

from babylm_hf.objectives import MaskedObjective

STEPS = 4


def _curve(folder, rows, **options):
    trainer = tiny_trainer(folder, rows, max_steps=STEPS, **options)
    trainer.train()
    return [(line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "deberta"])
def test_loss_and_gradient_norm_are_equal_for_any_accumulation(tmp_path, architecture):
    rows = tiny_stream(tmp_path)
    whole = _curve(tmp_path / "1", rows, architecture=architecture)
    assert len(whole) == STEPS
    for accumulation in (2, 5):
        cut = _curve(
            tmp_path / str(accumulation), rows, architecture=architecture, gradient_accumulation_steps=accumulation
        )
        assert cut == [pytest.approx(pair, rel=1e-5) for pair in whole]


def test_the_first_loss_is_the_plain_cross_entropy_over_all_targets(tmp_path):
    rows = tiny_stream(tmp_path)
    trainer = tiny_trainer(tmp_path, rows, max_steps=1, gradient_accumulation_steps=3)
    key = trainer.plan.step(0)
    arrays = {name: torch.from_numpy(values) for name, values in rows.fetch(key.seq_length, key.rows).items()}
    masked = trainer.data_collator.mask(
        {**arrays, "example_id": torch.from_numpy(key.rows)}, pass_index=key.pass_index, step=0
    )
    model = tiny_model()
    with torch.no_grad():
        logits = model(input_ids=masked["input_ids"], attention_mask=masked["attention_mask"]).logits
    expected = F.cross_entropy(logits.flatten(0, 1), masked["labels"].flatten(), ignore_index=-100)
    trainer.train()
    logged = next(line["loss"] for line in trainer.state.log_history if "loss" in line)
    assert logged == pytest.approx(float(expected), rel=1e-5)


def test_filling_up_the_targets_changes_no_loss():
    model, losses = tiny_model().eval(), []
    objective = MaskedObjective(model)
    ids = torch.arange(5, 5 + 6 * 20).reshape(6, 20)
    for count in range(40):
        labels = torch.full_like(ids, -100)
        labels.view(-1)[:count] = ids.view(-1)[:count]
        with torch.no_grad():
            found = objective(objective.prepare({"input_ids": ids, "labels": labels}))
            expected = F.cross_entropy(model(input_ids=ids).logits[labels >= 0], labels[labels >= 0], reduction="none")
        assert found.losses.shape == (count,)
        assert torch.allclose(found.losses, expected, atol=1e-5)
        losses.append(float(found.losses.sum()))
    assert losses == sorted(losses)
    assert losses[0] == 0
