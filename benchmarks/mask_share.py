"""The share of a training run's wall time that goes to masking.

    python benchmarks/mask_share.py [--steps 12 --methods adaptive frequency accuracy_morph hhm]

Every line is a run of `BabyLMTrainer`: the 11.2 M BERT (preset bert-small, vocabulary 30,522), rows of random ids.
Timed are the mask step (the collator's `mask` and the objective's `prepare`), the policy's updates (where they come in
windows, one after every step here, which is the worst case), and the whole of each optimizer step. The first step, in
which kernels are prepared, is left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from masking import collators, make_tokenizer
from transformers import TrainerCallback

from babylm_hf.models.presets import build_model
from babylm_hf.training import BabyLMTrainer, BabyLMTrainingArguments


class Clock(TrainerCallback):
    """Sums the time spent in some methods of a trainer, and the time of whole steps, from the second step on."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.steps = 0
        self.begun = self.ended = 0.0

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same method, whose time is added under `name`."""

        def measured(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = call(*arguments, **named)
            self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - start
            return result

        return measured

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A step is done, its policy update included, as the project's own callbacks come first."""
        self.ended = time.perf_counter()
        if state.global_step == 1:
            self.begun, self.spent = self.ended, {}
        self.steps = state.global_step - 1


def run(name: str, collator: Any, tokenizer: Any, options: argparse.Namespace, folder: Path) -> None:
    """Trains with a collator and prints its line."""
    random = np.random.default_rng(0)
    ids = random.integers(5, options.vocab_size, (options.rows * options.steps, options.seq))
    ids[:, 0], ids[:, -1] = 1, 2
    if hasattr(collator.policy, "update_steps"):
        collator.policy.update_steps = 1
    clock = Clock()
    trainer = BabyLMTrainer(
        model=build_model("bert-small", tokenizer),
        args=BabyLMTrainingArguments(
            output_dir=str(folder / name.replace(" ", "_")),
            max_seq_len=str(options.seq),
            batch_size=options.rows,
            num_train_epochs=1,
            save_strategy="no",
            milestones="none",
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
        ),
        data_collator=collator,
        train_dataset=datasets.Dataset.from_dict({"input_ids": ids, "num_words": np.full(len(ids), options.seq)}),
        processing_class=tokenizer,
    )
    trainer.add_callback(clock)
    trainer._with_targets = clock.timed("mask", trainer._with_targets)
    trainer.update_policy = clock.timed("update", trainer.update_policy)
    trainer.train()
    parameters = sum(p.numel() for p in trainer.model.parameters())
    step = (clock.ended - clock.begun) / clock.steps
    mask, update = (clock.spent.get(part, 0.0) / clock.steps for part in ("mask", "update"))
    print(
        f"{name:24s} {parameters / 1e6:.1f} M parameters, {clock.steps} steps: {step:.2f} s a step, "
        f"mask step {mask * 1e3:.2f} ms = {mask / step:.3%}, update {update * 1e3:.2f} ms = {update / step:.3%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--vocab_size", type=int, default=30522)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--methods", nargs="+", default=["adaptive", "frequency", "accuracy_morph", "hhm"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = make_tokenizer(options.vocab_size)
    with tempfile.TemporaryDirectory() as folder:
        for method in options.methods:
            made = collators(tokenizer, options.rate, np.random.default_rng(0))
            run(method, made[method], tokenizer, options, Path(folder))


if __name__ == "__main__":
    main()
