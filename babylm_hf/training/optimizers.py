"""LAMB as the adaptive-masking reference trains with it, its flaw mended, and parameter groups for any optimizer.

The rule (the reference's library; the trust ratio is from You et al. 2020, arXiv 1904.00962, Algorithm 2)::

    u     = m_hat / (sqrt(v_hat) + eps)                 both moments bias-corrected: the AdamW update
    r     = min(1, |theta| / |u|)                       one number for each parameter tensor
    theta = (theta - lr * r * u) * (1 - lr * decay)     decay stands outside the ratio

`coupled_decay=True` is the other form, that of GPT-BERT and of the masked-diffusion paper: u has + decay * theta as its
last term, nothing is decayed outside, and parameters without decay take plain Adam steps (r = 1).

Bounded by 1 the ratio only ever shortens a step: this is AdamW with the norm of its update clipped to the norm of the
parameter. `clip_ratio=False` lifts the bound. Where |theta| is 0 the formula gives r = 0, so a tensor that starts at
zero, as every bias does, stays there for ever. The project's profile takes r = 1 there, as You et al. do;
`reference=True` keeps the freeze of the published runs.

Price: one fused AdamW pass into a scratch buffer (of the size of the largest tensor), two norms, one pass over the
parameters.

`pytorch_optimizer.Lamb` (4.1) was looked at first. It cannot express this rule: the second moment has no bias
correction, |theta| is clamped to 10 (an embedding matrix is longer), eps is added to |u|, decay comes before the norms,
the ratio has no upper bound and nothing can freeze. None of these is an option there: the two part at the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from ..errors import OptionError

# Elements. Small buckets keep the arrays of an update near a CPU's caches; accelerators want few, large launches.
CPU_BUCKET = 1 << 22
ACCELERATOR_BUCKET = 1 << 26


class GroupOptimizer(torch.optim.Optimizer):
    """An optimizer that updates one group of parameters after another; what an update is, its classes say."""

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; gradients are not changed. Returns the loss of the closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update_group(group)
        return loss

    def _update_group(self, group: dict[str, Any]) -> None:
        raise TypeError(f"{type(self).__name__} does not say how a group is updated")

    def _fused_adamw(
        self,
        targets: list[torch.Tensor],
        params: list[torch.Tensor],
        group: dict[str, Any],
        lr: float,
        weight_decay: float,
    ) -> None:
        """Move `targets` by the AdamW steps of `params`, from the gradients and moments of these."""
        states = [self.state[param] for param in params]
        adamw(
            targets,
            [param.grad.contiguous() for param in params if param.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=lr,
            weight_decay=weight_decay,
            eps=group["eps"],
            maximize=False,
        )

    def _start_moments(self, param: torch.Tensor) -> None:
        """The state of AdamW at zero, where a parameter has none yet."""
        state = self.state[param]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=param.device)
            state["exp_avg"] = torch.zeros_like(param, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.contiguous_format)


class Lamb(GroupOptimizer):
    """LAMB with a bounded trust ratio and decoupled decay outside the ratio (formula in the module's docstring).

    Args:
        params: parameters or groups; a group may set its own `lr`, `betas`, `eps`, `weight_decay`.
        lr: step size at its peak; the adaptive-masking paper uses 7e-3.
        betas: decay of the two moments. The reference's code has (0.9, 0.98); its paper prints 0.95 for the second.
        eps: added to the square root of the second moment.
        weight_decay: share of `lr` by which a parameter shrinks at each step, whatever its trust ratio.
        clip_ratio: never scale an update up: the trust ratio is at most 1.
        reference: freeze tensors whose norm is 0, as the published runs did.
        coupled_decay: decay inside the update, and a trust ratio only where there is decay.

    Raises:
        OptionError: a hyper-parameter outside its range, or a sparse gradient.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float = 7e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        clip_ratio: bool = True,
        reference: bool = False,
        coupled_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "clip_ratio": clip_ratio,
            "reference": reference,
            "coupled_decay": coupled_decay,
            # torch reads this when a state is loaded: it puts the step counters where the fused kernel wants them.
            "fused": True,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            _check_group(group)
        self._scratch: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def _update_group(self, group: dict[str, Any]) -> None:
        for bucket in _buckets(group["params"]):
            self._update(bucket, group)

    def _update(self, params: list[torch.Tensor], group: dict[str, Any]) -> None:
        """One step for tensors of one device and dtype."""
        for param in params:
            self._initialise(param)
        updates = self._zeros_like(params)
        # An AdamW step of size 1 from zero, without decay, leaves exactly -u; both moments move in the same pass.
        self._fused_adamw(updates, params, group, lr=1.0, weight_decay=0.0)
        scales, decay = self._scales(params, updates, group), group["lr"] * group["weight_decay"]
        decay = 0.0 if group.get("coupled_decay") else decay
        if scales.device.type == "cpu":
            _apply_on_cpu(params, updates, scales.tolist(), decay)
        else:
            _apply_on_device(params, updates, scales, decay)

    def _scales(self, params: list[torch.Tensor], updates: list[torch.Tensor], group: dict[str, Any]) -> torch.Tensor:
        """lr * r of each tensor, floats `[n]`; a coupled decay goes into the updates (which are -u) first."""
        if group.get("coupled_decay"):  # absent in checkpoints older than the option
            if group["weight_decay"] == 0:
                return torch.full((len(params),), float(group["lr"]), device=params[0].device)
            torch._foreach_add_(updates, params, alpha=-group["weight_decay"])
        ratios = trust_ratios(
            _norms(params), _norms(updates), clip=group["clip_ratio"], freeze_zeros=group["reference"]
        )
        return ratios.mul_(group["lr"])

    def _initialise(self, param: torch.Tensor) -> None:
        if param.grad is not None and param.grad.is_sparse:
            raise OptionError("Lamb cannot use sparse gradients; build the embedding with sparse=False.")
        self._start_moments(param)

    def _zeros_like(self, params: list[torch.Tensor]) -> list[torch.Tensor]:
        """Zeroed views of a scratch buffer. It is kept: on a CPU fresh pages cost more than the whole update."""
        sizes = [param.numel() for param in params]
        key = (params[0].device, params[0].dtype)
        scratch = self._scratch.get(key)
        if scratch is None or scratch.numel() < sum(sizes):
            scratch = self._scratch[key] = torch.empty(sum(sizes), device=key[0], dtype=key[1])
        used = scratch[: sum(sizes)].zero_()
        return [part.view(param.shape) for part, param in zip(used.split(sizes), params, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        # The scratch buffer is no state: the next step makes it again.
        return {**super().__getstate__(), "_scratch": {}}


def trust_ratios(
    parameter_norms: torch.Tensor, update_norms: torch.Tensor, *, clip: bool, freeze_zeros: bool
) -> torch.Tensor:
    """|theta| / |u| of each tensor, at most 1 if `clip`; 1 where |theta| is 0, or 0 if `freeze_zeros`. Floats `[n]`."""
    usable = update_norms > 0
    if not freeze_zeros:
        usable &= parameter_norms > 0
    ratios = torch.where(usable, parameter_norms / update_norms, torch.ones_like(parameter_norms))
    return ratios.clamp_(max=1.0) if clip else ratios


def parameter_groups(model: torch.nn.Module, weight_decay: float, *, decay_all: bool = False) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices with decay, vectors (biases, norm gains) without.

    A vector is a scale or an offset; to shrink it regularises nothing. Tied parameters are listed once, in the order of
    `model.named_parameters()`.

    Args:
        weight_decay: of the first group.
        decay_all: one group for everything, as the reference has it.

    Raises:
        OptionError: the decay is negative, or nothing in the model is trainable.
    """
    if weight_decay < 0:
        raise OptionError(f"--weight_decay must be 0 or more (got {weight_decay}).")
    trainable = [param for _, param in model.named_parameters() if param.requires_grad]
    if not trainable:
        raise OptionError("The model has no trainable parameter; unfreeze some before the optimizer is made.")
    if decay_all:
        return [{"params": trainable, "weight_decay": weight_decay}]
    groups = [
        {"params": [param for param in trainable if param.ndim >= 2], "weight_decay": weight_decay},
        {"params": [param for param in trainable if param.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _check_group(group: dict[str, Any]) -> None:
    """Refuse a hyper-parameter that cannot work, naming it."""
    for name in ("lr", "eps", "weight_decay"):
        if not group[name] >= 0:
            raise OptionError(f"Lamb: {name} must be 0 or more (got {group[name]!r}).")
    betas = group["betas"]
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise OptionError(f"Lamb: betas must be two numbers in [0, 1) (got {betas!r}).")


def _buckets(params: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Parameters with a gradient, neighbours together while they share device and dtype and fill no bucket."""
    bucket: list[torch.Tensor] = []
    size = 0
    for param in params:
        if param.grad is None:
            continue
        limit = CPU_BUCKET if param.device.type == "cpu" else ACCELERATOR_BUCKET
        alike = not bucket or (param.device, param.dtype) == (bucket[0].device, bucket[0].dtype)
        if bucket and not (alike and size + param.numel() <= limit):
            yield bucket
            bucket, size = [], 0
        bucket.append(param)
        size += param.numel()
    if bucket:
        yield bucket


def _norms(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Euclidean norm of each tensor, float `[n]`, on their device."""
    if tensors[0].device.type == "cpu" and tensors[0].dtype == torch.float32:
        # On a CPU the dot product of BLAS takes a third of the time of the norm kernel.
        flat = [tensor.reshape(-1) for tensor in tensors]
        return torch.stack([torch.dot(values, values) for values in flat]).sqrt_()
    return torch.stack(torch._foreach_norm(tensors)).float()


def _apply_on_cpu(params: list[torch.Tensor], updates: list[torch.Tensor], scales: list[float], decay: float) -> None:
    """theta <- (theta + scale * update) * (1 - decay), one scale for each tensor."""
    for param, update, scale in zip(params, updates, scales, strict=True):
        size = scale * (1.0 - decay)
        if decay and size and param.is_contiguous():
            # Both factors in one pass over memory: an SGD step up the update, of this size and this decay.
            sgd(
                [param],
                [update],
                [None],
                fused=True,
                lr=size,
                weight_decay=decay / size,
                momentum=0.0,
                dampening=0.0,
                nesterov=False,
                maximize=True,
            )
        else:
            param.add_(update, alpha=scale)
            if decay:
                param.mul_(1.0 - decay)


def _apply_on_device(
    params: list[torch.Tensor], updates: list[torch.Tensor], scales: torch.Tensor, decay: float
) -> None:
    """The same where the scales lie on an accelerator: to read them back would make every step wait for it."""
    torch._foreach_mul_(updates, list(scales.to(updates[0].dtype).unbind()))
    torch._foreach_add_(params, updates)
    if decay:
        torch._foreach_mul_(params, 1.0 - decay)
