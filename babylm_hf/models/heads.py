"""Vocabulary logits at chosen positions only.

The head of a small language model costs as much as its body: hidden size times vocabulary for every position, of which
a masked objective needs 15 to 40 %, and pseudo-log-likelihood one in a row. Nearly every stock model computes its head
position by position, in a child module that comes after the body. A hook in front of that module which keeps only the
wanted rows makes any such model produce only the wanted logits, with its own weights, code and autograd. Whether a
model is of that kind is not guessed from its name but traced and then checked; the others fall back to full logits.

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
    inputs = dict(probe_inputs) if probe_inputs is not None else probe_batch(model)
    with evaluating(model):
        child, full = _trace_head(model, inputs)
        if child is None or full.dim() != 3 or full.shape[:2] != inputs["input_ids"].shape:
            return None
        index = torch.tensor(_PROBE_POSITIONS, device=full.device)
        try:
            with select_positions(model, child, index):
                chosen = logits_of(model(**inputs))
        except (
            Exception
        ):  # whatever an unknown head says to two-dimensional input, the answer is the same: use its full logits
            return None
    expected = full.reshape(-1, full.shape[-1])[index].float()
    if chosen.shape != expected.shape:
        return None
    # The kernels for [N, H] and [B, L, H] may round differently in the last places, never by a position's worth.
    tolerance = 256 * torch.finfo(full.dtype).eps * max(1.0, float(expected.abs().max()))
    return child if float((chosen.float() - expected).abs().max()) <= tolerance else None


@contextmanager
def select_positions(model: nn.Module, head: nn.Module, flat_index: Tensor) -> Iterator[None]:
    """Within it, `model(...)` (or a wrapper of it) returns logits `[N, V]` at N chosen positions of its `[B, L]` input.

    Args:
        model: the model that `head` belongs to.
        head: what `find_position_wise_head(model)` returned.
        flat_index: int64 `[N]`, row * L + position, in any order, on the model's device. Gradients flow through them.

    Do not pass labels to the model inside: its own loss would compare them with logits of another shape.
    """
    del model  # named for the reader, and for hooks that may have to go elsewhere some day

    def keep_chosen(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        place, hidden = _first_tensor(args, kwargs)
        assert place is not None, "the tracing saw this module receive a tensor"
        chosen = hidden.reshape(-1, hidden.shape[-1]).index_select(0, flat_index)
        if isinstance(place, int):
            return (*args[:place], chosen, *args[place + 1 :]), kwargs
        return args, {**kwargs, place: chosen}

    handle = head.register_forward_pre_hook(keep_chosen, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class PositionSelector:
    """Logits of a model at chosen positions, by the cheapest way that the model allows.

    `head` is the module found by `find_position_wise_head`, or None: then the full logits are computed and gathered,
    which gives the same values for more work. Make one for a model and keep it; weights may change in between.
    """

    def __init__(self, model: nn.Module, probe_inputs: Mapping[str, Tensor] | None = None) -> None:
        self.model = model
        self.head = find_position_wise_head(model, probe_inputs)

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
        if self.head is not None:
            with select_positions(self.model, self.head, flat_index):
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


def _trace_head(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[nn.Module | None, Tensor]:
    """The first direct child that receives `[B, L, H]` states after another has returned them, and the full logits."""
    shape = inputs["input_ids"].shape
    returned: list[nn.Module] = []
    found: list[nn.Module] = []

    def before(child: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        place, hidden = _first_tensor(args, kwargs)
        if returned and not found and place is not None and hidden.dim() == 3 and hidden.shape[:2] == shape:
            found.append(child)

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        states = output.get("last_hidden_state") if isinstance(output, Mapping) else output
        states = states[0] if isinstance(states, tuple | list) and states else states
        if isinstance(states, Tensor) and states.dim() == 3 and states.shape[:2] == shape:
            returned.append(child)

    with ExitStack() as hooks:
        for child in model.children():
            hooks.callback(child.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(child.register_forward_hook(after).remove)
        full = logits_of(model(**inputs))
    return (found[0] if found else None), full


def _first_tensor(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int | str | None, Any]:
    """Where the first tensor argument of a call stands (position or keyword), and the tensor itself."""
    for position, value in enumerate(args):
        if isinstance(value, Tensor):
            return position, value
    for name, value in kwargs.items():
        if isinstance(value, Tensor):
            return name, value
    return None, None
