"""The Trainer that follows a plan.

It differs from the stock one in four places, each a public seam; saving and resuming are in `resumable`:

1. `get_train_dataloader` gives the loader of the plan: rows, lengths and passes are decided before the first step.
2. `get_batch_samples` gives the micro-batches of a step their targets (masks them, for a masked model) in this process
   as they are consumed, and counts the targets.
3. `compute_loss` divides the summed loss by the count over the whole step, all micro-batches and processes.
4. `evaluate` measures held-out text with masks that never change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from ..errors import OptionError
from ..masking import MaskingCollator, RowCollator
from ..masking.padding import TRAINING_ID
from ..masking.random import row_keys
from ..masking.sources import SourceAccuracy
from ..objectives import CausalObjective, objective_for
from ..plan import RunPlan
from .arguments import BabyLMTrainingArguments
from .callbacks import BabyLMCallback, default_callbacks
from .carbon import CarbonCallback
from .compiling import repeated_layers
from .disk import make_folder
from .learning_rate import cosine_with_cooldown
from .levers import pull_levers, seed_generators
from .loader import planned_loader
from .measuring import MeasuringTrainer
from .muon import Muon, muon_groups
from .optimizers import Lamb, parameter_groups
from .planning import plan_from_arguments, warn_of_endless_warmup
from .progress import WordsProgressCallback
from .publishing import PublishCallback
from .reporting import scalars
from .rows import as_rows


class BabyLMTrainer(MeasuringTrainer):
    """A `transformers.Trainer` whose run is a plan and whose loss is its own.

    Args:
        model: any stock model with a language-modelling head.
        args: `BabyLMTrainingArguments`, or stock `TrainingArguments`.
        data_collator: a `MaskingCollator`, whose policy learns from the training forward whatever the number of
            workers, or for a causal model a `DataCollatorForCausalRows`.
        train_dataset: a `TokenStream`, or a `datasets.Dataset` with `input_ids` (and `num_words`, for milestones by
            words).
        eval_dataset: held-out text in either form.
        processing_class: the tokenizer, saved with every model.
        plan: made from the arguments when not given.
        callbacks: added to the project's own (feedback, curriculum, milestones), which `remove_callback` takes away.
        milestone_tasks: name -> function of (model, tokenizer, milestone) that gives a dict of metrics; run at every
            milestone, and with None at the end.

    Raises:
        OptionError, BudgetError: the arguments and the data do not make a plan.
    """

    # The loss is already divided by the count of the whole step; without this the stock step divides it again.
    loss_is_scaled_for_ga = True
    control: Any
    lr_scheduler: Any
    _flops_per_token: float | None = None

    def __init__(
        self,
        model: PreTrainedModel,
        args: Any,
        data_collator: RowCollator,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        plan: RunPlan | None = None,
        callbacks: list[Any] | None = None,
        milestone_tasks: dict[str, Callable[[nn.Module, Any, str | None], dict[str, Any]]] | None = None,
        **stock: Any,
    ) -> None:
        if not isinstance(data_collator, RowCollator):
            raise OptionError(
                f"data_collator must be one of babylm_hf's collators, not {type(data_collator).__name__}; "
                "try DataCollatorForDecayingMasking, or DataCollatorForCausalRows for a causal model"
            )
        args = BabyLMTrainingArguments.adopt(args)
        # A body that is compiled as one function would be compiled anew for every number of targets.
        early = args.short_last_layer and not (args.compiler is not None and repeated_layers(model) is None)
        self.objective = objective_for(model, args.chunked_loss, early)
        if data_collator.masks == isinstance(self.objective, CausalObjective):
            fitting = "DataCollatorForCausalRows" if data_collator.masks else "DataCollatorForDecayingMasking"
            raise OptionError(
                f"{type(data_collator).__name__} does not go with a {type(model).__name__}; use {fitting} or its like"
            )
        if args.should_save:
            make_folder(Path(args.output_dir or ""))
        pull_levers(model, args)
        self._rows: Any = None if train_dataset is None else as_rows(train_dataset, data_collator.pad_id)
        if plan is None and self._rows is not None:
            plan = plan_from_arguments(self._rows, args)
        self._plan = plan
        if plan is not None:
            args.max_steps = plan.total_steps
            warn_of_endless_warmup(args, plan.total_steps)
        self.milestone_tasks = milestone_tasks or {}
        self.use_cache = getattr(model.config, "use_cache", None)
        # Callbacks given come first: a record has to be open before the project's own have something to tell it. The
        # milestones of the default ones are news for the progress.
        progress = WordsProgressCallback(bar=not args.disable_tqdm)
        super().__init__(
            model=model,
            args=args,
            data_collator=data_collator,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=[*(callbacks or []), progress, *default_callbacks()],
            **stock,
        )
        self.watch()
        self.remove_callback(PrinterCallback if self.args.disable_tqdm else ProgressCallback)
        if args.publishing and not any(isinstance(c, PublishCallback) for c in self.callback_handler.callbacks):
            self.add_callback(PublishCallback())
        if args.track_carbon and not any(isinstance(c, CarbonCallback) for c in self.callback_handler.callbacks):
            self.add_callback(CarbonCallback(args.track_carbon))
        for callback in self.callback_handler.callbacks:
            self._attach(callback)
        self.policy = data_collator.policy
        self.statistics = data_collator.new_statistics(self.args.device)
        self.source_accuracy = SourceAccuracy(self.args.device)
        self._micro_batch = 0
        self._milestone: str | None = None
        self._policy_facts: dict[str, float] = {}
        self._reset_window()
        if plan is not None:
            data_collator.begin_run(plan.total_steps)

    # ------------------------------------------------------------------ callbacks

    def add_callback(self, callback: Any) -> None:
        """As the stock method; the project's callbacks also learn whose they are."""
        super().add_callback(callback)
        self._attach(self.callback_handler.callbacks[-1])

    def _attach(self, callback: Any) -> None:
        if isinstance(callback, BabyLMCallback):
            callback.trainer = self

    def notify(self, kind: str, **facts: Any) -> None:
        """Tell the project's callbacks a fact of the run, with the step and the words seen so far."""
        if kind == "policy":  # its numbers go into the next log line, and so to the integrations
            self._policy_facts = scalars(facts, "policy")
        facts = {"step": self.state.global_step, "words": self.words_seen, **facts}
        for callback in self._own_callbacks():
            callback.on_fact(kind, facts)

    def announce_folder(self, folder: Path, milestone: str | None) -> None:
        """Tell the project's callbacks that a model folder is written, still under its temporary name."""
        for callback in self._own_callbacks():
            callback.on_model_folder(folder, milestone)

    def announce_ready(self, folder: Path, milestone: str | None) -> None:
        """Tell the project's callbacks that a model folder is complete under its own name."""
        for callback in self._own_callbacks():
            callback.on_model_ready(folder, milestone)

    def _own_callbacks(self) -> list[BabyLMCallback]:
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, BabyLMCallback)]

    # ------------------------------------------------------------------ progress

    @property
    def rows(self) -> Any:
        """The source of the training rows: a `TokenStream`, or a `DatasetRows` around the data set given."""
        return self._rows

    @property
    def needs_feedback(self) -> bool:
        """Whether a policy learns from the model's predictions."""
        return self.policy is not None and self.policy.needs_feedback

    def mask_rate(self, step: int) -> float:
        """The planned mask rate at a step, counted from 0; for runs that mask."""
        assert isinstance(self.data_collator, MaskingCollator)
        return float(np.mean(self.data_collator.rate.at(step, self.args.max_steps)))

    # ------------------------------------------------------------------ data

    def get_train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The loader of the plan for this process; rows never depend on workers, ranks or accumulation."""
        args = self.args
        options: dict[str, Any] = {"num_workers": args.dataloader_num_workers, "pin_memory": args.dataloader_pin_memory}
        options["pin_memory"] &= args.device.type == "cuda"
        if args.dataloader_num_workers > 0:
            options["prefetch_factor"] = args.dataloader_prefetch_factor
            options["multiprocessing_context"] = args.dataloader_multiprocessing_context
        return planned_loader(
            self.rows,
            self.plan,
            rank=args.process_index,
            world_size=args.world_size,
            accumulation=args.gradient_accumulation_steps,
            word_starts=self.policy is not None and self.policy.needs_word_starts,
            **options,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Tensor | int | None]:
        """The micro-batches of the next step with their targets, and the number of those over all processes."""
        plain = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self.health.begin_step([np.asarray(batch[TRAINING_ID]) for batch in plain])
        batches = [self._with_targets(batch) for batch in plain]
        self._micro_batch = 0
        count = sum(self.objective.count(batch) for batch in batches)
        self._targets += count
        return batches, self.agreed(count, device)

    def _with_targets(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One micro-batch as the model takes it, with its targets: a function of the batch's keys and the policy."""
        batch = dict(batch)
        pass_index, step = batch.pop("pass_index"), batch.pop("step")
        prepared: dict[str, Any] = self.objective.prepare(
            self.data_collator.training_batch(batch, pass_index=pass_index, step=step)
        )
        return prepared

    # ------------------------------------------------------------------ the step

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """As the stock step, with dropout seeded by (seed, step, rank, micro-batch): exact after any restart."""
        where = np.array([self.args.process_index * self.args.gradient_accumulation_steps + self._micro_batch])
        seed_generators(int(row_keys(self.args.seed, "dropout", self.state.global_step, where)[0]), self.args.device)
        self._micro_batch += 1
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As the stock method, which counts the parameters anew for every batch."""
        if self._flops_per_token is None:
            self._flops_per_token = super().floating_point_ops(inputs) / inputs["input_ids"].numel()
        return int(self._flops_per_token * inputs["input_ids"].numel())

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum of the losses at the targets, divided by the count of the whole optimizer step.

        Distributed training averages gradients over processes, so the share of each is multiplied by their number.
        """
        if "labels" in inputs:
            inputs = self.objective.prepare(inputs)
        result = self.objective(inputs, forward=model)
        if model.training and self.needs_feedback:
            self._observe(inputs, result)
        summed = result.total()
        if model.training:
            self._loss_sum += summed.detach()
            self.health.saw(result.losses, inputs["target_index"], inputs["input_ids"].shape[1])
        count = num_items_in_batch if num_items_in_batch is not None else max(len(result.target_ids), 1)
        loss = summed / count * (self.accelerator.num_processes if model.training else 1)
        outputs = {} if result.logits is None else {"logits": result.logits}
        return (loss, outputs) if return_outputs else loss

    def _observe(self, inputs: dict[str, Any], result: Any) -> None:
        """Let the policy's statistics see what the model made of the targets; nothing waits for the device."""
        assert isinstance(self.data_collator, MaskingCollator)
        assert self.statistics is not None
        with torch.no_grad():
            shown = inputs["input_ids"].reshape(-1)[inputs["target_index"]]
            is_mask, correct = shown == self.data_collator.vocabulary.mask_id, result.correct()
            self.statistics.observe(result.target_ids, correct, result.losses.detach(), is_mask)
            if "target_sources" in inputs:
                self.source_accuracy.observe(inputs["target_sources"], correct)

    def update_policy(self) -> bool:
        """Teach the policy what the last window showed, if one has ended; called after each optimizer step."""
        if self.policy is None or not self.policy.needs_feedback:
            return False
        step = self.state.global_step - 1
        return self.policy.update(self.statistics, step, self.mask_rate(step))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """LAMB or Muon if asked for, else the stock choice; biases and norms decay only to reproduce the reference."""
        args, reference = self.args, self.args.reference_optimizer
        if args.lamb and self.optimizer is None:
            self.optimizer: torch.optim.Optimizer = Lamb(
                parameter_groups(model or self.model, args.weight_decay, decay_all=reference),
                lr=args.learning_rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                clip_ratio=args.lamb_clip_ratio,
                reference=reference,
                coupled_decay=args.lamb_coupled_decay,
            )
            return self.optimizer
        if args.muon and self.optimizer is None:
            if self.is_fsdp_enabled or self.is_deepspeed_enabled:
                raise OptionError("--muon needs whole matrices and sharding cuts them; leave one of the two out")
            self.optimizer = Muon(
                muon_groups(model or self.model, args.weight_decay),
                lr=args.learning_rate,
                momentum=args.muon_momentum,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
            return self.optimizer
        made: torch.optim.Optimizer = super().create_optimizer(model)
        return made

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """The stock choice, or the cosine with a floor and a cool-down if those are asked for."""
        args = self.args
        if args.cosine_ends_early() and self.lr_scheduler is None:
            ends = args.get_warmup_steps(num_training_steps), args.get_cooldown_steps(num_training_steps)
            self.lr_scheduler = cosine_with_cooldown(
                optimizer or self.optimizer, num_training_steps, *ends, args.lr_floor
            )
        return super().create_scheduler(num_training_steps, optimizer)

    # ------------------------------------------------------------------ logs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the stock method, with words, pass, targets and their policy; the loss is weighted by targets.

        The line goes to the record, the progress bar and the integrations of `--report_to`: it holds only numbers.
        """
        if "loss" in logs:
            logs.update(self._drain_window())
            logs.update(self._policy_facts)
            self._policy_facts = {}
            step = self.state.global_step - 1
            logs |= {"mask_rate": self.mask_rate(step)} if self.data_collator.masks else {}
            logs["pass"] = self.plan.step(step).pass_index
            logs.update(self.health_facts(logs))
        logs["words"] = self.words_seen
        super().log(logs, start_time)

    def _reset_window(self) -> None:
        """What is summed between two log lines; the loss stays on the device so that no step waits for it."""
        self._loss_sum = torch.zeros((), device=self.args.device, dtype=torch.float32)
        self._targets = 0
        if isinstance(self.data_collator, MaskingCollator):
            self.data_collator.drain()

    def _drain_window(self) -> dict[str, float]:
        """Loss per target, targets, realised mask rate and share of clipped probabilities since the last line."""
        collator, counts = self.data_collator, [self._targets]
        if isinstance(collator, MaskingCollator):
            counts += [collator.tally["targets"], collator.tally["maskable"], collator.policy.clipped]
        window = torch.stack([self._loss_sum, *(self._loss_sum.new_tensor(float(n)) for n in counts)])
        if self.args.world_size > 1:
            window = self.accelerator.reduce(window, reduction="sum")
        self._reset_window()
        summed, count, *masked = (float(v) for v in window)
        facts = {"loss": summed / max(count, 1.0), "targets": count}
        if masked:
            targets, maskable, clipped = masked
            facts |= {"mask_rate_realised": targets / max(maskable, 1.0), "mask_clipped": clipped / max(targets, 1.0)}
        return facts
