"""The part of the Trainer that measures: held-out text with masks that never change, and tasks at milestones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..errors import OptionError
from ..evaluation.held_out import held_out_loss
from ..evaluation.held_out_likelihood import held_out_nelbo
from ..masking import MaskingCollator
from .reporting import scalars
from .rows import as_rows
from .watched import WatchedTrainer


class MeasuringTrainer(WatchedTrainer):
    """A watched Trainer that measures its model on held-out text and tasks; the base of `BabyLMTrainer`."""

    objective: Any
    milestone_tasks: dict[str, Callable[[nn.Module, Any, str | None], dict[str, Any]]]
    notify: Callable[..., None]
    control: Any
    _milestone: str | None

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Loss on held-out text: fixed masks, one row length, weighted by targets; equal at any world size."""
        source = eval_dataset if eval_dataset is not None else self.eval_dataset
        if isinstance(source, dict):
            parts = [self.evaluate(data, ignore_keys, f"{metric_key_prefix}_{name}") for name, data in source.items()]
            return {name: value for part in parts for name, value in part.items()}
        if source is None:
            raise OptionError("there is no held-out text to evaluate on; give eval_dataset (--validation_file)")
        rows = as_rows(source, self.data_collator.pad_id)
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        with self.exported_weights():
            metrics = held_out_loss(
                model,
                rows,
                self.data_collator,
                seq_length=self.eval_length(rows),
                objective=self.objective,
                max_tokens=self.args.max_eval_tokens,
                batch_tokens=self.args.eval_batch_tokens,
                accelerator=self.accelerator,
            )
            metrics |= self.objective_metrics(model, rows)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        self.log(dict(metrics))
        self.notify("evaluation", task="held_out", metrics=metrics, milestone=self._milestone)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def objective_metrics(self, model: nn.Module, rows: Any) -> dict[str, float]:
        """What the run's objective measures on held-out text beside its loss: for a diffusion model its likelihood."""
        args, collator = self.args, self.data_collator
        if self.objective.name != "diffusion" or args.nelbo_tokens <= 0 or not isinstance(collator, MaskingCollator):
            return {}
        limits = {"max_tokens": args.nelbo_tokens, "batch_tokens": args.eval_batch_tokens}
        return held_out_nelbo(model, rows, collator.vocabulary, seq_length=self.eval_length(rows), **limits)

    def evaluate_milestone(self, name: str | None) -> None:
        """Measure the model as it is now, on held-out text and the tasks given, for the record and its curve."""
        self._milestone = name
        wanted = dict(vars(self.control))  # logging and evaluating clear what the step itself still has to do
        if self.eval_dataset is not None:
            self.evaluate()
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        for task, measure in self.milestone_tasks.items():
            if self.is_world_process_zero():
                with self.exported_weights():
                    metrics = dict(measure(model, self.processing_class, name))
                about = metrics.pop("about", {})  # facts of the event itself, such as its data set
                if outcomes := metrics.pop("outcomes", None):
                    self.notify("outcomes", task=task, **outcomes)
                self.notify("evaluation", task=task, metrics=metrics, milestone=name, **about)
                self.log(scalars(metrics, f"eval_{task}"))
        self.accelerator.wait_for_everyone()
        vars(self.control).update(wanted)
        self._milestone = None

    def eval_length(self, rows: Any) -> int:
        """Row length of held-out evaluation: as asked, or the longest in training; it never changes in a run."""
        if self.args.eval_seq_len is not None:
            return int(self.args.eval_seq_len)
        if hasattr(rows, "max_length"):
            return int(rows.max_length)
        if self._plan is None:
            raise OptionError("--eval_seq_len is needed to evaluate without a plan")
        return max(stage.seq_length for stage in self.plan.stages)
