"""LAMB against the formula of the specification (B6, 7i) in float64, and its state over a stop and a resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from babylm_hf.errors import OptionError
from babylm_hf.training import optimizers
from babylm_hf.training.optimizers import Lamb, parameter_groups, trust_ratios

SHAPES = ((7, 5), (5,), (3, 4, 2))


def make_params(
    zeros: Sequence[int] = (), seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(shape, generator=generator) * 0.3 for shape in SHAPES]
    return [torch.nn.Parameter((v * (i not in zeros)).to(dtype)) for i, v in enumerate(values)]


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1000 + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def run(optimizer: torch.optim.Optimizer, params: list[torch.nn.Parameter], steps: range) -> None:
    for step in steps:
        for param, grad in zip(params, gradients(step), strict=True):
            param.grad = grad.to(param.dtype)
        optimizer.step()


def formula(
    values: list[np.ndarray],
    steps: range,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    decay: float,
    clip: bool = True,
    reference: bool = False,
) -> list[np.ndarray]:
    """The rule as the specification words it."""
    values = [v.astype(np.float64) for v in values]
    m, v = [np.zeros_like(x) for x in values], [np.zeros_like(x) for x in values]
    for k in steps:
        for i, grad in enumerate(gradients(k)):
            g = grad.numpy().astype(np.float64)
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g * g
            u = (m[i] / (1 - betas[0] ** (k + 1))) / (np.sqrt(v[i] / (1 - betas[1] ** (k + 1))) + eps)
            length = np.linalg.norm(values[i])
            ratio = length / np.linalg.norm(u) if length > 0 or reference else 1.0
            ratio = min(1.0, ratio) if clip else ratio
            values[i] = (values[i] - lr * ratio * u) * (1 - lr * decay)
    return values


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("scale", [0.01, 30.0])
def test_steps_follow_the_formula(reference: bool, clip: bool, scale: float) -> None:
    # Small parameters have a ratio below 1, large ones above: both sides of the bound are taken. Tensor 1 is zero.
    params = make_params(zeros=(1,))
    with torch.no_grad():
        for param in params:
            param.mul_(scale)
    hyper = {"lr": 0.02, "betas": (0.9, 0.98), "eps": 1e-8}
    expected = formula(
        [p.detach().numpy().copy() for p in params], range(12), **hyper, decay=0.1, clip=clip, reference=reference
    )
    run(Lamb(params, **hyper, weight_decay=0.1, clip_ratio=clip, reference=reference), params, range(12))
    for param, values in zip(params, expected, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), values, rtol=2e-5, atol=1e-7)


def test_zero_tensor_moves_by_lr_in_the_project_and_stays_zero_in_the_reference() -> None:
    project, reference = make_params(zeros=(1,)), make_params(zeros=(1,))
    run(Lamb(project, lr=1e-2, eps=0.0, weight_decay=0.0), project, range(1))
    # The first update is the sign of the gradient, and a zero tensor takes it whole.
    torch.testing.assert_close(project[1].detach(), -1e-2 * gradients(0)[1].sign(), rtol=1e-5, atol=0)
    run(Lamb(reference, lr=1e-2, reference=True), reference, range(50))
    assert torch.equal(reference[1].detach(), torch.zeros(SHAPES[1]))
    assert not torch.equal(reference[0], make_params()[0])


def test_clipped_step_is_never_longer_than_adamws_nor_than_lr_times_the_parameter() -> None:
    params = make_params()
    before = [p.detach().clone() for p in params]
    run(Lamb(params, lr=0.1, weight_decay=0.0), params, range(1))
    for param, old in zip(params, before, strict=True):
        length = (param.detach() - old).norm().item()
        adamw_length = 0.1 * math.sqrt(old.numel())
        assert length == pytest.approx(0.1 * min(old.norm().item(), math.sqrt(old.numel())), rel=1e-4)
        assert length <= adamw_length * (1 + 1e-6)


def test_equals_adamw_where_the_ratio_is_bounded_and_decay_is_off() -> None:
    ours, stock = make_params(), make_params()
    with torch.no_grad():
        for param in (*ours, *stock):
            param.mul_(1000)
    run(Lamb(ours, lr=1e-2, weight_decay=0.0), ours, range(5))
    run(torch.optim.AdamW(stock, lr=1e-2, betas=(0.9, 0.98), weight_decay=0.0), stock, range(5))
    for a, b in zip(ours, stock, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_trust_ratios_at_the_edges() -> None:
    lengths, updates = torch.tensor([0.0, 0.0, 2.0, 2.0, 2.0]), torch.tensor([0.0, 1.0, 0.0, 1.0, 4.0])
    ratios = {
        (clip, freeze): trust_ratios(lengths, updates, clip=clip, freeze_zeros=freeze).tolist()
        for clip in (False, True)
        for freeze in (False, True)
    }
    assert ratios[True, False] == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert ratios[True, True] == [1.0, 0.0, 1.0, 1.0, 0.5]
    assert ratios[False, False] == [1.0, 1.0, 1.0, 2.0, 0.5]
    assert ratios[False, True] == [1.0, 0.0, 1.0, 2.0, 0.5]


def test_resume_is_bit_equal() -> None:
    whole, first = make_params(), make_params()
    run(Lamb(whole), whole, range(9))
    stopped = Lamb(first)
    run(stopped, first, range(4))
    saved = copy.deepcopy(stopped.state_dict())
    resumed_params = [torch.nn.Parameter(p.detach().clone()) for p in first]
    resumed = Lamb(resumed_params, lr=0.5)
    resumed.load_state_dict(saved)
    run(resumed, resumed_params, range(4, 9))
    assert resumed.param_groups[0]["lr"] == stopped.param_groups[0]["lr"]
    for a, b in zip(whole, resumed_params, strict=True):
        assert torch.equal(a, b)
    assert {key for state in saved["state"].values() for key in state} == {"step", "exp_avg", "exp_avg_sq"}


def test_state_survives_the_disk(tmp_path) -> None:
    params = make_params()
    optimizer = Lamb(params)
    run(optimizer, params, range(2))
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    loaded = torch.load(tmp_path / "optimizer.pt", weights_only=True)
    other = Lamb(make_params())
    other.load_state_dict(loaded)
    for key, state in optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, other.state_dict()["state"][key][name]) for name, value in state.items())
    assert copy.deepcopy(optimizer)._scratch == {}


def test_result_does_not_depend_on_the_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    together, apart = make_params(zeros=(1,)), make_params(zeros=(1,))
    run(Lamb(together), together, range(5))
    monkeypatch.setattr(optimizers, "CPU_BUCKET", 1)
    run(Lamb(apart), apart, range(5))
    for a, b in zip(together, apart, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_both_ways_to_apply_an_update_agree(decay: float) -> None:
    on_cpu, on_device = ([p.detach().clone() for p in make_params()] for _ in range(2))
    scales = torch.tensor([0.5, 0.0, 2.0])
    optimizers._apply_on_cpu(on_cpu, gradients(0), scales.tolist(), decay)
    optimizers._apply_on_device(on_device, gradients(0), scales, decay)
    for a, b in zip(on_cpu, on_device, strict=True):
        torch.testing.assert_close(a, b)
    expected = [(p + s * g) * (1 - decay) for p, s, g in zip(make_params(), scales, gradients(0), strict=True)]
    for a, b in zip(on_cpu, expected, strict=True):
        torch.testing.assert_close(a, b.detach())


def test_parameters_without_gradient_rest_and_groups_have_their_own_settings() -> None:
    params = make_params()
    frozen, slow, fast = params
    before = [p.detach().clone() for p in params]
    optimizer = Lamb([{"params": [frozen, slow], "lr": 0.0}, {"params": [fast]}], lr=1e-2)
    for param, grad in zip((slow, fast), gradients(0)[1:], strict=True):
        param.grad = grad.clone()
    optimizer.step()
    assert torch.equal(frozen, before[0])
    assert frozen not in optimizer.state
    assert torch.equal(slow, before[1])
    assert not torch.equal(fast, before[2])
    assert torch.equal(fast.grad, gradients(0)[2]), "gradients are left as they are"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_and_layouts_are_updated(dtype: torch.dtype) -> None:
    params = make_params(dtype=dtype)
    transposed = torch.nn.Parameter(torch.arange(6.0, dtype=dtype).view(2, 3).t())
    transposed.grad = torch.ones(3, 2, dtype=dtype)
    before = transposed.detach().clone()
    optimizer = Lamb([*params, transposed], lr=0.1, weight_decay=0.5)
    run(optimizer, params, range(1))
    assert all(torch.isfinite(p).all() for p in params)
    torch.testing.assert_close(transposed.detach(), (before - 0.1) * 0.95)


def test_closure_is_run_with_gradients() -> None:
    param = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = Lamb([param], lr=0.1, weight_decay=0.0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert param.item() == pytest.approx(2.9)


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(6, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.head = torch.nn.Linear(4, 6)
        self.head.weight = self.embedding.weight
        self.frozen = torch.nn.Linear(2, 2)
        self.frozen.requires_grad_(False)


def test_parameter_groups_decay_matrices_only_and_list_tied_weights_once() -> None:
    model = Tied()
    decayed, plain = parameter_groups(model, 0.1)
    assert [id(p) for p in decayed["params"]] == [id(model.embedding.weight)]
    assert [id(p) for p in plain["params"]] == [id(model.norm.weight), id(model.norm.bias), id(model.head.bias)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    (everything,) = parameter_groups(model, 0.1, decay_all=True)
    assert len(everything["params"]) == 4
    assert everything["weight_decay"] == 0.1


@pytest.mark.parametrize(
    ("setting", "named"),
    [({"lr": -1.0}, "lr"), ({"lr": float("nan")}, "lr"), ({"betas": (0.9, 1.0)}, "betas"), ({"eps": -1e-8}, "eps")],
)
def test_impossible_settings_are_named(setting: dict, named: str) -> None:
    with pytest.raises(OptionError, match=named):
        Lamb(make_params(), **setting)


def test_sparse_gradients_and_empty_models_are_refused() -> None:
    param = torch.nn.Parameter(torch.ones(3, 2))
    param.grad = torch.ones(3, 2).to_sparse()
    with pytest.raises(OptionError, match="sparse"):
        Lamb([param]).step()
    with pytest.raises(OptionError, match="no trainable parameter"):
        parameter_groups(torch.nn.Linear(2, 2).requires_grad_(False), 0.1)
    with pytest.raises(OptionError, match="weight_decay"):
        parameter_groups(torch.nn.Linear(2, 2), -0.1)


@pytest.mark.parametrize(
    ("start", "decay", "expected"),
    [([3.0, 4.0], 0.1, [2.968221, 4.014667]), ([3.0, 4.0], 0.0, [2.993, 4.007]), ([0.0, 0.0], 0.1, [-0.007, 0.007])],
)
def test_lamb_with_coupled_decay_is_that_of_masked_diffusion(
    start: list[float], decay: float, expected: list[float]
) -> None:
    param = torch.nn.Parameter(torch.tensor(start))
    param.grad = torch.tensor([0.1, -0.2])
    Lamb([param], lr=0.007, weight_decay=decay, clip_ratio=False, coupled_decay=True).step()
    assert param.tolist() == pytest.approx(expected, abs=2e-6)
