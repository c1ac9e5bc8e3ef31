"""One tiny run, for `torch.distributed.run`: `train_tiny.py OUTPUT_DIR [--stop STEP] [--resume] [--accumulation N]`.

Rank 0 leaves what the run did in OUTPUT_DIR/result.json and, as every rank, its mask weights in weights-RANK.npy.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tiny import gloo_threads, tiny_stream, tiny_trainer
from transformers import TrainerCallback


class StopAfter(TrainerCallback):
    """Ends training at a step, with a checkpoint; the plan stays what it was."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


class KillSecondRank(TrainerCallback):
    """Ends the second process without a word, as a machine that goes away does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step and args.process_index == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stop", type=int)
    parser.add_argument("--lose", type=int, help="the second process, before this step")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--each_node", action="store_true", help="every machine keeps the run on its own disk")
    options = parser.parse_args()
    rank = int(os.environ.get("RANK", "0"))
    rows = tiny_stream(options.folder / f"data-{rank}", words=1500)
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
    np.save(options.folder / f"weights-{rank}.npy", trainer.policy.state()["weights"])
    if rank == 0:
        steps = [line for line in trainer.state.log_history if "loss" in line]
        result = {
            "losses": [line["loss"] for line in steps],
            "grad_norms": [line["grad_norm"] for line in steps],
            "words": [line["words"] for line in steps],
            "eval": metrics,
            "milestones": sorted(path.name for path in (options.folder / "run").glob("chck_*")),
        }
        (options.folder / "result.json").write_text(json.dumps(result))
    trainer.close()
    assert not gloo_threads(), "the process group outlives the trainer"


if __name__ == "__main__":
    main()
