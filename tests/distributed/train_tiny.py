"""One tiny run, for `torch.distributed.run`: `train_tiny.py OUTPUT_DIR [--stop STEP] [--resume] [--accumulation N]`.

Rank 0 leaves what the run did in OUTPUT_DIR/result.json and, as every rank, its mask weights in weights-RANK.npy.
"""

from __future__ import annotations

import os
import signal

import numpy as np
from script import RANK, close, leave, parser
from stops import StopAfter
from tiny import tiny_stream, tiny_trainer
from transformers import TrainerCallback


class KillSecondRank(TrainerCallback):
    """Ends the second process without a word, as a machine that goes away does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step and args.process_index == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    more = parser()
    more.add_argument("--stop", type=int)
    more.add_argument("--lose", type=int, help="the second process, before this step")
    more.add_argument("--resume", action="store_true")
    more.add_argument("--each_node", action="store_true", help="every machine keeps the run on its own disk")
    options = more.parse_args()
    rows = tiny_stream(options.folder / f"data-{RANK}", words=1500)
    callbacks = [StopAfter(options.stop)] if options.stop else []
    callbacks += [KillSecondRank(options.lose)] if options.lose else []
    trainer = tiny_trainer(
        options.folder,
        rows,
        eval_dataset=rows,
        max_steps=7,
        batch_size=31,
        gradient_accumulation_steps=options.accumulation,
        save_strategy="steps",
        save_steps=1000,
        save_on_each_node=options.each_node,
        milestones="500,1K",
        callbacks=callbacks,
    )
    trainer.train(resume_from_checkpoint="auto" if options.resume else None)
    metrics = trainer.evaluate()
    np.save(options.folder / f"weights-{RANK}.npy", trainer.policy.state()["weights"])
    milestones = sorted(path.name for path in (options.folder / "run").glob("chck_*"))
    leave(trainer, options.folder, ("loss", "grad_norm", "words"), eval=metrics, milestones=milestones)
    close(trainer)


if __name__ == "__main__":
    main()
