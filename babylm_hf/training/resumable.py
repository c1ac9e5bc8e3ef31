"""Saving and resuming: the part of the Trainer that makes a run survive its process.

A checkpoint is written under a temporary name, with the sidecars of `checkpoints`, and renamed when it is whole. A run
is resumed only by the same run: data, seed, plan, masking and optimizer are compared, and the difference is named.
"""

from __future__ import annotations

import gc
import json
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from ..errors import OptionError
from ..masking import Policy, RowCollator, TokenStatistics
from ..plan import RunPlan
from . import checkpoints
from .ema import WeightAverage
from .together import agree_on_checkpoint, require_one_run

# Options that decide what is learnt. Those that only decide how it is computed (precision, the levers, the number of
# processes) may change with the machine.
_OPTIONS = (
    *("learning_rate", "lr_scheduler_type", "warmup_steps", "lr_floor", "cooldown_steps", "lr_scheduler_kwargs"),
    *("weight_decay", "max_grad_norm", "ema_decay", "neftune_noise_alpha"),
    *("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "muon", "muon_momentum"),
    *("lamb", "lamb_clip_ratio", "lamb_coupled_decay", "reference_optimizer"),
)


class ResumableTrainer(Trainer):
    """A Trainer whose checkpoints hold all that its run is; the base of `BabyLMTrainer`, which owns what is saved."""

    policy: Policy | None
    statistics: TokenStatistics | None
    data_collator: RowCollator
    _plan: RunPlan | None
    average: WeightAverage | None = None
    resumed_from: Path | None = None
    use_cache: bool | None = None
    _run_dir: Path | None = None

    @property
    def plan(self) -> RunPlan:
        """The plan of the run.

        Raises:
            OptionError: the trainer was made without training data.
        """
        if self._plan is None:
            raise OptionError("there is no plan: BabyLMTrainer needs a train_dataset to train")
        return self._plan

    @property
    def words_seen(self) -> int:
        """Whitespace words of all rows consumed so far, repeats included."""
        done = self.state.global_step
        return int(self._plan.words_after[done - 1]) if self._plan is not None and done > 0 else 0

    def identity(self) -> dict[str, Any]:
        """What must be equal for a run to be the continuation of another."""
        plan = self.plan.describe()
        names = ("corpus_fingerprint", "seed", "total_steps", "stages", "milestones", "fingerprint")
        facts = {"seed": self.args.seed, **{f"plan {n}": plan[n] for n in names if n in plan}}
        facts |= {f"masking {n}": v for n, v in self.data_collator.describe().items()}
        facts |= {n: str(getattr(self.args, n)) for n in _OPTIONS}
        facts |= {"deepspeed": True} if self.is_deepspeed_enabled else {}  # keeps the optimizer's state in its own way
        return facts | {"parameters": sum(p.numel() for p in self.model.parameters())}

    def train(self, resume_from_checkpoint: str | bool | None = None, **stock: Any) -> Any:
        """Follow the plan to its end.

        Args:
            resume_from_checkpoint: a checkpoint folder, or `auto` (or True) for the newest complete one in the output
                folder, if
                there is one. Without it the output folder must not hold a run.

        Raises:
            RunFolderError: the output folder holds another run.
            ResumeError: the checkpoint belongs to other data, another seed, plan or method; or only some machines
                have it.
            OptionError: the processes have other data, options or checkpoints than each other.
        """
        asked = resume_from_checkpoint if resume_from_checkpoint is not None else self.args.resume_from_checkpoint
        checkpoint = checkpoints.resolve_resume(Path(self.args.output_dir), asked)
        # In these exchanges all wait for all: nobody writes before everybody has looked.
        checkpoint = agree_on_checkpoint(Path(self.args.output_dir), checkpoint, self.args.world_size)
        require_one_run(self.identity(), checkpoint, self.args.world_size)
        self.resumed_from = checkpoint
        if checkpoint is not None:
            _, facts = checkpoints.read_sidecars(checkpoint)
            usual = type(self.args).public_defaults()  # what an older run, which does not tell an option, had
            config = self.model.config
            saved = {n: str(usual[n]) for n in _OPTIONS} | facts.get("identity", {})
            saved |= checkpoints.model_facts(type(config).from_pretrained(checkpoint))
            checkpoints.check_identity(saved, {**self.identity(), **checkpoints.model_facts(config)}, checkpoint)
            if self.is_deepspeed_enabled:
                checkpoints.check_for_deepspeed(facts, checkpoint, self.args.world_size)
            checkpoints.warn_of_origin(facts, checkpoint)
        return super().train(resume_from_checkpoint=str(checkpoint) if checkpoint else None, **stock)

    def finish(self) -> None:
        """Measure the final model and leave it, with its card, at the root of the output folder."""
        self.evaluate_milestone(None)
        root = Path(self.args.output_dir)
        with checkpoints.written_whole(root / ".final", writes=self.args.should_save) as temporary:
            self.export_model(temporary)
            self.announce_folder(temporary, None)
            self.accelerator.wait_for_everyone()
        if self.args.should_save:
            for path in (root / ".final").iterdir():
                if path.is_dir():  # a folder takes another's name only where that is empty
                    shutil.rmtree(root / path.name, ignore_errors=True)
                path.replace(root / path.name)
            (root / ".final").rmdir()
        self.accelerator.wait_for_everyone()
        self.announce_ready(root, None)

    def close(self) -> None:
        """End the process group; the last thing that a script with several processes does with a trainer.

        Gloo's threads live as long as anything holds the group, and the distributed wrapper of the model does. A thread
        that lets go of its last tensor while the interpreter is on its way out aborts a process that has done all its
        work (pytorch/pytorch#190489). So the wrapper goes first, and the threads end with the group.
        """
        self.accelerator.free_memory()
        self.model_wrapped = self.model
        gc.collect()
        self.accelerator.end_training()

    def start_average(self) -> None:
        """Begin the moving average, where one is asked for, with the weights that the model has now."""
        if self.args.ema_decay is not None:
            model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
            self.average = WeightAverage(model, self.args.ema_decay)

    def exported_weights(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that are measured and exported: their moving average, where one is kept.

        Checkpoints hold the weights as trained, and the average beside them.
        """
        return nullcontext() if self.average is None else self.average.shown()

    def export_model(self, folder: Path) -> None:
        """Write the model as it is measured: a folder for `from_pretrained`."""
        with self.exported_weights():
            self.save_model(str(folder))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Sidecars first, then the stock files, all under a temporary name that is changed when everything is there."""
        final = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        staging = Path(self.args.output_dir) / ".saving"
        with checkpoints.written_whole(final, writes=self.args.should_save) as temporary:
            arrays = self._state_arrays()
            if self.args.should_save:
                checkpoints.write_sidecars(staging / final.name, arrays, self._state_facts())
                if self.average is not None:
                    self.average.save(staging / final.name)
            self.accelerator.wait_for_everyone()
            self._run_dir = staging
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._run_dir = None
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                (staging / final.name).rename(temporary)
                staging.rmdir()
        if self.args.should_save:
            rotate_checkpoints(output_dir=self.args.output_dir, save_total_limit=self.args.save_total_limit)

    def _save_rng_state(self, output_dir: str) -> None:
        """As the stock method, but a machine whose own disk keeps no checkpoints is left no crumbs of them."""
        if Path(output_dir).is_dir():
            super()._save_rng_state(output_dir)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._run_dir) if self._run_dir is not None else super()._get_output_dir(trial)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        if self.policy is None or self.statistics is None:
            return {}
        policy = {f"policy.{name}": values for name, values in self.policy.state().items()}
        # The statistics come summed over all processes, so that a run of any size can go on from them.
        return policy | {f"statistics.{name}": values for name, values in self.statistics.state().items()}

    def _state_facts(self) -> dict[str, Any]:
        facts = {"step": self.state.global_step, "words": self.words_seen, "world_size": self.args.world_size}
        return facts | {"format": 1, "machine": checkpoints.this_machine(), "identity": self.identity()}

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """As the stock method, but tied weights are not missed: they are stored once, under their first name."""
        tied = set(getattr(self.model, "all_tied_weights_keys", None) or ())
        missing = [name for name in load_result.missing_keys if name not in tied]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        self.start_average()
        if checkpoint is not None and self.average is not None:
            self.average.load(Path(checkpoint))
        if checkpoint is None or self.policy is None or self.statistics is None:
            return
        arrays, _ = checkpoints.read_sidecars(Path(checkpoint))
        parts: dict[str, dict[str, np.ndarray]] = {"policy": {}, "statistics": {}}
        for name, values in arrays.items():
            owner, _, rest = name.partition(".")
            parts[owner][rest] = values
        self.policy.load_state(parts["policy"])
        self.statistics.load_state(parts["statistics"])

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights, configuration and tokenizer as a stock folder, and the arguments as JSON.

        The stock method also pickles the arguments, access token included; a pickle is refused by careful readers. It
        is called in every process, and makes and tidies the folder even in those that do not write: under the hands of
        the one that does.
        """
        if not self.args.should_save:
            return
        folder = Path(output_dir if output_dir is not None else self.args.output_dir)
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        training = getattr(model.config, "use_cache", None)
        if self.use_cache is not None:  # switched off by the stock Trainer; the saved model is to generate
            model.config.use_cache = self.use_cache
        # A stock model writes in the first process of all only: with --save_on_each_node others got a folder without
        # weights. An attribute of the instance hides the method for the call.
        model.should_save_on_this_rank = bool
        model.save_pretrained(folder, state_dict=state_dict)
        del model.should_save_on_this_rank
        if self.use_cache is not None:
            model.config.use_cache = training
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
        text = json.dumps(self.args.to_public_dict(), indent=1, sort_keys=True, default=str)
        (folder / "training_args.json").write_text(text + "\n", encoding="utf-8")
