"""What a run will do, from its recipe and options: nothing is trained but the few steps that are measured."""

from __future__ import annotations

import copy
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback, set_seed

from .. import pipeline
from ..errors import OptionError
from ..masking import MaskingCollator
from ..plan import RunPlan
from ..plan.curriculum import Stage
from ..sizes import free_space
from ..training import BabyLMTrainer, WordsProgressCallback
from ..training.disk import space_needed
from ..training.planning import plan_from_arguments

if TYPE_CHECKING:
    from ..recipe import Options, Recipe

_POINTS = 101
_TRAINED_COPIES = 4
"""Float32 numbers for each parameter: weight, gradient, two moments of the optimizer."""


def plan_facts(recipe: Recipe, options: Options, measure: int = 0) -> dict[str, Any]:
    """The plan of a run in JSON's types.

    Text is tokenised and a tokenizer trained where the cache lacks them, as the run itself would; nothing is written
    to the output folder.

    Args:
        recipe: whose run it would be.
        options: its options, parsed.
        measure: optimizer steps to time at each row length; 0 for none.

    Returns:
        `plan` as the record has it; `stages[]` with passes, seq_length, batch_size, steps; `rates[]` of step, words
        and mask rate (empty for causal models); `parameters`; `disk` in bytes; `memory` in bytes; `time` in seconds,
        None where nothing was measured.

    Raises:
        BabyLMError: whatever the run would refuse, its folder and the Hub apart.
    """
    if measure < 0:
        raise OptionError(f"--measure {measure} must be a number of steps, 0 for none")
    pipeline.check_early(options, begins=False)
    args = options.training
    text = pipeline.find_rows(recipe, options)
    plan = plan_from_arguments(text.train_rows, args)
    set_seed(args.seed)
    model = pipeline.new_model(options, text.tokenizer)
    parameters = sum(p.numel() for p in model.parameters())
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "output_dir": str(args.output_dir),
        "plan": plan.describe(),
        "stages": _stages(plan),
        "rates": _rates(plan, pipeline.find_collator(options, text.tokenizer, text.train_rows)),
        "parameters": parameters,
        "disk": _disk(args, plan, parameters),
        "memory": {"weights_and_optimizer": 4 * parameters * (_TRAINED_COPIES + (args.ema_decay is not None))},
        "time": None,
    }
    if measure:
        facts["time"], peak = _measured(options, text, plan, measure)
        facts["memory"]["peak"] = peak
    return facts


def _stages(plan: RunPlan) -> list[dict[str, Any]]:
    """The stages as far as the run gets; one that it never reaches has no steps."""
    lengths = [plan.stage_at(step).index for step in range(plan.total_steps)]
    steps = np.bincount(lengths, minlength=len(plan.stages))
    return [
        {
            "first_pass": stage.first_pass,
            "num_passes": stage.num_passes,
            "seq_length": stage.seq_length,
            "batch_size": stage.batch_size,
            "steps": int(steps[stage.index]),
        }
        for stage in plan.stages
    ]


def _rates(plan: RunPlan, collator: Any) -> list[dict[str, Any]]:
    if not isinstance(collator, MaskingCollator):
        return []
    collator.begin_run(plan.total_steps)  # also refuses a rate that would leave (0, 1)
    steps = np.unique(np.linspace(0, plan.total_steps - 1, _POINTS).round().astype(int))
    return [
        {
            "step": int(step) + 1,
            "words": int(plan.words_after[step]),
            "mask_rate": float(np.mean(collator.rate.at(int(step), plan.total_steps))),
        }
        for step in steps
    ]


def _disk(args: Any, plan: RunPlan, parameters: int) -> dict[str, int]:
    saves = getattr(args.save_strategy, "value", args.save_strategy) != "no"
    kept = (args.save_total_limit or max(1, int(plan.total_steps // max(args.save_steps, 1)))) if saves else -1
    needed = space_needed(
        parameters, milestones=len(plan.milestones), checkpoints=kept, averaged=args.ema_decay is not None
    )
    return {
        "model": needed.model,
        "checkpoint": needed.checkpoint,
        "total": needed.total,
        "free": free_space(Path(args.output_dir)),
    }


# ---- measuring


class _Clock(TrainerCallback):
    """Notes when each optimizer step was done, the device included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for the device, look at the clock."""
        if torch.cuda.is_available() and not args.use_cpu:
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def _measured(options: Options, text: pipeline.RunText, plan: RunPlan, steps: int) -> tuple[dict[str, Any], int]:
    """Seconds a step at every stage and of the whole run, and the peak of memory in bytes.

    The first step of each is left out: it pays for what is made once. Evaluation and saving are not in the estimate.
    """
    on_gpu = options.training.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    stages = []
    for facts, stage in zip(_stages(plan), plan.stages, strict=True):
        if facts["steps"]:
            stages.append({"seq_length": stage.seq_length, "steps": facts["steps"]})
            stages[-1]["seconds_per_step"] = _seconds_per_step(options, text, stage, steps)
    total = sum(stage["steps"] * stage["seconds_per_step"] for stage in stages)
    peak = torch.cuda.max_memory_allocated() if on_gpu else _peak_of_process()
    return {"measured_steps": steps, "stages": stages, "seconds": total, "device": str(options.training.device)}, peak


def _seconds_per_step(options: Options, text: pipeline.RunText, stage: Stage, steps: int) -> float:
    args = copy.copy(options.training)
    one = dataclasses.replace(stage, index=0, first_pass=0, num_passes=1)
    plan = RunPlan.build(text.train_rows, [one], args.seed, max_steps=steps + 1)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        args.output_dir, args.save_strategy, args.eval_strategy = folder, "no", "no"
        args.push_to_hub, args.resume_from_checkpoint, args.disable_tqdm = False, None, True
        set_seed(args.seed)
        trainer = BabyLMTrainer(
            model=pipeline.new_model(options, text.tokenizer),
            args=args,
            data_collator=pipeline.find_collator(options, text.tokenizer, text.train_rows),
            train_dataset=text.train_rows,
            processing_class=text.tokenizer,
            plan=plan,
            callbacks=[clock],
        )
        trainer.remove_callback(WordsProgressCallback)
        trainer.train()
    durations = np.diff(clock.ends)
    if not len(durations):
        raise OptionError(f"--measure needs a pass of two steps or more at length {stage.seq_length}; give more text")
    return statistics.median(float(seconds) for seconds in durations)


def _peak_of_process() -> int:
    """The most memory that this process has had, in bytes; macOS counts in bytes, others in units of 1,024."""
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
