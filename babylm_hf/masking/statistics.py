"""What the model's own predictions say about each token id, counted on the device where they are made.

All sums are integers: counts, and losses in units of 2^-32 nats. Integer sums do not depend on the order of their
terms, so the totals are the same for any split into micro-batches and processes, and on a GPU whose atomic additions
come in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from ..errors import ResumeError

_UNIT = 2.0**32
_LARGEST = 1e5
"""No cross-entropy is larger; 20 000 of them in one window would still not overflow."""


class TokenStatistics:
    """Correct predictions, targets and losses per token id since the last reset.

    Args:
        vocab_size: number of ids.
        device: where the counts live.
        positions: count "all" targets, or only those the model saw as the "mask" token.
        keep_targets: also keep every target with its loss until the next reset, for a policy that compares the losses
            of one step.
    """

    def __init__(
        self,
        vocab_size: int,
        device: torch.device | str = "cpu",
        positions: Literal["all", "mask"] = "all",
        keep_targets: bool = False,
    ) -> None:
        self.positions = positions
        self.vocab_size = vocab_size
        self.keep_targets = keep_targets
        self._kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._sums = torch.zeros(3, vocab_size, dtype=torch.int64, device=device)

    @torch.no_grad()
    def observe(
        self, target_ids: torch.Tensor, correct: torch.Tensor, loss: torch.Tensor, is_mask: torch.Tensor | None = None
    ) -> None:
        """Adds the targets of one micro-batch, without waiting for the device.

        Args:
            target_ids: the right ids, int64 `[m]`.
            correct: whether the model's best guess was right, bool `[m]`.
            loss: cross-entropy in nats, float `[m]`; a target whose loss is not finite is left out.
            is_mask: whether the model saw the mask token there, bool `[m]`; needed for positions "mask".
        """
        counted = torch.isfinite(loss)
        if self.positions == "mask":
            if is_mask is None:
                raise ValueError("statistics of mask positions need is_mask")
            counted = counted & is_mask
        weight = counted.to(torch.int64)
        # float32 times a power of two is exact; the clamp keeps left-out NaN and infinity from reaching the integers.
        units = torch.nan_to_num(loss.float(), 0.0, 0.0, 0.0).clamp(0, _LARGEST) * _UNIT
        for place, values in enumerate((weight * correct.to(torch.int64), weight, weight * units.to(torch.int64))):
            self._sums[place].index_add_(0, target_ids, values)
        if self.keep_targets:
            # Targets that do not count get an id that none has; picking them out would wait for the device.
            self._kept.append((torch.where(counted, target_ids, -1), loss.detach().float()))

    def reset(self) -> None:
        """Begins a new window."""
        self._sums.zero_()
        self._kept.clear()

    def targets(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Every target since the last reset over all processes: ids `[m]` and losses in nats `[m]`.

        They are in the order of ids and losses, so that no split into micro-batches and processes can be told from it.
        Every process must call it.
        """
        if not self.keep_targets:
            raise ValueError("these statistics keep no targets; make them with collator.new_statistics()")
        device = self._sums.device
        ids, losses = (
            _gathered(torch.cat([torch.empty(0, dtype=dtype, device=device), *(pair[place] for pair in self._kept)]))
            for place, dtype in enumerate((torch.int64, torch.float32))
        )
        counted = ids >= 0
        ids, losses = ids[counted], losses[counted]
        order = np.lexsort((losses, ids))
        return ids[order], losses[order].astype(np.float64)

    def numpy(self) -> dict[str, npt.NDArray[Any]]:
        """The sums of this process: `correct`, `wrong`, `count` int64 `[V]` and `loss` float64 `[V]` in nats."""
        return _named(self._sums)

    def reduce(self) -> dict[str, npt.NDArray[Any]]:
        """The sums over all processes, named as in `numpy`; every process must call it. The counts stay as they are."""
        return _named(self._pooled())

    def _pooled(self) -> torch.Tensor:
        if not _several_processes():
            return self._sums
        pooled = self._sums.clone()
        torch.distributed.all_reduce(pooled)
        return pooled

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The sums over all processes, for a checkpoint; every process must call it."""
        return {"sums": self._pooled().cpu().numpy().copy()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave: the first process holds all of it, the others begin empty, so that the total is
        right.

        Raises:
            ResumeError: the counts are of another vocabulary.
        """
        sums = np.asarray(state["sums"], np.int64)
        if sums.shape != tuple(self._sums.shape):
            raise ResumeError(
                f"the checkpoint's token statistics are for {sums.shape[-1]} ids, but the tokenizer has "
                f"{self.vocab_size}; resume with the tokenizer of the run"
            )
        self.reset()
        if not _several_processes() or torch.distributed.get_rank() == 0:
            self._sums.copy_(torch.from_numpy(sums))


def _several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _gathered(values: torch.Tensor) -> npt.NDArray[Any]:
    """The values `[m]` of all processes one after the other; -1 may be among them."""
    if not _several_processes():
        return values.cpu().numpy()
    world = torch.distributed.get_world_size()
    size = torch.tensor([len(values)], device=values.device)
    sizes = [torch.zeros_like(size) for _ in range(world)]
    torch.distributed.all_gather(sizes, size)
    filled = torch.full((int(max(sizes)),), -1, dtype=values.dtype, device=values.device)
    filled[: len(values)] = values
    parts = [torch.empty_like(filled) for _ in range(world)]
    torch.distributed.all_gather(parts, filled)
    return torch.cat(parts).cpu().numpy()


def _named(sums: torch.Tensor) -> dict[str, npt.NDArray[Any]]:
    correct, count, units = sums.cpu().numpy().copy()
    return {"correct": correct, "wrong": count - correct, "count": count, "loss": units / _UNIT}
