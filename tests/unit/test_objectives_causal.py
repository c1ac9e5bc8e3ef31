"""The causal objective: its targets, and a loss in chunks that is the plain one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_causal_model, tiny_model

from babylm_hf.objectives import CausalObjective, MaskedObjective, chunked, is_causal, objective_for

VOCABULARY = 400


def batch(padded=(7, 12, 1), length=12, seed=0):
    """Rows of so many real tokens, padded on the right, labels not shifted."""
    ids = torch.randint(5, VOCABULARY, (len(padded), length), generator=torch.Generator().manual_seed(seed))
    attended = (torch.arange(length) < torch.tensor(padded)[:, None]).long()
    return {
        "input_ids": ids * attended,
        "attention_mask": attended,
        "labels": ids.masked_fill(attended == 0, -100),
    }


def plain_losses(model, given):
    """Cross-entropy from full logits, one for every target."""
    logits = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits[:, :-1]
    labels = given["labels"][:, 1:]
    losses = F.cross_entropy(logits.reshape(-1, VOCABULARY).float(), labels.reshape(-1), reduction="none")
    return losses[labels.reshape(-1) != -100]


def test_a_row_of_n_tokens_has_n_minus_1_targets_and_padding_none():
    prepared = CausalObjective(tiny_causal_model()).prepare(batch(padded=(7, 12, 1)))
    assert prepared["target_index"].tolist() == [*range(6), *range(12, 23)]
    given = batch(padded=(7, 12, 1))
    wanted = [*given["input_ids"][0, 1:7].tolist(), *given["input_ids"][1, 1:].tolist()]
    assert prepared["target_ids"].tolist() == wanted
    assert "labels" not in prepared


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_loss_and_gradients_are_those_of_full_logits(architecture, chunk, monkeypatch):
    monkeypatch.setattr(chunked, "_MOST_LOGITS", chunk * VOCABULARY)
    model, given = tiny_causal_model(architecture), batch()
    objective = CausalObjective(model)
    assert objective.head is not None
    expected = plain_losses(model, given)
    (expected.sum() / len(expected)).backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    found = objective(objective.prepare(given))
    (found.total() / len(expected)).backward()
    assert torch.allclose(found.losses, expected, atol=1e-6, rtol=1e-6)
    assert torch.allclose(found.total(), expected.sum(), rtol=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, wanted[name], atol=1e-6), name


def test_right_guesses_are_counted_where_nothing_is_learnt(monkeypatch):
    monkeypatch.setattr(chunked, "_MOST_LOGITS", 3 * VOCABULARY)
    model, given = tiny_causal_model(), batch()
    objective = CausalObjective(model)
    prepared = objective.prepare(given)
    with torch.no_grad():
        best = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits.argmax(-1)
        # half of the targets are made what the model would say
        prepared["target_ids"][::2] = best.reshape(-1)[prepared["target_index"]][::2]
        found = objective(prepared)
    expected = best.reshape(-1)[prepared["target_index"]] == prepared["target_ids"]
    assert torch.equal(found.correct(), expected)
    assert expected.sum() >= len(expected) // 2


def test_a_head_with_something_after_it_gets_full_logits():
    model, given = tiny_causal_model("gemma2"), batch()
    assert model.config.final_logit_softcapping
    objective = CausalObjective(model)
    assert objective.head is None
    found = objective(objective.prepare(given))
    assert torch.allclose(found.losses, plain_losses(model, given), atol=1e-6)
    assert found.logits is not None


def test_no_more_logits_than_a_chunk_are_ever_held(monkeypatch):
    monkeypatch.setattr(chunked, "_MOST_LOGITS", 4 * VOCABULARY)
    sizes = []
    real = torch.nn.functional.linear
    monkeypatch.setattr(F, "linear", lambda *given: sizes.append((out := real(*given)).shape) or out)
    model = tiny_causal_model()
    objective = CausalObjective(model)
    sizes.clear()
    objective(objective.prepare(batch())).total().backward()
    wide = [shape for shape in sizes if shape[-1] == VOCABULARY]
    assert len(wide) >= 5
    assert max(shape.numel() for shape in wide) <= 4 * VOCABULARY


def test_a_batch_without_targets_costs_nothing():
    model = tiny_causal_model()
    objective = CausalObjective(model)
    prepared = objective.prepare(batch(padded=(1, 1)))
    assert objective.count(prepared) == 0
    assert float(objective(prepared).total()) == 0.0


def test_bfloat16_under_autocast_is_near():
    model, given = tiny_causal_model(), batch()
    objective = CausalObjective(model)
    exact = float(objective(objective.prepare(given)).total())
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(objective.prepare(given)).total()
    found.backward()
    assert float(found) == pytest.approx(exact, rel=2e-2)
    assert model.lm_head.weight.grad.dtype == torch.float32


def test_the_model_chooses_the_objective():
    assert isinstance(objective_for(tiny_causal_model()), CausalObjective)
    assert isinstance(objective_for(tiny_causal_model("gpt2")), CausalObjective)
    assert isinstance(objective_for(tiny_model()), MaskedObjective)
    assert is_causal(tiny_causal_model("gpt_neox"))
    assert not is_causal(tiny_model("deberta"))
