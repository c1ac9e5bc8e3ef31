"""From arguments to a plan."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import OptionError
from ..plan import TRACKS, RowSource, RunPlan, check_budget, parse_curriculum, parse_milestones, parse_words
from .arguments import BabyLMTrainingArguments

logger = logging.getLogger(__name__)


def plan_from_arguments(rows: RowSource, args: BabyLMTrainingArguments) -> RunPlan:
    """The plan that the arguments make of the rows.

    Raises:
        OptionError: a curriculum, milestone list or batch size that cannot be; milestones by words without word counts.
        BudgetError: the run would exceed what its track allows.
    """
    stages = parse_curriculum(_lengths(rows, args), int(args.num_train_epochs), args.rows_per_step())
    plan = RunPlan.build(
        rows,
        stages,
        seed=args.seed,
        milestones=parse_milestones(args.milestone_spec()),
        max_words=parse_words(args.max_words) if args.max_words else None,
        max_steps=args.max_steps if args.max_steps > 0 else None,
    )
    if plan.total_words == 0 and (plan.milestones or plan.unreached or args.max_words):
        raise OptionError(
            "milestones and --max_words need word counts, and the data set has none; "
            "add a 'num_words' column or pass --milestones none"
        )
    if args.track != "none":
        unique = int(rows.row_words(stages[0].seq_length).sum())
        check_budget(TRACKS[args.track], unique, plan.total_words, int(args.num_train_epochs))
    plan.check_sharding(args.world_size, args.gradient_accumulation_steps)
    return plan


def warn_of_endless_warmup(args: BabyLMTrainingArguments, total_steps: int) -> None:
    """Say so where the learning rate would still be rising when the run ends: its peak is never reached."""
    warmup = args.get_warmup_steps(total_steps)
    schedule = getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)
    if args.process_index == 0 and schedule != "constant" and warmup >= total_steps:
        reached = args.learning_rate * total_steps / warmup
        logger.warning(
            "the run has %d steps and %d of warm-up: it ends at a learning rate of %.2g, below the peak of %.2g; "
            "pass fewer --warmup_steps, or a share of the run such as 0.1",
            total_steps, warmup, reached, args.learning_rate,
        )  # fmt: skip


def _lengths(rows: Any, args: BabyLMTrainingArguments) -> str:
    if args.max_seq_len is not None:
        return str(args.max_seq_len)
    if hasattr(rows, "max_length"):
        return str(rows.max_length)
    raise OptionError("--max_seq_len is needed: a token stream has no row length of its own")
