"""Cross-entropy of a linear head in chunks: the logits of a batch never exist at once.

The gradient of a summed cross-entropy with respect to logits is known as soon as they are (softmax minus one at the
target), so each chunk of logits is turned into its share of the gradients of hidden states and weights in the forward
pass and forgotten; the backward pass only multiplies by one number. Nothing is computed twice: the work is that of the
plain way, three products with the weights. The idea is that of Liger Kernel (Hsu et al. 2024, arXiv:2410.10989).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..models.heads import PositionSelector, evaluating, logits_of, probe_batch, select_positions

_MOST_LOGITS = 1 << 25
"""Logits held at a time, 128 MB in float32: 2,097 targets of 16,000 pieces."""
_CACHED = 1 << 19
"""Logits that a CPU works on at a time, in float32: what stays in the caches of its cores."""


def rounded(count: int) -> int:
    """`count` rounded up by at most an eighth, so that a run meets a few dozen numbers of targets and not hundreds.

    CPU kernels are prepared and kept for every shape (some megabytes each, without end), and a compiled model would be
    compiled anew.
    """
    quantum = max(8, 1 << max(0, count.bit_length() - 4))
    return -(-count // quantum) * quantum


class ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of `hidden @ weight.T + bias`, the losses one by one, and which were guessed."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        factors: Tensor | None,
        train: bool,
        chunk: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The sum float32, losses float32 `[N]` (without gradient), and bool `[N]`, whose target is the best guess.

        Args:
            hidden: `[M, H]`, M >= N: what stands beyond the targets only makes a shape that has been met before.
            weight: `[V, H]`.
            bias: `[V]`.
            targets: int64 `[N]`.
            factors: float32 `[N]`, what each loss counts in the sum; 1 where None.
            train: whether gradients are wanted.
            chunk: targets at a time.
        """
        kind = hidden.device.type
        # Inside a Function nothing is cast by itself: the products run in what autocast would have chosen.
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        with torch.autocast(kind, enabled=False):
            states, matrix = hidden.to(dtype), weight.to(dtype)
            found = torch.empty(len(targets), dtype=torch.float32, device=states.device)
            right = torch.empty(len(targets), dtype=torch.bool, device=states.device)
            of_states = torch.zeros_like(states) if train else None
            of_matrix = torch.zeros_like(weight, dtype=torch.float32) if train else None
            of_offset = torch.zeros_like(bias, dtype=torch.float32) if train and bias is not None else None
            for start in range(0, len(targets), chunk):
                rows = slice(start, start + chunk)
                logits, wanted = nn.functional.linear(states[rows], matrix), targets[rows]
                counts = None if factors is None else factors[rows]
                found[rows], right[rows] = _to_slopes(logits, bias, wanted, counts, of_offset, train)
                if not train:
                    continue
                assert of_states is not None
                assert of_matrix is not None
                logits[len(wanted) :] = 0.0
                torch.mm(logits, matrix, out=of_states[rows])
                if dtype == of_matrix.dtype:
                    of_matrix.addmm_(logits.T, states[rows])
                else:
                    of_matrix += logits.T @ states[rows]
        ctx.save_for_backward(of_states, of_matrix, of_offset)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        ctx.mark_non_differentiable(found, right)
        return (found if factors is None else found * factors).sum(), found, right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients made in the forward pass, times the slope of the sum. They are used up: in place, and once."""
        made = [
            None if found is None else found.mul_(slopes[0]).to(dtype)
            for found, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return (*made, None, None, None, None)


def _to_slopes(
    logits: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    factors: Tensor | None,
    of_bias: Tensor | None,
    train: bool,
) -> tuple[Tensor, Tensor]:
    """The losses float32 `[N]` of a chunk and whether each target is the best guess; overwrites logits with slopes.

    A CPU takes a few rows at a time through all of this, so that they are read from memory once.

    Args:
        logits: `[M, V]` without the bias, M >= N; if `train`, the first N rows become the gradient of the summed loss.
        bias: `[V]`.
        targets: int64 `[N]`.
        factors: float32 `[N]`, what each loss counts; 1 where None.
        of_bias: float32 `[V]`; the gradient of the bias is added to it.
        train: whether gradients are wanted.
    """
    count = len(targets)
    losses = torch.empty(count, dtype=torch.float32, device=logits.device)
    right = torch.empty(count, dtype=torch.bool, device=logits.device)
    at_once = max(1, _CACHED // logits.shape[1]) if logits.device.type == "cpu" else max(1, count)
    for start in range(0, count, at_once):
        rows = slice(start, min(start + at_once, count))
        scores, wanted = logits[rows].float(), targets[rows, None]
        if bias is not None:
            scores += bias
        best, score = scores.amax(-1, keepdim=True), scores.gather(1, wanted)
        right[rows] = _is_best(scores, best, score, wanted)
        chances = scores.sub_(best).exp_()
        total = chances.sum(-1, keepdim=True)
        losses[rows] = (best + total.log() - score).squeeze(1)
        if not train:
            continue
        weight = torch.ones_like(total) if factors is None else factors[rows, None]
        chances.mul_(weight / total).scatter_add_(1, wanted, -weight)
        if of_bias is not None:
            of_bias += chances.sum(0)
        if chances.dtype != logits.dtype:  # else they are the logits' own memory
            logits[rows] = chances
    return losses, right


def _is_best(scores: Tensor, best: Tensor, score: Tensor, wanted: Tensor) -> Tensor:
    """bool `[n]`: the target is what `argmax` finds in its row. To look for the place of a maximum is slow."""
    if scores.device.type != "cpu":  # there a number of rows that depends on the data would have to be waited for
        return scores.argmax(-1) == wanted.squeeze(1)
    right = (score == best).squeeze(1)
    reached = right.nonzero().squeeze(1)  # of equals, which bfloat16 has many of, the first counts
    right[reached] = scores[reached].argmax(-1) == wanted[reached, 0]
    return right


class LinearHead:
    """The head of a model that ends in a plain linear layer, whose losses can be computed in chunks.

    The losses are made inside the model's own forward, where its weights are whole and its precision is set whatever
    wraps it; the model itself computes the logits of one position, which nobody reads.
    """

    def __init__(self, selector: PositionSelector, decoder: nn.Linear) -> None:
        self.model = selector.model
        self.selector = selector
        self.decoder = decoder

    @classmethod
    def of(cls, selector: PositionSelector) -> LinearHead | None:
        """The head of a model, or None where it does not end linearly or the model changes its logits afterwards."""
        model = cast(Any, selector.model)
        decoder = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        if selector.head is None or not isinstance(decoder, nn.Linear):
            return None
        seen: list[Tensor] = []
        handle = decoder.register_forward_hook(lambda _, args, output: seen.append(output) if args else None)
        try:
            with evaluating(model):
                logits = logits_of(model(**probe_batch(model)))
        finally:
            handle.remove()
        return cls(selector, decoder) if len(seen) == 1 and torch.equal(seen[0], logits) else None

    def losses(
        self,
        inputs: dict[str, Any],
        index: Tensor,
        target_ids: Tensor,
        factors: Tensor | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The summed loss with gradient, the losses float32 `[N]`, and bool `[N]`, whose target is the best guess.

        Args:
            inputs: keyword arguments of the model, no labels.
            index: int64 `[N]`, row * L + position.
            target_ids: int64 `[N]`.
            factors: float32 `[N]`, what each loss counts in the sum; 1 where None.
            forward: the model wrapped for distributed training, where it is.
        """
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        train = torch.is_grad_enabled()
        filled = nn.functional.pad(index, (0, rounded(len(index)) - len(index)))

        def instead(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            chunk = max(1, _MOST_LOGITS // self.decoder.out_features)
            parts = (self.decoder.weight, self.decoder.bias, target_ids, factors, train, chunk)
            made.append(ChunkedCrossEntropy.apply(args[0], *parts))
            return (args[0][:1].detach(),)

        # Hooks of one module run in the order in which they were registered: first the positions are chosen.
        place = self.selector.place()
        assert place is not None, "a model without a position-wise head has no linear one"
        with select_positions(self.model, place, filled):
            handle = self.decoder.register_forward_pre_hook(instead)
            try:
                (forward or self.model)(**inputs)
            finally:
                handle.remove()
        return made[0]
