"""Weak scaling on one machine: tokens a second of two processes with one thread each against one such process.

    python benchmarks/weak_scaling.py [--rounds 3 --steps 8 --rows 16 --seq 128 --model bert-small]

Each process has a core of its own and the same rows a step, so the batch of two processes is twice that of one; they
average their gradients by gloo. Training is `BabyLMTrainer`'s with the adaptive policy, which learns from every step:
forward, backward, the exchange, LAMB or AdamW, the mask step, statistics. Random ids serve as text. The runs take turns
(1 2, 2 1, ...) and the result is the median of the rounds' ratios. The first two steps of each, in which kernels are
prepared, are left out. Beside other work the median says little: two processes wait for whichever of them was
disturbed. So the ratio of the fastest steps is given too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from masking import make_tokenizer

LEFT_OUT = 2


def train(options: argparse.Namespace) -> None:
    """One process of a run; the first leaves the seconds of its steps in a file."""
    import torch
    from transformers import TrainerCallback

    from babylm_hf.masking import DataCollatorForDynamicMasking
    from babylm_hf.models.presets import build_model
    from babylm_hf.training import BabyLMTrainer, BabyLMTrainingArguments

    rank, world = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            ends.append(time.perf_counter())

    tokenizer = make_tokenizer(options.vocab_size)
    rows = options.rows * options.accumulation * world
    ids = np.random.default_rng(0).integers(5, options.vocab_size, (rows * options.steps, options.seq))
    ids[:, 0], ids[:, -1] = 1, 2
    trainer = BabyLMTrainer(
        model=build_model(options.model, tokenizer),
        args=BabyLMTrainingArguments(
            output_dir=str(options.worker / "run"),
            max_seq_len=str(options.seq),
            batch_size=rows,
            gradient_accumulation_steps=options.accumulation,
            num_train_epochs=1,
            lamb=options.lamb,
            save_strategy="no",
            milestones="none",
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
        ),
        data_collator=DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.15, mask_update_steps=4),
        train_dataset=datasets.Dataset.from_dict({"input_ids": ids, "num_words": np.full(len(ids), options.seq)}),
        processing_class=tokenizer,
        callbacks=[Clock()],
    )
    trainer.train()
    if rank == 0:
        seconds = np.diff(ends)[LEFT_OUT - 1 :].tolist()
        parameters = sum(p.numel() for p in trainer.model.parameters())
        facts = {"seconds": seconds, "tokens": rows * options.seq, "parameters": parameters}
        (options.worker / "result.json").write_text(json.dumps(facts))
    trainer.accelerator.end_training()


def measure(processes: int, options: argparse.Namespace) -> dict[str, Any]:
    """A run of so many processes: seconds of its steps, tokens in a step."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"] if processes > 1 else []
        done = subprocess.run(
            [sys.executable, *launcher, __file__, *sys.argv[1:], "--worker", folder],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr[-3000:])
        return json.loads((Path(folder) / "result.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rows", type=int, default=16, help="of a process in a micro-batch")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--model", default="bert-small")
    parser.add_argument("--vocab_size", type=int, default=30522)
    parser.add_argument("--lamb", action="store_true")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        return train(options)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    fastest = {1: 0.0, 2: 0.0}
    for number in range(options.rounds):
        for processes in (1, 2) if number % 2 == 0 else (2, 1):
            found = measure(processes, options)
            speeds[processes].append(found["tokens"] / statistics.median(found["seconds"]))
            fastest[processes] = max(fastest[processes], found["tokens"] / min(found["seconds"]))
            print(f"{processes} process(es): {speeds[processes][-1]:,.0f} tokens/s", flush=True)
    ratios = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
    print(
        f"{found['parameters'] / 1e6:.1f} M parameters, {options.rows} x {options.seq} tokens a process and "
        f"{options.accumulation} micro-batches: two processes do {statistics.median(ratios):.2f} times the tokens of "
        f"one [{min(ratios):.2f} .. {max(ratios):.2f}], {fastest[2] / fastest[1]:.2f} times in the fastest steps"
    )
    return None


if __name__ == "__main__":
    main()
