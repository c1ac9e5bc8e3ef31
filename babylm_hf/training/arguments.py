"""The options of the trainer: the stock `TrainingArguments` with the field's defaults and the project's own options.

They stand apart from `babylm_hf.arguments` because the class they extend imports torch.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from transformers import TrainingArguments

from ..arguments import option
from ..errors import OptionError
from .carbon import check_country
from .ema import check_decay
from .levers import check_device, take_compiler
from .together import check_joined, join_on_cpu


@dataclass
class BabyLMTrainingArguments(TrainingArguments):
    """Stock training arguments plus the plan, the milestones and the optimizer of a BabyLM run.

    `batch_size` counts sequences of the first length per optimizer step over all processes and is what a run is
    reproduced by. How many of them a device takes at once (`gradient_accumulation_steps`, the number of processes)
    never changes the result.
    """

    _argument_group_name = "training"

    output_dir: str | None = option(None, "where the run is written", "--output_path")
    learning_rate: float = option(1e-3, "peak learning rate", "--lr")
    num_train_epochs: float = option(10.0, "passes through the corpus", "--epochs")
    gradient_accumulation_steps: int = option(1, "micro-batches an optimizer step is split into", "--grad_acc")
    dataloader_num_workers: int = option(0, "processes that slice and pad rows", "--cpus")
    lr_scheduler_type: str = option("cosine", "learning rate schedule")
    warmup_steps: float = option(0.01, "warm-up: steps, or below 1 a share of the steps (rounded down)")
    weight_decay: float = option(0.01, "decay of matrices and embeddings; biases and norms have none")
    logging_steps: float = option(100, "steps between log lines")
    save_strategy: str = option("steps", "when resumable checkpoints are written")
    save_steps: float = option(500, "steps between resumable checkpoints")
    save_total_limit: int | None = option(2, "resumable checkpoints kept")
    ddp_find_unused_parameters: bool | None = option(False, "whether some parameters get no gradient in some steps")
    remove_unused_columns: bool = option(False, "kept off: the rows carry keys that masking needs")
    logging_nan_inf_filter: bool = option(False, "kept off: a loss that is not a number must be seen")
    seed: int = option(0, "seed of weights, order, masks and dropout")

    push_to_hub: bool = option(False, "publish every milestone while training goes on, and the final model")
    hub_model_id: str | None = option(None, "namespace/name to publish to; the name of the output folder without it")
    hub_private_repo: bool | None = option(None, "false opens the repository to all; it is private without")

    max_seq_len: str | None = option(
        None, "row length, or lengths by pass as 'pass:length' pairs, such as 0:64,5:256; the rows' own without it"
    )
    batch_size: int | None = option(
        None, "sequences of the first length in an optimizer step, over all processes; overrides the per-device size"
    )
    track: Literal["strict-small", "strict", "none"] = option("none", "BabyLM track whose budget is enforced")
    milestones: str = option(
        "auto", "words at which the model is saved: the track's list, '50K,1M', '10x50K', or 'none'"
    )
    all_checkpoints: bool = option(True, "save the milestones")
    max_words: str | None = option(None, "stop after this many words, such as 3M; the schedules end there too")
    lamb: bool = option(False, "use LAMB instead of the optimizer named by --optim")
    lamb_clip_ratio: bool = option(True, "LAMB: never scale an update up, as in the runs of adaptive masking")
    lamb_coupled_decay: bool = option(
        False, "LAMB: decay inside the update, whose length only parameters with decay adapt, as GPT-BERT has it"
    )
    muon: bool = option(False, "Muon for the matrices inside the model, AdamW for embeddings and vectors, at one rate")
    muon_momentum: float = option(0.95, "Muon: decay of the average of gradients")
    lr_floor: float = option(0.0, "share of the peak learning rate that the cosine falls to")
    cooldown_steps: float = option(0.0, "linear fall from there to 0 at the end: steps, or below 1 a share of them")
    ema_decay: float | None = option(
        None,
        "keep a moving average of the weights, which is what is evaluated and exported (milestones and final model)",
    )
    eval_seq_len: int | None = option(None, "row length of held-out evaluation; the longest training length without it")
    max_eval_tokens: int = option(200_000, "evaluate on at most this many held-out tokens, spread evenly; 0 for all")
    nelbo_tokens: int = option(
        20_000, "diffusion models: held-out tokens whose likelihood bound is measured at every evaluation; 0 for none"
    )
    eval_batch_tokens: int = option(16_384, "tokens in a batch of held-out evaluation")
    nonfinite: Literal["stop", "skip"] = option(
        "stop", "a gradient that is not finite: stop with a report of the rows, or skip the step"
    )
    track_carbon: str | None = option(
        None, "measure energy and carbon dioxide with codecarbon, for the electricity of this country, such as DEU"
    )
    fast_attention: bool = option(True, "train DeBERTa-v2 with our attention: the stock numbers for less work")
    fast_dropout: bool = option(True, "CPU: draw dropout many times as fast; stock rates, another stream")
    short_last_layer: bool = option(True, "compute what follows the attention of the last layer at the targets only")
    chunked_loss: bool = option(True, "make the logits of a few targets at a time; the stock numbers in less memory")
    keep_freed_memory: bool = option(True, "CPU, Linux: let the allocator keep freed memory, for fewer page faults")
    reference_optimizer: bool = field(
        default=False, metadata={"help": "LAMB exactly as the published runs had it: zero tensors never move"}
    )

    def __post_init__(self) -> None:
        if self.output_dir is None:
            self.output_dir = "runs/babylm"
        if self.disable_tqdm is None:  # type: ignore[has-type]
            self.disable_tqdm = not sys.stderr.isatty()  # a bar in a log file is a thousand lines
        self.compiler = take_compiler(self)
        join_on_cpu(self)
        super().__post_init__()
        check_joined(self)
        check_device(self)
        if self.load_best_model_at_end:
            raise OptionError(
                "--load_best_model_at_end cannot be used: milestones, not one best step, are what is kept"
            )
        # Ours publishes. The stock push would drop checkpoints when saves come fast, so it never hears of the wish.
        self.publishing, self.push_to_hub = self.push_to_hub, False
        if self.publishing and self.hub_revision:
            raise OptionError("--hub_revision cannot be used: every milestone has a branch of its own")
        if self.track_carbon is not None:
            self.track_carbon = self.track_carbon.upper()
            check_country(self.track_carbon)
        if self.ema_decay is not None:
            check_decay(self.ema_decay)
        if not 0 <= self.lr_floor < 1 or self.cooldown_steps < 0:
            raise OptionError("--lr_floor must lie in [0, 1) and --cooldown_steps must not be negative")
        if self.cosine_ends_early() and getattr(self.lr_scheduler_type, "value", self.lr_scheduler_type) != "cosine":
            raise OptionError("--lr_floor and --cooldown_steps belong to --lr_scheduler_type cosine; leave them out")
        if self.muon and self.lamb:
            raise OptionError("--muon and --lamb are two optimizers; set one of them to false")
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"--batch_size must be at least 1, not {self.batch_size}")
        if not float(self.num_train_epochs).is_integer() or self.num_train_epochs < 1:
            raise OptionError(
                f"--num_train_epochs must be a whole number of passes, not {self.num_train_epochs}; "
                "use --max_words to stop inside a pass"
            )

    @classmethod
    def adopt(cls, args: TrainingArguments) -> BabyLMTrainingArguments:
        """The same arguments as this class, for a script that made stock ones."""
        if isinstance(args, cls):
            return args
        own = {f.name for f in dataclasses.fields(cls) if f.init}
        values = {f.name: getattr(args, f.name) for f in dataclasses.fields(args) if f.init and f.name in own}
        return cls(**{**values, "remove_unused_columns": False, "logging_nan_inf_filter": False})

    def rows_per_step(self) -> int:
        """Sequences of the first length in one optimizer step over all processes."""
        if self.batch_size is not None:
            return self.batch_size
        return int(self.per_device_train_batch_size * self.gradient_accumulation_steps * self.world_size)

    def milestone_spec(self) -> str:
        """What `babylm_hf.plan.parse_milestones` is given."""
        if not self.all_checkpoints:
            return "none"
        return self.track if self.milestones == "auto" else self.milestones

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Warm-up steps, the share rounded down as the published runs do (83 of 8325 at 1 %)."""
        return int(self.warmup_steps if self.warmup_steps >= 1 else num_training_steps * self.warmup_steps)

    def get_cooldown_steps(self, num_training_steps: int) -> int:
        """Cool-down steps, a share rounded down."""
        return int(self.cooldown_steps if self.cooldown_steps >= 1 else num_training_steps * self.cooldown_steps)

    def cosine_ends_early(self) -> bool:
        """Whether the learning rate follows `cosine_with_cooldown` and not the stock cosine to 0."""
        return self.lr_floor > 0 or self.cooldown_steps > 0

    @classmethod
    def public_defaults(cls) -> dict[str, Any]:
        """The default of every argument that has one. No instance is made: that would reset accelerate's state."""
        values = {}
        for f in dataclasses.fields(cls):
            if f.init and f.default is not dataclasses.MISSING and _is_public(f.name):
                values[f.name] = f.default.value if isinstance(f.default, Enum) else f.default
        return dict(sorted(values.items()))

    def to_public_dict(self) -> dict[str, Any]:
        """Every argument as plain data, without access tokens and without the folders of this machine.

        It is what the record and `training_args.json` hold, and so what is published.
        """
        values = self.to_dict()
        return {name: _without_folders(value) for name, value in sorted(values.items()) if _is_public(name)}


def _without_folders(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).expanduser().is_absolute() else value


def _is_public(name: str) -> bool:
    """Whether an argument may be shown: access tokens may not."""
    return "token" not in name or name.endswith("_tokens")
