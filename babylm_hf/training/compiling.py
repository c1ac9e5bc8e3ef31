"""`--torch_compile`: the body of the model is compiled, for training only and for shapes that keep coming.

The stock way compiles the whole model as it is called. Here targets are chosen by hooks in front of the head, which
change with every batch, and held-out text comes in shapes of its own: so what is compiled is the encoder or decoder
without its head (`model.base_model`), and only calls with gradients go there, from the third of a shape on. Modules,
weights and what is saved stay the stock ones. Price: half a minute to a minute for each shape on a CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_PATIENCE = 2
"""Calls of a shape before it is compiled."""
_SHAPES = 6
"""Shapes that are compiled at most; torch itself gives up soon after."""


class CompiledForward:
    """The forward of a body: compiled while training, else as it is.

    Args:
        body: the module; its `forward` is replaced.
        compiler: what compiles a function; `torch.compile` with the options of the run.
    """

    def __init__(self, body: nn.Module, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.body = body
        self.plain = body.forward
        self.compiled = compiler(self.plain)
        self.seen: Counter[tuple[Any, ...]] = Counter()
        vars(body)["forward"] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the forward of the body."""
        if not (self.body.training and torch.is_grad_enabled()):
            return self.plain(*args, **kwargs)
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        shape = tuple(tuple(v.shape) for v in tensors)
        self.seen[shape] += 1
        compiled_shapes = [s for s, calls in self.seen.items() if calls > _PATIENCE]
        if shape not in compiled_shapes[:_SHAPES]:
            return self.plain(*args, **kwargs)
        return self.compiled(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the body, such as a moving average, computes as the stock class does."""
        return MethodType(type(self.body).forward, memo[id(self.body)])


def compile_body(model: nn.Module, backend: str | None = None, mode: str | None = None) -> None:
    """Compile the part of `model` below its head in place; once, however often it is called.

    Args:
        model: a model of transformers, not wrapped.
        backend: of `torch.compile`; inductor where None.
        mode: of `torch.compile`.
    """
    body = getattr(model, "base_model", model)
    if not isinstance(vars(body).get("forward"), CompiledForward):
        options: dict[str, Any] = {"backend": backend or "inductor", "mode": mode, "dynamic": False}
        CompiledForward(body, lambda function: torch.compile(function, **options))
