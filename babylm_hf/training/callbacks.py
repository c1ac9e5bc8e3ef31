"""What happens around the steps: learning of the policy, milestones, curriculum news.

Each is a stock `TrainerCallback` that knows its trainer; `trainer.remove_callback(MilestoneCallback)` leaves one out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..masking.groups import group_means, target_divergence
from . import checkpoints

if TYPE_CHECKING:
    from ..plan import PlannedMilestone
    from .trainer import BabyLMTrainer

logger = logging.getLogger(__name__)


class BabyLMCallback(TrainerCallback):
    """A callback that `BabyLMTrainer` introduces itself to."""

    trainer: BabyLMTrainer

    def on_fact(self, kind: str, facts: dict[str, Any]) -> None:
        """A fact of the run, on every process: `stage`, `policy`, `evaluation` or `milestone`, with step and words."""

    def on_model_folder(self, folder: Path, milestone: str | None) -> None:
        """A model folder, final or a milestone's, is written and still has a temporary name; on every process."""

    def on_model_ready(self, folder: Path, milestone: str | None) -> None:
        """A model folder has its name and is not written to any more; on every process."""


def default_callbacks() -> list[BabyLMCallback]:
    """The callbacks every `BabyLMTrainer` starts with, in the order they act."""
    from .preemption import PreemptionCallback

    return [AverageCallback(), FeedbackCallback(), CurriculumCallback(), MilestoneCallback(), PreemptionCallback()]


class FeedbackCallback(BabyLMCallback):
    """Updates the masking policy from the statistics of the last window.

    Args:
        weights_folder: where the mask weight of every token is saved at each update, `step-00000200.npy` float16 `[V]`.
        token_counts: occurrences of each id in the corpus, `[V]`; with them each update tells how far the choice of
            targets is from an even one.
        groups: name, such as "bands", -> group -> its ids, bool `[V]`; every update tells the mean weight of each.
    """

    def __init__(
        self,
        weights_folder: Path | None = None,
        groups: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        token_counts: np.ndarray | None = None,
    ) -> None:
        self.weights_folder = weights_folder
        self.token_counts = token_counts
        self.groups = groups or {}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After the optimizer step, before anything is saved."""
        if self.trainer.update_policy() and self.trainer.policy is not None:
            facts = self._named(self.trainer.policy.summary())
            weights = self.trainer.policy.token_weights()
            facts |= self._choice()
            if weights is not None:
                facts |= {name: group_means(weights, groups) for name, groups in self.groups.items()}
                if self.weights_folder is not None and state.is_world_process_zero:
                    self.weights_folder.mkdir(parents=True, exist_ok=True)
                    np.save(self.weights_folder / f"step-{state.global_step:08d}.npy", weights.astype(np.float16))
            self.trainer.notify("policy", **facts)

    def _choice(self) -> dict[str, Any]:
        """Accuracy by part of the budget, and the divergence of the targets from an even choice."""
        policy = self.trainer.policy
        assert policy is not None, "only a policy that learns has updates"
        facts: dict[str, Any] = {}
        if policy.source_names:
            facts["accuracy_by_source"] = self.trainer.source_accuracy.drain(policy.source_names)
        parts = policy.shares_by_weight()
        if self.token_counts is not None and parts is not None:
            facts["divergence"] = target_divergence(self.token_counts, parts)
        return facts

    def _named(self, summary: dict[str, Any]) -> dict[str, Any]:
        """The summary with each `[id, weight]` as `[id, weight, piece]`, so that a card can name the pieces."""
        tokenizer = self.trainer.processing_class
        if tokenizer is None:
            return summary
        lists = {name: pairs for name, pairs in summary.items() if isinstance(pairs, list)}
        named = {name: [[i, w, tokenizer.decode([i]).strip()] for i, w in pairs] for name, pairs in lists.items()}
        return summary | named


class AverageCallback(BabyLMCallback):
    """Moves the average of the weights, where one is kept (`--ema_decay`), right after every optimizer step."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the average, which a resumed run has read from its checkpoint."""
        if self.trainer.average is None:
            self.trainer.start_average()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Before anything looks at the step that is done."""
        if self.trainer.average is not None:
            self.trainer.average.update()


class CurriculumCallback(BabyLMCallback):
    """Says when the plan enters a new stage."""

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Before the first step of a stage."""
        plan, step = self.trainer.plan, state.global_step
        stage = plan.stage_at(step)
        if step == 0 or plan.stage_at(step - 1).index != stage.index:
            facts = {"seq_length": stage.seq_length, "batch_size": stage.batch_size, "pass": stage.first_pass}
            self.trainer.notify("stage", **facts)


class MilestoneCallback(BabyLMCallback):
    """Saves the model, as a complete folder of its own, at the step at which a word milestone is reached.

    The untrained model is measured too: what it scores is the floor that every curve starts from.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure the untrained model, if there are milestones to compare with it."""
        if state.global_step == 0 and self.trainer.plan.milestones:
            self.trainer.evaluate_milestone("untrained")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Two milestones within one step are both saved."""
        for milestone in self.trainer.plan.milestones:
            if milestone.step == state.global_step:
                self._save(milestone)
                # A run that has milestones can always be resumed: one without the other would be a dead end.
                control.should_save |= getattr(args.save_strategy, "value", args.save_strategy) != "no"

    def _save(self, milestone: PlannedMilestone) -> None:
        trainer = self.trainer
        folder = Path(trainer.args.output_dir) / milestone.name
        trainer.evaluate_milestone(milestone.name)
        with checkpoints.written_whole(folder, writes=trainer.args.should_save) as temporary:
            trainer.export_model(temporary)
            facts = {"name": milestone.name, "words": milestone.words, "words_seen": milestone.words_seen}
            trainer.notify("milestone", folder=milestone.name, **facts)
            trainer.announce_folder(temporary, milestone.name)
            trainer.accelerator.wait_for_everyone()
        trainer.accelerator.wait_for_everyone()
        trainer.announce_ready(folder, milestone.name)
