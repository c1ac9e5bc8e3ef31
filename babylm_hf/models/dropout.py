"""Dropout for a CPU at the speed of memory: the stock rate and scale, another stream of random numbers.

torch draws the Bernoulli variables of a CPU one by one in a single thread; once a step has no wasted logits this is its
largest cost after the matrix products. Here a 64-bit draw decides four elements: an element is kept where its 16 bits
are at least round(p * 65,536), so the rate is exact to 1 / 131,072, and what is kept is divided by that very share.
The numbers come from SFC64 (numpy), seeded for every call by one draw of torch's own generator: `torch.manual_seed`
decides them all, as it does for the stock dropout, and so do the generator states that gradient checkpointing keeps.

Under `torch.compile`, which cannot call numpy, the bits are a hash of an element's place and two draws of torch's
generator: the compiler fuses it with the operations around it, and makes it anew for the gradient.

Only what happens while training on a CPU changes: modules, weights and what is saved are the stock ones.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CHUNK = 1 << 18
"""Elements whose random bits are made at a time: half a megabyte, which stays in a core's cache."""
LEVELS = 1 << 16
"""What 16 random bits are compared with."""


def use_fast_dropout(model: Any) -> int:
    """Give every `nn.Dropout` of `model` the fast forward; returns how many there were."""
    found = [module for module in model.modules() if type(module) is nn.Dropout]
    for module in found:
        vars(module)["forward"] = MethodType(_forward, module)
    return len(found)


def is_fast(module: nn.Module) -> bool:
    """Whether a module is a dropout with the fast forward."""
    return getattr(vars(module).get("forward"), "__func__", None) is _forward


def _forward(self: Any, input: Tensor) -> Tensor:
    return fast_dropout(input, self.p) if self.training else input


def fast_dropout(states: Tensor, rate: float) -> Tensor:
    """Zero each element with probability `rate` and scale the others to keep the mean; floating point of any shape.

    Off a CPU and at the ends of the range it is torch's own dropout.
    """
    threshold = threshold_of(rate, states)
    if threshold is None:
        return F.dropout(states, rate)
    if torch.compiler.is_compiling():
        return _hashed_dropout(states, threshold)
    kept: Tensor = _Dropout.apply(states, threshold)
    return kept


def threshold_of(rate: float, states: Tensor) -> int | None:
    """Of 65,536 levels those that are dropped; None where the stock dropout has to do."""
    threshold = round(rate * LEVELS)
    return threshold if states.device.type == "cpu" and 0 < threshold < LEVELS else None


def _hashed_dropout(states: Tensor, threshold: int) -> Tensor:
    """Dropout by a hash of the place; the multipliers are those of Wellons' lowbias32 (2018)."""
    place = torch.arange(states.numel(), dtype=torch.int32, device=states.device).view(states.shape)
    first, second = _two_draws().unbind()
    bits = place * -1640531535 + first  # an odd number near 2^32 divided by the golden ratio
    bits = (bits ^ _shifted(bits, 16) ^ second) * 0x7FEB352D
    bits = (bits ^ _shifted(bits, 15)) * (0x846CA68B - (1 << 32))
    # 0 or 1 by the sign of a difference: inductor's loops take longer to write bools than to make them.
    keep = 1 + ((_shifted(bits, 16) - threshold) >> 31)
    return (states * keep.to(states.dtype)) * (LEVELS / (LEVELS - threshold))


# An operator of its own: a compiler that knew what it does would draw again for every few elements.
@torch.library.custom_op("babylm_hf::two_draws", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _two_draws() -> Tensor:
    """int32 `[2]` from torch's generator for the CPU."""
    return torch.randint(-(1 << 31), (1 << 31) - 1, (2,), dtype=torch.int32)


@_two_draws.register_fake
def _() -> Tensor:
    return torch.empty(2, dtype=torch.int32)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """int32, shifted to the right as if it had no sign."""
    return (bits >> by) & ((1 << (32 - by)) - 1)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, threshold: int) -> Tensor:
        ctx.scale = LEVELS / (LEVELS - threshold)
        keep = torch.empty_like(states, memory_format=torch.contiguous_format)
        Draws(threshold).fill(keep)
        ctx.save_for_backward(keep)
        return scaled_product(states, keep, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return scaled_product(gradients[0], keep, ctx.scale), None


class Draws:
    """A stream of decisions, seeded by one draw of torch's generator.

    Args:
        threshold: of 65,536 levels those that are dropped.
    """

    def __init__(self, threshold: int) -> None:
        self.lowest = threshold - LEVELS // 2
        self.source = np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_()))

    def fill(self, keep: Tensor) -> None:
        """Write 1 where an element is kept and 0 where it is dropped, into a contiguous tensor.

        Of a floating dtype: a product with it is several times faster than one with a bool.
        """
        for part in keep.view(-1).split(_CHUNK):
            bits = torch.from_numpy(self.source.random_raw(-(-len(part) // 4)).view(np.int16))
            torch.ge(bits[: len(part)], self.lowest, out=part)


def scaled_product(states: Tensor, keep: Tensor, scale: float) -> Tensor:
    """`states * keep * scale` in one pass, rounded once."""
    return torch.addcmul(states.new_zeros(()), states, keep, value=scale)
