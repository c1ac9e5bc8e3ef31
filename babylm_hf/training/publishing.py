"""Publishing while training goes on: `--push_to_hub`, with our publisher instead of the stock push.

The stock push drops checkpoints when saves come fast, does not tell when one failed, and sends pickles. Here every
milestone goes to a branch of its own from a process beside the training, and at the end the run waits for what is left.
A Hub that cannot be reached never stops a run: it ends with a sentence that says what is missing, and
`babylm-hf publish` brings it there.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerControl, TrainerState, TrainingArguments

from ..errors import BabyLMError, OptionError
from ..publishing import HubPublisher
from ..publishing.access import explain
from ..publishing.background import BackgroundPublisher
from ..publishing.packages import MAIN
from ..publishing.retry import is_passing
from .callbacks import BabyLMCallback
from .recording import RecordCallback

if TYPE_CHECKING:
    from .arguments import BabyLMTrainingArguments

logger = logging.getLogger(__name__)


def publisher_from_arguments(args: BabyLMTrainingArguments) -> HubPublisher:
    """The publisher that `--push_to_hub`, `--hub_model_id`, `--hub_private_repo` and `--hub_token` ask for.

    Raises:
        OptionError: a name that the Hub would not take.
    """
    from huggingface_hub import HfApi

    name = args.hub_model_id or Path(args.output_dir or "").resolve().name
    private = args.hub_private_repo is not False
    return HubPublisher(HfApi(token=args.hub_token), name, args.output_dir or "", private=private)


def check_before_training(publisher: HubPublisher) -> None:
    """Refuse before the first step what would fail after the last; a Hub that is away is only warned of.

    Raises:
        PublishError: the token is missing or may not write, or the repository holds something else.
    """
    try:
        publisher.check()
    except BabyLMError:
        raise
    except Exception as error:
        if not is_passing(error):
            raise explain(error, publisher.repo_id) from error
        logger.warning("the Hub cannot be reached; training goes on, and publishing is tried at every milestone")


class PublishCallback(BabyLMCallback):
    """Publishes each milestone once its folder is complete, and the final model; only the main process does.

    Args:
        publisher: made from the arguments of the trainer without it.
    """

    def __init__(self, publisher: HubPublisher | None = None) -> None:
        self.publisher = publisher
        self.background: BackgroundPublisher | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Look at token and repository, and send what an earlier session has left behind."""
        if not state.is_world_process_zero:
            return
        record = next(
            (c.record for c in self.trainer.callback_handler.callbacks if isinstance(c, RecordCallback)), None
        )
        if record is None:
            raise OptionError(
                "--push_to_hub needs the run's record; give the trainer a RecordCallback too, before this"
            )
        self.publisher = self.publisher or publisher_from_arguments(self.trainer.args)
        check_before_training(self.publisher)
        record.update(card={**(record.manifest.get("card") or {}), "repo_id": self.publisher.repo_id})
        self.publisher.reopen()
        self.background = BackgroundPublisher(self.publisher)
        for name in self.publisher.run.milestones():
            if (Path(args.output_dir or "") / name).is_dir():
                self.background.submit(name)

    def on_model_ready(self, folder: Path, milestone: str | None) -> None:
        """A milestone is handed over; after the final model the run waits until everything has arrived.

        Raises:
            PublishError: something has not arrived; the run itself is complete on disk.
        """
        if self.background is None or self.publisher is None:
            return
        if milestone is None:
            self.publisher.reopen()
            self.publisher.run.render(self.publisher.repo_id, [MAIN])
        self.background.submit(milestone or MAIN)
        if milestone is None:
            self.background.wait()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """A script may end here: wait for the milestones. What failed is tried again after the final model.

        A run that was asked to stop has no time for that; the one that resumes it sends what is left.
        """
        if self.background is not None and not self.trainer.preempted:
            self.background.wait(raising=False)
