"""The callback that a masking collator needs in a plain `transformers.Trainer`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.numpy
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..errors import OptionError, ResumeError
from .padding import EVALUATION_ID
from .rows import MASK_RATE, MASKABLE, WEIGHTS

if TYPE_CHECKING:
    from .collator import MaskingCollator

SIDECAR = "masking.safetensors"


class MaskingCallback(TrainerCallback):
    """Tells the collator the pass before its loader starts, and moves an adaptive policy after each step.

    Rates and masks are exact with any number of workers. The weights of an adaptive policy are not: the loader makes
    the next batch before a step is done, so the first micro-batch after an update still uses the weights before it (and
    a run resumed right after an update, the weights after it), and with worker processes the weights would never
    arrive, which is refused. `BabyLMTrainer` has none of these limits.
    """

    def __init__(self, collator: MaskingCollator) -> None:
        self.collator = collator
        self._pass: int | None = None
        self._hook: Any = None
        self._takes_rate = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks that the settings let the collator work, and finds out the length of the run."""
        workers = args.dataloader_num_workers > 0
        for wrong, message in (
            (
                args.remove_unused_columns,
                "remove_unused_columns=True removes 'example_id'; set remove_unused_columns=False",
            ),
            (
                workers and args.dataloader_persistent_workers,
                "dataloader_persistent_workers=True repeats the first pass's masks in every other; set it to False",
            ),
            (
                workers and self.collator.policy.needs_feedback,
                "adaptive masking cannot reach worker processes: set dataloader_num_workers=0, or use BabyLMTrainer",
            ),
        ):
            if wrong:
                raise OptionError(message)
        self.collator.total_steps = state.max_steps
        self.collator.rate.validate(state.max_steps)
        self._pass = None
        if self.collator.policy.needs_feedback or self.collator.rate.weighted:
            model = kwargs["model"]
            self._takes_rate = MASK_RATE in inspect.signature(model.forward).parameters
            self._hook = model.register_forward_pre_hook(self._remember, with_kwargs=True)
        if self.collator.policy.needs_feedback and state.global_step:
            self._load(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def _remember(
        self, module: Any, positional: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # A `compute_loss_func` is not given the inputs: soft masking counts only what was shown as the mask token, and
        # a weighted loss needs its weights, which are not for the model.
        loss = self.collator.loss_function()
        loss.shown_ids = named.get("input_ids", positional[0] if positional else None)
        loss.weights = named.get(WEIGHTS)
        theirs = {WEIGHTS, MASKABLE} | (set() if self._takes_rate else {MASK_RATE})
        return positional, {name: value for name, value in named.items() if name not in theirs}

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Sets the pass; runs before the loader starts its workers."""
        self._pass = int(state.epoch or 0) if self._pass is None else self._pass + 1
        self.collator.begin_pass(self._pass, state.global_step, args.gradient_accumulation_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Lets the policy learn from the step.

        Raises:
            OptionError: the trainer does not use the loss that the weights of a diffusion objective are for.
        """
        policy, loss = self.collator.policy, self.collator.loss_function()
        if self.collator.rate.weighted and not loss.used:
            raise OptionError(
                "the model's own loss knows nothing of the noise schedule's weights: give the trainer "
                "compute_loss_func=collator.loss_function()"
            )
        if policy.needs_feedback:
            step = state.global_step - 1
            statistics = loss.statistics_on(args.device)
            policy.update(statistics, step, self.collator.rate.at(step, self.collator.total_steps))

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuses an evaluation whose masks would change from pass to pass."""
        loader = kwargs["eval_dataloader"]
        if loader is not None and loader.collate_fn is self.collator and EVALUATION_ID not in loader.dataset[0]:
            raise OptionError(
                f"the evaluation data needs the column {EVALUATION_ID!r} to get masks that stay the same: "
                f'dataset.add_column("{EVALUATION_ID}", range(len(dataset)))'
            )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Puts the policy's state beside the checkpoint."""
        policy = self.collator.policy
        if not policy.needs_feedback:
            return
        counts = self.collator.loss_function().statistics_on(args.device).state()
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if args.should_save and folder.is_dir():
            safetensors.numpy.save_file({**policy.state(), **counts}, folder / SIDECAR)

    def _load(self, folder: Path) -> None:
        path = folder / SIDECAR
        if not path.is_file():
            raise ResumeError(f"{folder} has no {SIDECAR}, so the mask weights of the run are lost; start it anew")
        arrays = safetensors.numpy.load_file(path)
        self.collator.policy.load_state(arrays)
        self.collator.loss_function().statistics_on("cpu").load_state(arrays)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leaves the model as it was."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
            self.collator.loss_function().weights = None
