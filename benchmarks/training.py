"""Training steps of `BabyLMTrainer`, as users run it, against the stock Trainer with the stock collator.

    python benchmarks/training.py bert --dtype float32
    python benchmarks/training.py llama --dtype bfloat16 --variants stock stock-tuned ours compiled --rounds 7
    python benchmarks/training.py tiny --steps 20                  # what the Trainers themselves cost
    python benchmarks/training.py bert --profile ours              # where the time of one of them goes

Every variant is a process of its own that stops after each step; they take turns, forwards and backwards, and a
speed-up is the median over the rounds of the ratio of neighbours, with its quartiles. Same model, rows, batch and dtype
(autocast; weights in float32). "stock-tuned" is the stock Trainer in a process whose memory allocator keeps what is
freed, as ours does: the fair rival. "ours" has all default callbacks and the run record; "plain" is ours with every
lever off, "raw" a loop written by hand of our parts, without a Trainer. "peak" multiplies large matrices; with it, each
other variant is told what share of the machine's speed the products make that its step cannot do without.

The text is made up, with word frequencies as in a language (Zipf): speed does not depend on what the words are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from cases import CASES, Case, build_model, open_stream, prepare
from products import PEAK_WORK, multiply, needed

TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1), "MALLOC_TOP_PAD_": str(64 << 20)}
VARIANTS = ("stock", "stock-tuned", "ours", "plain", "compiled", "raw", "peak")


# ------------------------------------------------------------------ the variants; each hands `pause` a place to stop


def stock_trainer(case: Case, folder: Path, out: str, half: bool) -> Any:
    """`transformers.Trainer` with `DataCollatorForLanguageModeling` on an Arrow data set of the same rows."""
    import numpy as np
    from datasets import Dataset
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    stream, tokenizer = open_stream(folder)
    count = stream.num_rows(case.length) - 1
    rows = stream.fetch(case.length, np.arange(count))["input_ids"]
    masks = {"mlm": True, "mlm_probability": case.rate} if case.rate else {"mlm": False}
    args = TrainingArguments(
        out, per_device_train_batch_size=case.rows, max_steps=1_000_000, bf16=half, use_cpu=True,
        save_strategy="no", report_to="none", learning_rate=1e-4,
    )  # fmt: skip
    return Trainer(
        build_model(case), args, DataCollatorForLanguageModeling(tokenizer, **masks),
        Dataset.from_dict({"input_ids": list(rows)}), processing_class=tokenizer,
    )  # fmt: skip


def our_trainer(case: Case, folder: Path, out: str, half: bool, **levers: Any) -> Any:
    """`BabyLMTrainer` on the token stream, with the run record."""
    from babylm_hf import BabyLMTrainer, BabyLMTrainingArguments
    from babylm_hf.masking import DataCollatorForCausalRows, DataCollatorForDecayingMasking
    from babylm_hf.training import RecordCallback

    stream, tokenizer = open_stream(folder)
    args = BabyLMTrainingArguments(
        out, per_device_train_batch_size=case.rows, num_train_epochs=1000, bf16=half, use_cpu=True,
        save_strategy="no", report_to="none", learning_rate=1e-4, max_seq_len=str(case.length), milestones="none",
        **levers,
    )  # fmt: skip
    collator: Any = DataCollatorForCausalRows(tokenizer)
    if case.rate:
        collator = DataCollatorForDecayingMasking(tokenizer, mlm_probability=case.rate, mask_decay=0.0)
    return BabyLMTrainer(
        build_model(case), args, collator, stream, processing_class=tokenizer, callbacks=[RecordCallback()]
    )


def plain_levers() -> dict[str, Any]:
    """The options that turn every lever off."""
    names = ("fast_attention", "fast_dropout", "short_last_layer", "chunked_loss", "keep_freed_memory")
    return dict.fromkeys(names, False)


def stepping(trainer: Any, pause: Any) -> None:
    """Train, with `pause()` after every step."""
    from transformers import TrainerCallback

    class Pause(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            pause()

    trainer.add_callback(Pause())
    trainer.train()


def run_variant(variant: str, case: Case, folder: Path, half: bool, pause: Any) -> None:
    """Trains one variant for ever, with `pause()` after every step."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        if variant.startswith("stock"):
            stepping(stock_trainer(case, folder, out, half), pause)
        elif variant == "raw":
            raw_loop(case, folder, half, pause)
        elif variant == "peak":
            multiply(half, pause)
        else:
            levers = {"ours": {}, "plain": plain_levers(), "compiled": {"torch_compile": True}}[variant]
            stepping(our_trainer(case, folder, out + "/run", half, **levers), pause)


