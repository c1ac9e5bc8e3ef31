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

_MOST_LOGITS = 1 << 24
"""Logits held at a time, 64 MB in float32: 1,048 targets of 16,000 pieces."""


def rounded(count: int) -> int:
    """`count` rounded up by at most an eighth, so that a run meets a few dozen numbers of targets and not hundreds.

    CPU kernels are prepared and kept for every shape (some megabytes each, without end), and a compiled model would be
    compiled anew.
    """
    quantum = max(8, 1 << max(0, count.bit_length() - 4))
    return -(-count // quantum) * quantum


class ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of `hidden @ weight.T + bias`, the losses one by one, and the best guesses."""

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
        """The sum float32, losses float32 `[N]` (without gradient), and guesses int64 `[N]`.

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
            offset = None if bias is None else bias.to(dtype)
            losses = torch.empty(len(targets), dtype=torch.float32, device=states.device)
            guesses = torch.empty(len(targets), dtype=torch.int64, device=states.device)
            of_states = torch.zeros_like(states) if train else None
            of_matrix = torch.zeros_like(weight, dtype=torch.float32) if train else None
            of_offset = torch.zeros_like(bias, dtype=torch.float32) if train and bias is not None else None
            for start in range(0, len(targets), chunk):
                part, wanted = states[start : start + chunk], targets[start : start + chunk]
                number, at = len(wanted), torch.arange(len(wanted), device=part.device)
                logits = nn.functional.linear(part, matrix, offset).float()
                chances = torch.softmax(logits, dim=-1)
                # The best probability is never tiny, so that the norm is exact: it is logit - log p of any piece.
                best, guess = chances[:number].max(-1)
                norm = logits[at, guess] - best.log()
                losses[start : start + chunk] = norm - logits[at, wanted]
                guesses[start : start + chunk] = guess
                del logits
                if not train:
                    continue
                assert of_states is not None
                assert of_matrix is not None
                chances[at, wanted] -= 1.0
                chances[number:] = 0.0
                if factors is not None:
                    chances[:number] *= factors[start : start + chunk, None]
                if of_offset is not None:
                    of_offset += chances.sum(0)
                slopes = chances.to(dtype)
                torch.mm(slopes, matrix, out=of_states[start : start + chunk])
                if dtype == of_matrix.dtype:
                    of_matrix.addmm_(slopes.T, part)
                else:
                    of_matrix += slopes.T @ part
        ctx.save_for_backward(of_states, of_matrix, of_offset)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        ctx.mark_non_differentiable(losses, guesses)
        return (losses if factors is None else losses * factors).sum(), losses, guesses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients made in the forward pass, times the slope of the sum. They are used up: in place, and once."""
        made = [
            None if found is None else found.mul_(slopes[0]).to(dtype)
            for found, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return (*made, None, None, None, None)


class LinearHead:
    """The head of a model that ends in a plain linear layer, whose losses can be computed in chunks.

    The losses are made inside the model's own forward, where its weights are whole and its precision is set whatever
    wraps it; the model itself computes the logits of one position, which nobody reads.
    """

    def __init__(self, selector: PositionSelector, head: nn.Module, decoder: nn.Linear) -> None:
        self.model = selector.model
        self.head = head
        self.decoder = decoder

    @classmethod
    def of(cls, selector: PositionSelector) -> LinearHead | None:
        """The head of a model, or None where it does not end linearly or the model changes its logits afterwards."""
        head, model = selector.head, cast(Any, selector.model)
        decoder = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        if head is None or not isinstance(decoder, nn.Linear):
            return None
        seen: list[Tensor] = []
        handle = decoder.register_forward_hook(lambda _, args, output: seen.append(output) if args else None)
        try:
            with evaluating(model):
                logits = logits_of(model(**probe_batch(model)))
        finally:
            handle.remove()
        return cls(selector, head, decoder) if len(seen) == 1 and torch.equal(seen[0], logits) else None

    def losses(
        self,
        inputs: dict[str, Any],
        index: Tensor,
        target_ids: Tensor,
        factors: Tensor | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The summed loss with gradient, the losses float32 `[N]`, and the best guesses int64 `[N]`.

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
        with select_positions(self.model, self.head, filled):
            handle = self.decoder.register_forward_pre_hook(instead)
            try:
                (forward or self.model)(**inputs)
            finally:
                handle.remove()
        return made[0]
