"""Masking speed on one thread, in tokens a second, against the stock collator of transformers.

    python benchmarks/masking.py [--rows 64 --seq 128 --rate 0.15 --rounds 15]

Both make everything a model needs of a batch: padded ids, attention mask, corrupted ids, labels. Ours is timed in the
two ways it is used: called on examples (a plain Trainer), and as the mask step on rows that come from the token stream
as one array (BabyLMTrainer), for every method, with weights in place where a policy has any. The variants run in turn,
forwards and backwards; the figures are medians over rounds, the ratio is the median of each round's ratio. Random ids
serve as text: no variant's time depends on the words.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

STOCK = "stock collator, lists"


def make_tokenizer(vocab_size: int) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    pieces = {piece: i for i, piece in enumerate([*special, *(f"w{i}" for i in range(vocab_size - 5))])}
    names = {f"{n[1:-1].lower()}_token": n for n in special}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(pieces, "[UNK]")), **names)


def collators(tokenizer: Any, rate: float, random: np.random.Generator) -> dict[str, Any]:
    """Every method, with a policy that has something to go by."""
    from babylm_hf import masking as m

    size = len(tokenizer)
    counts = np.maximum(1e6 / np.arange(1, size + 1), 1).astype(np.int64)
    names = [
        f"{'##' if i % 3 == 0 else ''}{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{i % 7 * 'e'}n" for i in range(size)
    ]
    features = m.TokenFeatures.of(names)
    starts = np.arange(size) % 3 != 0
    words = m.WordBoundaries(starts, ~starts & False, ~starts & False)
    made = {
        "uniform": m.DataCollatorForDecayingMasking(tokenizer, rate, 0.0),
        "uniform, exact count": m.DataCollatorForGuidedMasking(tokenizer, "random", rate),
        "adaptive": m.DataCollatorForDynamicMasking(tokenizer, mlm_probability=rate),
        "frequency": m.DataCollatorForFrequencyMasking(tokenizer, counts, rate, curriculum=False),
        "whole words": m.MaskingCollator(
            tokenizer, rate=m.ConstantRate(rate), policy=m.WholeWordPolicy(boundaries=words)
        ),
        "spans": m.MaskingCollator(tokenizer, rate=m.ConstantRate(rate), policy=m.SpanPolicy(boundaries=words)),
    }
    for schedule in ("linear", "cosine", "bimodal"):
        made[f"diffusion, {schedule}"] = m.DataCollatorForDiffusionMasking(tokenizer, schedule)
    made["diffusion, cosine and frequency"] = m.DataCollatorForDiffusionMasking(
        tokenizer, "cosine", token_counts=counts, curriculum=False
    )
    for kind in ("accuracy_morph", "entity_accuracy_morph", "cms_morph", "hhm", "frequency_only", "random_sketch"):
        made[kind] = m.DataCollatorForGuidedMasking(
            tokenizer, kind, rate, features=features, warmup=0, token_counts=counts
        )
    made["adaptive"].policy.weights = (random.uniform(0.5, 1.5, size) * rate).astype(np.float32)
    for kind in ("accuracy_morph", "entity_accuracy_morph"):
        seen = random.integers(0, 200, size)
        made[kind].policy.learn(seen, (seen * random.random(size)).astype(np.int64))
    made["hhm"].policy.learn(np.arange(size), random.exponential(3, size))
    made["cms_morph"].policy.hard.add(random.integers(0, 50, size))
    made["cms_morph"].policy.load_state(made["cms_morph"].policy.state())
    for collator in made.values():
        collator.total_steps = 10_000
        collator.begin_pass(0, first_step=5_000)
    return made


def variants(rows: int, seq: int, rate: float, vocab_size: int) -> dict[str, Callable[[], Any]]:
    from transformers import DataCollatorForLanguageModeling

    tokenizer = make_tokenizer(vocab_size)
    random = np.random.default_rng(0)
    ids = random.integers(5, vocab_size, (rows, seq))
    ids[:, 0], ids[:, -1] = 1, 2
    special = (ids < 5).astype(int)
    lists = [{"input_ids": row.tolist()} for row in ids]
    with_special = [
        {"input_ids": a.tolist(), "special_tokens_mask": b.tolist()} for a, b in zip(ids, special, strict=True)
    ]
    stock = DataCollatorForLanguageModeling(tokenizer, mlm_probability=rate)
    stock_numpy = DataCollatorForLanguageModeling(tokenizer, mlm_probability=rate, return_tensors="np")

    numbered = [{**row, "example_id": i} for i, row in enumerate(lists)]
    arrays = [{"input_ids": row, "example_id": i} for i, row in enumerate(ids)]
    stream = {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.ones(rows, seq, dtype=torch.int64),
        "example_id": torch.arange(rows),
        "places": torch.arange(rows),
        "step_rows": rows,
    }
    made = collators(tokenizer, rate, random)

    def step(collator: Any) -> Callable[[], Any]:
        return lambda: collator.mask(stream, pass_index=0, step=5_000)

    return {
        STOCK: lambda: stock(lists),
        "stock collator, lists + special mask": lambda: stock(with_special),
        "stock collator, numpy": lambda: stock_numpy(with_special),
        "uniform, examples as lists": lambda: made["uniform"](numbered),
        "uniform, examples as arrays": lambda: made["uniform"](arrays),
        "adaptive, examples as arrays": lambda: made["adaptive"](arrays),
        **{f"{name}, mask step": step(collator) for name, collator in made.items()},
    }


def seconds(call: Callable[[], Any], at_least: float) -> float:
    """Seconds a call, over as many calls as fill `at_least` seconds."""
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < at_least:
        call()
        count += 1
    return spent / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--vocab_size", type=int, default=30522)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slice", type=float, default=0.05, help="seconds of each variant in each round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    calls = variants(options.rows, options.seq, options.rate, options.vocab_size)
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(options.rounds):
        for name in list(calls) if turn % 2 == 0 else reversed(calls):
            times[name].append(seconds(calls[name], options.slice))
    tokens = options.rows * options.seq
    print(f"{options.rows} x {options.seq} tokens, rate {options.rate}, one thread, {options.rounds} rounds")
    for name, spent in times.items():
        ratios = sorted(s / t for s, t in zip(times[STOCK], spent, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        speed = tokens / statistics.median(spent) / 1e6
        print(f"{name:44s} {speed:7.2f} M tokens/s   {statistics.median(ratios):5.1f} x  [{low:.1f} .. {high:.1f}]")


if __name__ == "__main__":
    main()
