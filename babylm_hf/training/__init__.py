"""Training: the Trainer that follows a plan, its arguments, callbacks, checkpoints and optimizers."""

from __future__ import annotations

from .arguments import BabyLMTrainingArguments
from .callbacks import BabyLMCallback, CurriculumCallback, FeedbackCallback, MilestoneCallback
from .carbon import CarbonCallback
from .progress import WordsProgressCallback
from .publishing import PublishCallback
from .recording import RecordCallback
from .trainer import BabyLMTrainer

__all__ = [
    "BabyLMCallback",
    "BabyLMTrainer",
    "BabyLMTrainingArguments",
    "CarbonCallback",
    "CurriculumCallback",
    "FeedbackCallback",
    "MilestoneCallback",
    "PublishCallback",
    "RecordCallback",
    "WordsProgressCallback",
]