def raw_loop(case: Case, folder: Path, half: bool, pause: Any) -> None:
    """The step by hand: rows, masks, forward at targets, backward, clipping, fused AdamW."""
    import numpy as np
    import torch

    from babylm_hf.masking import DataCollatorForCausalRows, DataCollatorForDecayingMasking
    from babylm_hf.models.attention_dropout import use_fast_attention_dropout
    from babylm_hf.models.deberta_attention import use_fast_attention
    from babylm_hf.models.dropout import use_fast_dropout
    from babylm_hf.objectives import objective_for
    from babylm_hf.training.allocator import keep_freed_memory

    stream, tokenizer = open_stream(folder)
    model = build_model(case).train()
    objective = objective_for(model)
    use_fast_attention(model)
    use_fast_dropout(model)
    use_fast_attention_dropout(model)
    keep_freed_memory()
    collator: Any = DataCollatorForCausalRows(tokenizer)
    if case.rate:
        collator = DataCollatorForDecayingMasking(tokenizer, mlm_probability=case.rate, mask_decay=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    order = np.random.default_rng(0).permutation(stream.num_rows(case.length) - 1)
    start = 0
    while True:
        start = (start + case.rows) % (len(order) - case.rows)
        rows = order[start : start + case.rows]
        batch: Any = {name: torch.from_numpy(values) for name, values in stream.fetch(case.length, rows).items()}
        batch["example_id"] = torch.from_numpy(rows)
        batch = objective.prepare(collator.training_batch(batch, pass_index=0, step=0))
        count = objective.count(batch)
        with torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext():
            loss = objective(batch).total() / count
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        pause()


# ------------------------------------------------------------------ one process each, in turn


def work(options: argparse.Namespace) -> None:
    """In the process of a variant: a turn of `--steps` steps for each line of standard input; says what it took."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Trainers print shall not stand among the answers
    state = {"begun": 0.0, "left": 1}
    clock = time.process_time if options.clock == "processor" else time.perf_counter

    def pause() -> None:
        state["left"] -= 1
        if state["left"] > 0:
            return
        import resource

        taken = clock() - state["begun"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe.write(json.dumps({"seconds": taken / options.steps, "peak_gb": peak / (1 << 20)}) + "\n")
        if not sys.stdin.readline():
            os._exit(0)
        state.update(begun=clock(), left=options.steps)

    run_variant(options.work, CASES[options.case], Path(options.folder), options.dtype == "bfloat16", pause)


class Worker:
    """The process of a variant; it has done a first step when this returns."""

    def __init__(self, variant: str, options: argparse.Namespace, folder: Path) -> None:
        environment = {**os.environ, **(TUNED if variant == "stock-tuned" else {})}
        command = [sys.executable, __file__, options.case, "--dtype", options.dtype, "--steps", str(options.steps)]
        command += ["--clock", options.clock, *(["--rows", str(options.rows)] if options.rows else [])]
        self.log = folder / f"{variant}.log"
        self.process = subprocess.Popen(
            [*command, "--work", variant, "--folder", str(folder)],
            env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("w"),
        )  # fmt: skip
        self.peak = 0.0
        self.answer()

    def answer(self) -> float:
        """Seconds a step of the turn that was asked for."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}\n{self.log.read_text()[-3000:]}")
        facts = json.loads(line)
        self.peak = facts["peak_gb"]
        return float(facts["seconds"])

    def turn(self) -> float:
        """A turn of steps; seconds a step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """All variants in turn; for each seconds a step, the ratio to the first ones, and peak memory."""
    names = options.variants
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(CASES[options.case], folder)
        workers = {variant: Worker(variant, options, folder) for variant in names}
        seconds: dict[str, list[float]] = {variant: [] for variant in names}
        for turn in range(options.warmup + options.rounds):
            for variant in names if turn % 2 == 0 else names[::-1]:
                taken = workers[variant].turn()
                if turn >= options.warmup:
                    seconds[variant].append(taken)
        for worker in workers.values():
            assert worker.process.stdin is not None
            worker.process.stdin.close()
            worker.process.wait()
    found = {}
    for variant in names:
        ratios = {r: spread(seconds[r], seconds[variant]) for r in names if r.startswith("stock")}
        found[variant] = {"seconds": median(seconds[variant]), "peak_gb": workers[variant].peak, "times": ratios}
        if "peak" in names:
            work = PEAK_WORK if variant == "peak" else useful_work(CASES[options.case])
            shares = [
                work / own / (PEAK_WORK / best) for own, best in zip(seconds[variant], seconds["peak"], strict=True)
            ]
            found[variant] |= {"speed": work / median(seconds[variant]), "share": median(shares)}
    return found


def useful_work(case: Case) -> float:
    """Operations of the products that a step of the case needs."""
    return needed(build_model(case), case.rows, case.length, case.rate)


def spread(rival: list[float], mine: list[float]) -> list[float]:
    """How many times as fast: quartiles of the ratio over the rounds."""
    ratios = [theirs / own for theirs, own in zip(rival, mine, strict=True)]
    return quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3


def profile(options: argparse.Namespace) -> None:
    """The costliest operators of a variant's step, in this process."""
    import torch

    recorder = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    steps = 0

    def pause() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            recorder.start()
        if steps == 6:
            recorder.stop()
            print(recorder.key_averages().table(sort_by="self_cpu_time_total", row_limit=options.top))
            sys.stdout.flush()
            os._exit(0)

    with tempfile.TemporaryDirectory() as name:
        prepare(CASES[options.case], Path(name))
        run_variant(options.profile, CASES[options.case], Path(name), options.dtype == "bfloat16", pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["stock", "stock-tuned", "ours"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--rows", type=int, help="fewer or more rows than the case has")
    parser.add_argument("--steps", type=int, default=1, help="steps a turn")
    parser.add_argument(
        "--clock", choices=["wall", "processor"], default="wall",
        help="processor time is what a busy machine can tell; with OMP_NUM_THREADS=1, as waiting threads take some too",
    )  # fmt: skip
    parser.add_argument("--profile", choices=VARIANTS)
    parser.add_argument("--top", type=int, default=18, help="operators shown of a profile")
    parser.add_argument("--work", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows:
        CASES[options.case] = replace(CASES[options.case], rows=options.rows)
    if options.work:
        work(options)
    elif options.profile:
        profile(options)
    else:
        case = CASES[options.case]
        tokens = case.rows * case.length
        print(f"{options.case} {case.rows} x {case.length}, {options.dtype}, {options.rounds} rounds", flush=True)
        for variant, facts in compare(options).items():
            if variant == "peak":
                print(f"{variant:>12}: {facts['speed'] / 1e9:8.0f} GFLOP/s")
                continue
            times = "   ".join(f"{q[1]:.2f} [{q[0]:.2f} .. {q[2]:.2f}] x {r}" for r, q in facts["times"].items())
            print(
                f"{variant:>12}: {1e3 * facts['seconds']:8.1f} ms/step {tokens / facts['seconds']:9.0f} tokens/s "
                f"{facts['peak_gb']:5.2f} GB   {times}"
                + (f"   {100 * facts['share']:.0f} % of peak" if "share" in facts else "")
            )


if __name__ == "__main__":
    main()
