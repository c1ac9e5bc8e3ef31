"""A moving average of the weights, which is what is evaluated and exported where it is kept.

After the n-th optimizer step the average moves by 1 - d towards the weights, d = min(decay, (1 + n) / (10 + n)): a
young average forgets quickly (as in the masked-diffusion paper, arXiv 2509.05056; with decay 0.999 that lasts 8,990
steps). The averaging is torch's own (`torch.optim.swa_utils.AveragedModel`). Price: the memory of the weights once
more, and one pass over them a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..errors import OptionError, ResumeError

EMA_FILE = "ema.safetensors"
_UPDATES = "updates"


class WeightAverage:
    """The moving average of a model's parameters.

    Args:
        model: not wrapped for distributed training; its present weights are where the average starts.
        decay: the share that an old average keeps, at most.

    Raises:
        OptionError: the decay is not in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        check_decay(decay)
        self.model = model
        self.decay = decay
        self.averaged = AveragedModel(model, multi_avg_fn=self._move)
        # torch copies the weights at the first update; the average already holds the ones that training began with.
        self.averaged.n_averaged.fill_(1)
        self.averaged.requires_grad_(False)
        self._shown = 0

    @property
    def updates(self) -> int:
        """Optimizer steps that the average has seen."""
        return int(self.averaged.n_averaged) - 1

    def decay_at(self, update: int) -> float:
        """The decay of an update, counted from 1."""
        return min(self.decay, (1 + update) / (10 + update))

    def update(self) -> None:
        """Move the average towards the weights; call it after each optimizer step."""
        self.averaged.update_parameters(self.model)

    @torch.no_grad()
    def _move(self, averaged: Any, current: Any, count: Any) -> None:
        torch._foreach_lerp_(averaged, current, 1.0 - self.decay_at(int(count)))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within it the model has the averaged weights; may be nested. Nothing is copied: the tensors change places."""
        self._shown += 1
        if self._shown == 1:
            self._exchange()
        try:
            yield
        finally:
            self._shown -= 1
            if self._shown == 0:
                self._exchange()

    def _exchange(self) -> None:
        for own, average in zip(self.model.parameters(), self.averaged.module.parameters(), strict=True):
            own.data, average.data = average.data, own.data

    def save(self, folder: Path) -> None:
        """Write the average into a checkpoint folder."""
        from safetensors.torch import save_file

        tensors = {f"average.{name}": value.detach().contiguous() for name, value in self._named().items()}
        save_file({**tensors, _UPDATES: torch.tensor(self.updates)}, folder / EMA_FILE)

    def load(self, folder: Path) -> None:
        """Take up the average of a checkpoint.

        Raises:
            ResumeError: it has none, or that of another model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            saved = load_file(folder / EMA_FILE)
            self.averaged.n_averaged.fill_(int(saved.pop(_UPDATES)) + 1)
            named = self._named()
            if {f"average.{name}" for name in named} != set(saved):
                raise KeyError("parameters of another model")
            with torch.no_grad():
                for name, value in named.items():
                    value.copy_(saved[f"average.{name}"])
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise ResumeError(
                f"{folder} has no moving average of this model's weights ({error}); resume from another checkpoint, or "
                "start anew"
            ) from error

    def _named(self) -> dict[str, Tensor]:
        return dict(self.averaged.module.named_parameters())


def check_decay(decay: float) -> None:
    """Raise OptionError if a decay is not one."""
    if not 0 <= decay < 1:
        raise OptionError(f"--ema_decay is {decay}; it must lie in [0, 1), such as 0.999, or be left out")
