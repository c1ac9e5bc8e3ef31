"""Vocabulary logits at chosen positions only.

The head of a small language model costs as much as its body: hidden size times vocabulary for every position, of which
a masked objective needs 15 to 40 %, and pseudo-log-likelihood one in a row. Nearly every stock model computes its head
position by position, in a child module that comes after the body. A hook in front of that module which keeps only the
wanted rows makes any such model produce only the wanted logits, with its own weights, code and autograd. Whether a
model is of that kind is not guessed from its name but traced and then checked; the others fall back to full logits.

The same holds for what follows the attention of the last layer, two thirds of a BERT layer: where a layer norms after
it adds (BERT, RoBERTa, ELECTRA, DeBERTa), the rows are chosen there already, and in our diffusion encoder in front of
the last feed-forward.

    selector = PositionSelector(model)              # traces and probes once
    logits = selector.logits(batch, flat_index)     # [N, vocabulary]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_PROBE_ROWS, _PROBE_LENGTH = 2, 7
_PROBE_POSITIONS = (11, 2, 8, 3)  # of the 14 flattened ones: neither sorted, contiguous nor from one row


def logits_of(output: Any) -> Tensor:
    """The logits of a model output: a `ModelOutput`, another mapping, or a tuple that starts with them."""
    logits: Tensor
    if isinstance(output, Mapping):
        logits = output["logits"]
    elif isinstance(output, tuple | list):
        logits = output[0]
    else:
        logits = output.logits
    return logits


def find_position_wise_head(model: nn.Module, probe_inputs: Mapping[str, Tensor] | None = None) -> nn.Module | None:
    """The child of `model` that starts its position-wise head, or None where there is none that can be trusted.

    Traces one small forward for the first direct child that receives `[B, L, H]` hidden states after an earlier child
    (the body) has returned them, then probes: with rows chosen in front of that child, the logits must equal the full
    logits at the same positions.

    Args:
        model: a model for masked or causal language modelling, called with `input_ids` and `attention_mask`; not
            wrapped for distributed training. Its training mode and the random state are left as they were.
        probe_inputs: the keyword arguments of the probing forward, `input_ids` `[B, L]` with B * L >= 14 among them,
            for models that need more than the usual two.
    """
    return _find_places(model, probe_inputs, early=False)[0]


def _find_places(
    model: nn.Module, probe_inputs: Mapping[str, Tensor] | None, early: bool
) -> tuple[nn.Module | None, nn.Module | None]:
    """Where the rows of a model can be chosen: in front of its head, and if `early`, as early as is found to work."""
    inputs = dict(probe_inputs) if probe_inputs is not None else probe_batch(model)
    with evaluating(model):
        head, joins, full = _trace(model, inputs)
        if head is None or full.dim() != 3 or full.shape[:2] != inputs["input_ids"].shape:
            return None, None
        if not _works_from(model, head, inputs, full):
            return None, None
        # Of a layer's two places where states are added to what was made of them, the first follows the attention.
        candidates = joins[-2:] if early else []
        return head, next((m for m in candidates if _works_from(model, m, inputs, full)), head)


def _works_from(model: nn.Module, module: nn.Module, inputs: dict[str, Tensor], full: Tensor) -> bool:
    """Whether rows chosen in front of `module` give the `full` logits `[B, L, V]` at the same positions."""
    index = torch.tensor(_PROBE_POSITIONS, device=full.device)
    try:
        with select_positions(model, module, index):
            chosen = logits_of(model(**inputs))
    except Exception:  # whatever an unknown module says to two-dimensional input, the answer is the same
        return False
    expected = full.reshape(-1, full.shape[-1])[index].float()
    if chosen.shape != expected.shape:
        return False
    # The kernels for [N, H] and [B, L, H] may round differently in the last places, never by a position's worth.
    tolerance = 256 * torch.finfo(full.dtype).eps * max(1.0, float(expected.abs().max()))
    return float((chosen.float() - expected).abs().max()) <= tolerance


@contextmanager
def select_positions(model: nn.Module, head: nn.Module, flat_index: Tensor) -> Iterator[None]:
    """Within it, `model(...)` (or a wrapper of it) returns logits `[N, V]` at N chosen positions of its `[B, L]` input.

    Args:
        model: the model that `head` belongs to.
        head: what `find_position_wise_head(model)` returned, or an earlier module from which on all is position-wise.
        flat_index: int64 `[N]`, row * L + position, in any order, on the model's device. Gradients flow through them.

    Do not pass labels to the model inside: its own loss would compare them with logits of another shape.
    """
    del model  # named for the reader, and for hooks that may have to go elsewhere some day

    def keep_chosen(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        shape = next(v.shape[:2] for v in (*args, *kwargs.values()) if isinstance(v, Tensor))

        def choose(value: Any) -> Any:
            if not _is_states(value, shape):
                return value
            return value.reshape(-1, value.shape[-1]).index_select(0, flat_index)

        return tuple(map(choose, args)), {name: choose(value) for name, value in kwargs.items()}

    handle = head.register_forward_pre_hook(keep_chosen, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class PositionSelector:
    """Logits of a model at chosen positions, by the cheapest way that the model allows.

    `head` is the module found by `find_position_wise_head`, or None: then the full logits are computed and gathered,
    which gives the same values for more work. `tail` is the earliest module from which on the model has been found to
    work position by position, `head` where there is no earlier one. Make one for a model and keep it; weights may
    change in between.

    Args:
        model: not wrapped.
        probe_inputs: see `find_position_wise_head`.
        early: look for such an earlier module.
    """

    def __init__(self, model: nn.Module, probe_inputs: Mapping[str, Tensor] | None = None, early: bool = True) -> None:
        self.model = model
        self.head, self.tail = _find_places(model, probe_inputs, early)

    def place(self) -> nn.Module | None:
        """The module in front of which rows are chosen now: the head where layers are computed again for gradients.

        That happens after the choice has been taken back.
        """
        return self.head if self.tail is self.head or _recomputes(self.model) else self.tail

    def logits(
        self, inputs: Mapping[str, Any], flat_index: Tensor, forward: Callable[..., Any] | None = None
    ) -> Tensor:
        """Logits `[N, V]` in the dtype of the model.

        Args:
            inputs: keyword arguments of the model, `input_ids` `[B, L]` among them, no labels.
            flat_index: int64 `[N]`, row * L + position.
            forward: what to call in place of the model: the same model wrapped for distributed training or compiled.
        """
        call = forward if forward is not None else self.model
        place = self.place()
        if place is not None:
            with select_positions(self.model, place, flat_index):
                return logits_of(call(**inputs))
        full = logits_of(call(**inputs))
        return full.reshape(-1, full.shape[-1]).index_select(0, flat_index)


def probe_batch(model: nn.Module) -> dict[str, Tensor]:
    """Two short rows of different ids and no padding, on the model's device, to learn what its forward does."""
    parameter = next(model.parameters())
    size = min(int(getattr(getattr(model, "config", None), "vocab_size", 16)), 1 << 16)
    ids = torch.arange(_PROBE_ROWS * _PROBE_LENGTH, device=parameter.device).reshape(_PROBE_ROWS, _PROBE_LENGTH)
    ids = (ids * 7 + 5) % size
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout and gradients, and as if nothing had been: every module's mode and the random state come back."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        # no_grad and not inference_mode: what a forward caches in a model (rotary tables) must serve training later.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _trace(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[nn.Module | None, list[nn.Module], Tensor]:
    """What one forward shows.

    Returns:
        the first direct child that receives `[B, L, H]` states after another has returned them;
        the modules before it that receive several such tensors, in the order of their calls;
        the full logits.
    """
    shape = inputs["input_ids"].shape
    children = set(model.children())
    returned: list[nn.Module] = []
    found: list[nn.Module] = []
    joins: list[nn.Module] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = sum(_is_states(value, shape) for value in (*args, *kwargs.values()))
        if found or not states:
            return
        if module in children and returned:
            found.append(module)
        elif states > 1:
            joins.append(module)

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        states = output.get("last_hidden_state") if isinstance(output, Mapping) else output
        states = states[0] if isinstance(states, tuple | list) and states else states
        if _is_states(states, shape):
            returned.append(child)

    with ExitStack() as hooks:
        for module in model.modules():
            if module is not model:
                hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        for child in children:
            hooks.callback(child.register_forward_hook(after).remove)
        full = logits_of(model(**inputs))
    return (found[0] if found else None), joins, full


def _is_states(value: Any, shape: torch.Size) -> bool:
    """Whether an argument holds a vector for every position of `[B, L]` ids."""
    return isinstance(value, Tensor) and value.dim() == 3 and value.shape[:2] == shape


def _recomputes(model: nn.Module) -> bool:
    """Whether layers are run again in the backward pass (gradient checkpointing, by transformers or by FSDP)."""
    return model.training and any(
        getattr(module, "gradient_checkpointing", False) or hasattr(module, "_checkpoint_wrapped_module")
        for module in model.modules()
    )
