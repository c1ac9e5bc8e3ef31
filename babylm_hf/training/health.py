"""The health of a run: numbers that are not finite, losses that climb, speed and memory.

A gradient that is not finite would make every weight so at the next update. It is seen before that update, at the cost
of reading one number a step; on a GPU, where reading would stop the queue of work, at the next step, and in any case
before anything is saved.
"""

from __future__ import annotations

import json
import logging
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import TrainingError

logger = logging.getLogger(__name__)

NonFinite = Literal["stop", "skip"]
_ROWS_NAMED = 10


class HealthMonitor:
    """Watches the gradients of a run, step by step.

    Args:
        policy: "stop" ends the run with a report; "skip" leaves out the update of such a step and goes on.
        folder: where the report is written, `nonfinite-step-N.json`.
        deferred: look at a step's norm when the next is there; only with "stop".
        process: index of this one; those after the first put it into the name of their report, which has their rows.
    """

    def __init__(self, policy: NonFinite, folder: Path, deferred: bool = False, process: int = 0) -> None:
        self.policy = policy
        self.folder = folder
        self.deferred = deferred and policy == "stop"
        self.process = process
        self.skipped = 0
        self._rows: list[np.ndarray] = []
        self._losses: list[tuple[Tensor, Tensor, int]] = []
        self._waiting: tuple[int, Tensor, list[Any], list[Any]] | None = None

    def begin_step(self, rows: list[np.ndarray]) -> None:
        """Remember the row numbers of each micro-batch of the step, int64 `[n]`."""
        self._rows, self._losses = rows, []

    def saw(self, losses: Tensor, target_index: Tensor, length: int) -> None:
        """Remember a micro-batch: losses `[N]`, their places row * `length` + position `[N]`. Nothing is read yet."""
        self._losses.append((losses.detach(), target_index, length))

    def check(self, step: int, norm: Tensor | float, model: nn.Module) -> None:
        """Look at the norm of a step's gradients, before they are used.

        Args:
            step: 0-based optimizer step.
            norm: of all gradients.
            model: loses its gradients if the step is to be skipped, so that the optimizer leaves everything as it is.

        Raises:
            TrainingError: the norm, or in deferred mode the one before, is not finite and the policy is "stop".
        """
        if self.deferred:
            self.flush()
            self._waiting = (step, torch.as_tensor(norm), self._rows, self._losses)
        elif not math.isfinite(float(norm)):
            self._found(step, float(norm), self._rows, self._losses)
            model.zero_grad(set_to_none=True)

    def flush(self) -> None:
        """Look at a norm that was put off; called before anything is saved."""
        if self._waiting is not None:
            step, norm, rows, losses = self._waiting
            self._waiting = None
            if not math.isfinite(float(norm)):
                self._found(step, float(norm), rows, losses)

    def _found(self, step: int, norm: float, rows: list[np.ndarray], losses: list[tuple[Tensor, Tensor, int]]) -> None:
        guilty = _guilty_rows(rows, losses)
        named = ", ".join(map(str, guilty[:_ROWS_NAMED])) + (" ..." if len(guilty) > _ROWS_NAMED else "")
        what = f"rows {named} have a loss that is" if guilty else "the losses are finite, but the gradients are"
        message = f"step {step + 1:,}: {what} not finite"
        if self.policy == "skip":
            self.skipped += 1
            logger.warning("%s; the step is left out (%d so far)", message, self.skipped)
            return
        whose = f"-process-{self.process}" if self.process else ""
        report = self.folder / f"nonfinite-step-{step + 1}{whose}.json"
        everyone = [int(row) for part in rows for row in part]
        facts = {"step": step + 1, "gradient_norm": str(norm), "rows": everyone, "rows_not_finite": guilty}
        self.folder.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        raise TrainingError(
            f"{message} (see {report.name} in the record). Lower --learning_rate, or go on from the last checkpoint "
            "with --nonfinite skip"
        )


def _guilty_rows(rows: list[np.ndarray], losses: list[tuple[Tensor, Tensor, int]]) -> list[int]:
    """Numbers of the rows of this process in which a target's loss is not finite."""
    found: list[int] = []
    for numbers, (values, index, length) in zip(rows, losses, strict=False):
        bad = index[: len(values)][~torch.isfinite(values)]
        found += [int(numbers[place]) for place in torch.unique(bad.div(length, rounding_mode="floor")).tolist()]
    return found


class DivergenceWatch:
    """Says once when the training loss has climbed well above its lowest.

    Args:
        margin: nats above the lowest logged loss.
        patience: log lines in a row.
    """

    def __init__(self, margin: float = 1.0, patience: int = 3) -> None:
        self.margin, self.patience = margin, patience
        self.lowest = math.inf
        self._above = 0
        self.said = False

    def saw(self, step: int, loss: float) -> None:
        """One logged loss, nats per target."""
        self.lowest = min(self.lowest, loss)
        self._above = self._above + 1 if loss > self.lowest + self.margin else 0
        if self._above >= self.patience and not self.said:
            self.said = True
            logger.warning(
                "step %d: the training loss is %.2f, %.2f above its lowest; the run seems to diverge. A lower "
                "--learning_rate or a longer --warmup_steps usually helps",
                step, loss, loss - self.lowest,
            )  # fmt: skip


class Speedometer:
    """Words a second between two readings, and the memory in use."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def read(self, words: int, device: torch.device) -> dict[str, float]:
        """`words_per_second` since the last reading and `memory_gb`: the highest so far, of the GPU where there is one.

        Args:
            words: seen so far.
            device: of the model.
        """
        now = time.monotonic()
        facts = {"memory_gb": round(peak_memory(device) / 1e9, 3)}
        if self._last is not None and now > self._last[0]:
            facts["words_per_second"] = round((words - self._last[1]) / (now - self._last[0]), 1)
        self._last = (now, words)
        return facts


def peak_memory(device: torch.device) -> int:
    """The most memory used so far, bytes: allocated on a GPU, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
