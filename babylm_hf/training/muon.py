"""Muon for the matrices inside a model, AdamW for its embeddings, its output and all vectors.

The rule for a matrix of shape n x m, with momentum beta and gradient G::

    M     = beta * M + (1 - beta) * G
    O     = orthogonal((1 - beta) * G + beta * M)           five Newton-Schulz steps
    theta = theta * (1 - lr * decay) - lr * 0.2 * sqrt(max(n, m)) * O

Sources: Jordan et al. 2024, "Muon", https://kellerjordan.github.io/posts/muon (the iteration and its coefficients); the
factor, by which one learning rate and decay fit both rules, is from Liu et al. 2025, "Muon is Scalable for LLM
Training", arXiv 2502.16982, section 2.2.

`torch.optim.Muon` computes the same and is what the tests compare with. It was not taken itself because it works in
bfloat16 wherever it runs, which most CPUs only emulate, and goes matrix by matrix; here those of one shape go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError
from .optimizers import GroupOptimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


class Muon(GroupOptimizer):
    """Muon where a group has `muon` set, fused AdamW elsewhere (formula in the module's docstring).

    Args:
        params: groups, as `muon_groups` makes them; a group may set its own `lr`, `weight_decay`, `betas`, `momentum`.
        lr: step size of both rules.
        weight_decay: share of `lr` by which a parameter shrinks at each step.
        momentum: beta above.
        betas: of AdamW.
        eps: of AdamW.

    Raises:
        OptionError: the momentum is not in [0, 1), or a Muon group holds something else than matrices.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float = 0.0,
        *,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not 0 <= momentum < 1:
            raise OptionError(f"--muon_momentum must lie in [0, 1) (got {momentum}).")
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": tuple(betas), "eps": eps}
        # torch reads `fused` when a state is loaded: it puts the step counters where the fused kernel wants them.
        super().__init__(params, {**defaults, "muon": False, "fused": True})
        for group in self.param_groups:
            if group["muon"] and any(param.ndim != 2 for param in group["params"]):
                raise OptionError("Muon is for matrices; give vectors a group without `muon`.")

    def _update_group(self, group: dict[str, Any]) -> None:
        params = [param for param in group["params"] if param.grad is not None]
        if group["muon"]:
            for alike in _by_shape(params):
                self._muon(alike, group)
            return
        for param in params:
            self._start_moments(param)
        self._fused_adamw(params, params, group, group["lr"], group["weight_decay"])

    def _muon(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """One step for matrices of one shape."""
        for param in params:
            if not self.state[param]:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param)
        gradients = [param.grad for param in params if param.grad is not None]
        buffers = [self.state[param]["momentum_buffer"] for param in params]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        updates = orthogonal(torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"])))
        size = group["lr"] * 0.2 * max(params[0].shape) ** 0.5
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(params, list(updates.to(params[0].dtype).unbind()), alpha=-size)


def orthogonal(matrices: Tensor) -> Tensor:
    """About the nearest matrices with singular values of 1: they come out between 0.7 and 1.2.

    Args:
        matrices: `[k, n, m]`.

    Returns:
        `[k, n, m]`, in float32 on a CPU and bfloat16 elsewhere.
    """
    made = matrices.float() if matrices.device.type == "cpu" else matrices.bfloat16()
    tall = made.shape[1] > made.shape[2]
    made = made.mT if tall else made
    made = made / made.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = made @ made.mT
        made = torch.baddbmm(made, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), made, beta=a)
    return made.mT if tall else made


def muon_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in three groups: matrices inside the model; embeddings and output; vectors without decay.

    Embeddings and the output layer are tables of one vector for each token, of which a step sees some: there is no
    matrix to keep balanced.

    Raises:
        OptionError: the decay is negative, or there is no trainable matrix.
    """
    if weight_decay < 0:
        raise OptionError(f"--weight_decay must be 0 or more (got {weight_decay}).")
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    find_output: Any = getattr(model, "get_output_embeddings", None)
    if find_output is not None and (output := find_output()) is not None:
        tables.add(id(output.weight))
    trainable = [param for param in model.parameters() if param.requires_grad]
    inner = [param for param in trainable if param.ndim == 2 and id(param) not in tables]
    if not inner:
        raise OptionError("--muon needs a model with trainable matrices beside its embeddings; leave it out")
    taken = {id(param) for param in inner}
    others = [param for param in trainable if id(param) not in taken]
    groups = [
        {"params": inner, "weight_decay": weight_decay, "muon": True},
        {"params": [param for param in others if param.ndim >= 2], "weight_decay": weight_decay},
        {"params": [param for param in others if param.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _by_shape(params: list[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters in lists of one shape, device and dtype."""
    found: dict[Any, list[Tensor]] = {}
    for param in params:
        found.setdefault((param.shape, param.device, param.dtype), []).append(param)
    yield from found.values()
