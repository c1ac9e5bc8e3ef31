"""Muon against torch's own, its AdamW part against torch's, which parameter takes which rule, and a resume."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from babylm_hf.errors import OptionError
from babylm_hf.training import BabyLMTrainingArguments
from babylm_hf.training.muon import Muon, muon_groups, orthogonal
from tests.tiny import tiny_causal_model, tiny_model

SHAPES = ((6, 9), (9, 6), (6, 9), (5,))


def make_params(seed: int = 0) -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]


def run(optimizer: torch.optim.Optimizer, params: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        draw = torch.Generator().manual_seed(100 + step)
        for param in params:
            param.grad = torch.randn(param.shape, generator=draw)
        optimizer.step()


def ours(params: list[nn.Parameter]) -> Muon:
    groups = [
        {"params": params[:3], "muon": True, "weight_decay": 0.1},
        {"params": params[3:], "weight_decay": 0.0},
    ]
    return Muon(groups, lr=0.02, betas=(0.9, 0.98))


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5)])
def test_orthogonal_keeps_the_directions_and_levels_their_sizes(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1)).double()
    left, sizes, right = torch.linalg.svd(matrices, full_matrices=False)
    assert sizes.min() > 1e-2, "the iteration lifts what is not lost in rounding"
    inside = left.mT.float() @ orthogonal(matrices) @ right.mT.float()  # diagonal, if the directions are the same
    levels = inside.diagonal(dim1=1, dim2=2)
    assert torch.allclose(inside, torch.diag_embed(levels), atol=1e-4)
    assert levels.max() < 1.25
    assert levels.min() > 0.5


def test_matrices_move_as_with_the_muon_of_torch() -> None:
    mine, theirs = make_params(), make_params()
    start = [param.detach().clone() for param in mine]
    run(ours(mine), mine, range(6))
    reference = torch.optim.Muon(theirs[:3], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    run(_Both(reference, theirs), theirs, range(6))
    for a, b, before in zip(mine[:3], theirs[:3], start[:3], strict=True):
        assert (a - b).norm() < 0.03 * (b - before).norm(), "torch iterates in bfloat16"


class _Both(torch.optim.Optimizer):
    """Steps torch's Muon while `run` draws a gradient for every parameter, so that both see the same draws."""

    def __init__(self, muon: torch.optim.Muon, params: list[nn.Parameter]) -> None:
        super().__init__(params, {})
        self.muon = muon

    def step(self, closure: None = None) -> None:
        self.muon.step()


def test_the_rest_moves_as_with_adamw() -> None:
    mine, theirs = make_params(), make_params()
    run(ours(mine), mine, range(6))
    run(torch.optim.AdamW(theirs, lr=0.02, betas=(0.9, 0.98), weight_decay=0.0), theirs, range(6))
    assert torch.allclose(mine[3], theirs[3], rtol=1e-6)
    assert not torch.allclose(mine[0], theirs[0], rtol=1e-2), "matrices have the other rule"


def test_a_resume_goes_on_bit_for_bit() -> None:
    whole, halves = make_params(), make_params()
    run(ours(whole), whole, range(6))
    first = ours(halves)
    run(first, halves, range(3))
    state = copy.deepcopy(first.state_dict())
    second = ours(halves)
    second.load_state_dict(state)
    run(second, halves, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True))


@pytest.mark.parametrize("make", [tiny_model, tiny_causal_model, lambda: tiny_causal_model("gpt2")])
def test_tables_and_vectors_are_for_adamw(make: object) -> None:
    model = make()  # type: ignore[operator]
    groups = muon_groups(model, 0.1)
    names = {id(param): name for name, param in model.named_parameters()}
    inner, tables, vectors = ({names[id(param)] for param in group["params"]} for group in groups)
    assert len(inner) + len(tables) + len(vectors) == len(names)
    assert [group.get("muon", False) for group in groups] == [True, False, False]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.1, 0.0]
    assert all("embed" in name or "wte" in name or "wpe" in name or name == "lm_head.weight" for name in tables)
    assert any("attn" in name or "attention" in name for name in inner)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(OptionError, match="--muon and --lamb are two optimizers"):
        BabyLMTrainingArguments(output_dir="unused", muon=True, lamb=True)
    with pytest.raises(OptionError, match="--muon_momentum must lie in"):
        Muon([{"params": make_params()[:1], "muon": True}], lr=0.1, momentum=1.0)
    with pytest.raises(OptionError, match="Muon is for matrices"):
        Muon([{"params": make_params(), "muon": True}], lr=0.1)
    with pytest.raises(OptionError, match="needs a model with trainable matrices"):
        muon_groups(nn.Embedding(4, 2), 0.0)
