"""The part of the Trainer that keeps a run well: gradients that are not finite, room on the disk, signals to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .callbacks import MilestoneCallback
from .disk import require_space, space_needed
from .health import DivergenceWatch, HealthMonitor, Speedometer
from .lock import only_one
from .preemption import PreemptionCallback
from .resumable import ResumableTrainer
from .trouble import told_plainly


class WatchedTrainer(ResumableTrainer):
    """A resumable Trainer that notices what would spoil its run; the base of `BabyLMTrainer`.

    Attributes:
        health: watches the gradients.
        stop_asked: whether any process was told to stop; all know it from the next step on.
        preempted: whether the run ended for that, with a checkpoint and before its plan was done.
    """

    stop_asked = False
    preempted = False

    def watch(self) -> None:
        """Begin; called when the stock Trainer is made."""
        args = self.args
        folder, deferred = Path(args.output_dir) / "record", args.device.type == "cuda"
        self.health = HealthMonitor(args.nonfinite, folder, deferred, args.process_index)
        self.divergence = DivergenceWatch()
        self.speed = Speedometer()

    def train(self, resume_from_checkpoint: str | bool | None = None, **stock: Any) -> Any:
        """See `ResumableTrainer.train`; a run that was asked to stop returns early, with `preempted` True.

        Raises:
            RunFolderError: the disk has no room for the run, fills up or cannot be written; another process is writing
                to the output folder.
            TrainingError: a gradient was not finite; the memory did not suffice; a worker or another process has ended.
        """
        self.stop_asked = self.preempted = False
        with self._guarded():
            if self.args.should_save:
                require_space(Path(self.args.output_dir), self._space_needed().total, "the run")
                self._note.unlink(missing_ok=True)
            try:
                result = super().train(resume_from_checkpoint, **stock)
            finally:
                for callback in self.callback_handler.callbacks:
                    if isinstance(callback, PreemptionCallback):
                        callback.release()
            if self.preempted and self.args.should_save:
                self._note.parent.mkdir(parents=True, exist_ok=True)
                self._note.write_text(f"stopped when asked, at step {self.state.global_step}\n", encoding="utf-8")
        return result

    def finish(self) -> None:
        """See `ResumableTrainer.finish`.

        Raises:
            RunFolderError: the disk fills up or cannot be written; another process is writing to the output folder.
        """
        with self._guarded():
            super().finish()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """The output folder is ours alone, and failures of the machine are told in sentences."""
        folder = Path(self.args.output_dir)
        with told_plainly(folder), only_one(folder, locks=self.args.should_save, every=self.args.save_on_each_node):
            yield

    @property
    def _note(self) -> Path:
        """Tells a job script that the run wants to go on; launchers do not hand on the exit status of a run."""
        return Path(self.args.output_dir) / "record" / "preempted"

    def _space_needed(self) -> Any:
        args = self.args
        saves = getattr(args.save_strategy, "value", args.save_strategy) != "no"
        keeps_milestones = any(isinstance(c, MilestoneCallback) for c in self.callback_handler.callbacks)
        kept = (args.save_total_limit or max(1, int(self.plan.total_steps // max(args.save_steps, 1)))) if saves else -1
        return space_needed(
            sum(p.numel() for p in self.model.parameters()),
            milestones=len(self.plan.milestones) if keeps_milestones else 0,
            checkpoints=kept,
            averaged=args.ema_decay is not None,
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self.health.flush()
        if self.args.should_save:
            require_space(Path(self.args.output_dir), self._space_needed().checkpoint, "a checkpoint")
        super()._save_checkpoint(model, trial)

    def export_model(self, folder: Path) -> None:
        """See `ResumableTrainer.export_model`; weights spoilt by a gradient that was not finite are never written."""
        self.health.flush()
        if self.args.should_save:
            require_space(Path(self.args.output_dir), self._space_needed().model, "a model")
        super().export_model(folder)

    def agreed(self, count: int, device: torch.device) -> Tensor | int:
        """The sum of a count over all processes; with it goes the news that one of them was asked to stop."""
        asked = any(c.asked for c in self.callback_handler.callbacks if isinstance(c, PreemptionCallback))
        if self.args.world_size == 1:
            self.stop_asked = asked
            return max(count, 1)
        sums: Tensor = self.accelerator.reduce(torch.tensor([count, asked], device=device), reduction="sum")
        total, stops = sums.unbind()
        # A GPU is not waited for: there the news is looked at when the step before has long been done.
        if device.type != "cuda":
            self.stop_asked = bool(stops)
        else:
            self.stop_asked, self._stops = bool(getattr(self, "_stops", 0)), stops
        return total.clamp_min(1)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.health.check(self.state.global_step, norm, model)
        return norm

    def health_facts(self, logs: dict[str, float]) -> dict[str, float]:
        """Speed, memory and steps left out, for a log line; a loss that climbs is said once."""
        self.divergence.saw(self.state.global_step, logs["loss"])
        facts = self.speed.read(self.words_seen, self.args.device)
        return facts | ({"skipped_steps": self.health.skipped} if self.health.skipped else {})
