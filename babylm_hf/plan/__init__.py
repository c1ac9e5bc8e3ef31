"""Plan: curriculum stages, the order of the rows, word milestones, and the sampler that follows them."""

from __future__ import annotations

from .curriculum import Stage, parse_curriculum
from .milestones import TRACKS, Track, check_budget, milestone_name, parse_milestones, parse_words, reference_steps
from .plan import PlannedMilestone, PlannedStep, RowSource, RunPlan
from .sampler import PlanSampler, RowKey

__all__ = [
    "TRACKS",
    "PlanSampler",
    "PlannedMilestone",
    "PlannedStep",
    "RowKey",
    "RowSource",
    "RunPlan",
    "Stage",
    "Track",
    "check_budget",
    "milestone_name",
    "parse_curriculum",
    "parse_milestones",
    "parse_words",
    "reference_steps",
]
