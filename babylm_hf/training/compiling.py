"""`--torch_compile`: the layers of the model are compiled, for training only and for shapes that keep coming.

The stock way compiles the whole model as it is called. Here targets are chosen by hooks in front of the head, which
change with every batch, and held-out text comes in shapes of its own: so what is compiled is the layer that the encoder
or decoder (`model.base_model`) repeats, once for all of them, and only calls with gradients go there, from the third of
a shape on. A last layer inside which targets are chosen stays as it is. Modules, weights and what is saved stay the
stock ones. Price: some ten seconds for each shape on a CPU. All layers as one function take minutes there, and run
slower.
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
    """The forward of a module: compiled while training, else as it is.

    Args:
        module: the module; its `forward` is replaced.
        compiler: what compiles a function; `torch.compile` with the options of the run.
    """

    def __init__(self, module: nn.Module, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.module = module
        self.plain = module.forward
        self.compiled = compiler(self.plain)
        self.seen: Counter[tuple[Any, ...]] = Counter()
        vars(module)["forward"] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the forward of the module."""
        if not (self.module.training and torch.is_grad_enabled()) or self.chooses_rows():
            return self.plain(*args, **kwargs)
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        shape = tuple(tuple(v.shape) for v in tensors)
        self.seen[shape] += 1
        compiled_shapes = [s for s, calls in self.seen.items() if calls > _PATIENCE]
        if shape not in compiled_shapes[:_SHAPES]:
            return self.plain(*args, **kwargs)
        return self.compiled(*args, **kwargs)

    def chooses_rows(self) -> bool:
        """Whether rows are chosen inside (`models.heads`): how many changes, and hooks that come and go are traced."""
        return any(module._forward_pre_hooks for module in self.module.modules() if module is not self.module)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the module, such as a moving average, computes as the stock class does."""
        return MethodType(type(self.module).forward, memo[id(self.module)])


def compile_layers(model: nn.Module, backend: str | None = None, mode: str | None = None) -> None:
    """Compile the layers of `model` in place, or its body where none repeats; once, however often it is called.

    Args:
        model: a model of transformers, not wrapped.
        backend: of `torch.compile`; inductor where None.
        mode: of `torch.compile`.
    """
    options: dict[str, Any] = {"backend": backend or "inductor", "mode": mode, "dynamic": False}
    for module in repeated_layers(model) or [getattr(model, "base_model", model)]:
        if not isinstance(vars(module).get("forward"), CompiledForward):
            CompiledForward(module, lambda function: torch.compile(function, **options))


def repeated_layers(model: nn.Module) -> list[nn.Module] | None:
    """The modules of the longest list in the model's body in which all are of one class; None where there is none."""
    body = getattr(model, "base_model", model)
    lists = [list(module) for module in body.modules() if isinstance(module, nn.ModuleList)]
    alike = [layers for layers in lists if len(layers) > 1 and len({type(layer) for layer in layers}) == 1]
    return max(alike, key=len, default=None)
