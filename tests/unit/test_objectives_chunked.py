"""The masked loss in chunks: the numbers, gradients and guesses of the plain one."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_model

from babylm_hf.objectives import MaskedObjective, chunked

VOCABULARY = 400


def masked_batch(weighted):
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(5, VOCABULARY, (4, 15), generator=draw)
    hidden = torch.rand(ids.shape, generator=draw) < 0.4
    given = {
        "input_ids": ids.masked_fill(hidden, 4),
        "attention_mask": torch.ones_like(ids),
        "labels": ids.masked_fill(~hidden, -100),
    }
    if weighted:
        given |= {"loss_weights": torch.rand(ids.shape, generator=draw) * hidden, "maskable": torch.full((4,), 15)}
    return given


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "deberta"])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_gradients_and_guesses_are_those_of_all_logits(architecture, weighted, monkeypatch):
    monkeypatch.setattr(chunked, "_MOST_LOGITS", 7 * VOCABULARY)
    model, given = tiny_model(architecture), masked_batch(weighted)
    found = {}
    for name, in_chunks in (("plain", False), ("chunked", True)):
        objective = MaskedObjective(model, chunked=in_chunks)
        assert (objective.head is not None) == in_chunks
        model.zero_grad()
        prepared = objective.prepare(given)
        result = objective(prepared)
        (result.total() / objective.count(prepared)).backward()
        found[name] = result, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    (plain, wanted), (ours, gradients) = found["plain"], found["chunked"]
    assert plain.logits is not None
    assert ours.logits is None
    assert torch.allclose(ours.losses, plain.losses, atol=1e-6, rtol=1e-6)
    assert torch.allclose(ours.total(), plain.total(), rtol=1e-6)
    assert torch.equal(ours.correct(), plain.correct())
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, wanted[name], atol=1e-6), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cached", [1, 3 * VOCABULARY, 1 << 20])
def test_of_equal_logits_the_first_is_the_guess_and_slopes_are_those_of_autograd(dtype, cached, monkeypatch):
    monkeypatch.setattr(chunked, "_CACHED", cached)
    draw = torch.Generator().manual_seed(0)
    # Few levels, so that most rows have several best pieces.
    logits = torch.randint(-3, 4, (8, VOCABULARY), generator=draw).to(dtype)
    targets = logits.float().topk(2, dim=-1).indices[:, 0]
    targets[::2] = logits[::2].argmax(-1)
    factors = torch.rand(8, generator=draw)
    leaf = logits.double().requires_grad_()
    expected = torch.nn.functional.cross_entropy(leaf, targets, reduction="none")
    (expected * factors).sum().backward()
    right = logits.argmax(-1) == targets
    losses, found = chunked._to_slopes(logits, None, targets, factors, None, train=True)
    assert torch.equal(found, right)
    assert found.any()
    assert torch.allclose(losses.double(), expected.detach(), atol=1e-5)
    assert torch.allclose(logits.double(), leaf.grad, atol=1e-6, rtol=2 * torch.finfo(dtype).eps)
