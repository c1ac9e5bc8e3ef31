"""Speed of zero-shot scoring on one thread, in items a second of processor time, against plain scorers.

    python benchmarks/scoring.py [--data blimp_fast/] [--pairs 512] [--stories 2] [--checkpoints 19] [--rounds 3]
    python benchmarks/scoring.py --bf16 --only masked causal    # ours in bfloat16, the rival still in float32

The rivals do what the official pipeline does: candidates of 64 items at a time, padded together, a forward for every
masked token in slices of 64 (masked models) or one for every candidate (causal models), a log-softmax over the whole
vocabulary at every position. Both get the tokenised items; models have random weights, on which no time depends.

Four comparisons: minimal pairs for a BERT of 11 M and for a LLaMA of 26 M; entity tracking for the LLaMA, on stories
made here to the measure of the official set (five options; a story is told on, and asked about every box at every
length); and many checkpoints of the BERT, from disk, against the sum of their pure scoring times. The variants run in
turn, forwards and backwards; a ratio is the median over rounds, with the lowest and highest. Scores are compared too,
and decisions that come out otherwise are counted. Pairs are neighbours, 64 at a time from all over the set: that
is how a run over everything meets them. A set of a hundred pairs shares less and pays the trials of a model in full.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

BATCH = 64


def language_model(family: str, vocabulary: int) -> Any:
    import transformers

    torch.manual_seed(0)
    if family == "bert":  # the sizes of the Accuracy-Morph seed model
        config = transformers.BertConfig(
            vocab_size=30_522, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
        )
        return transformers.BertForMaskedLM(config).eval()
    config = transformers.LlamaConfig(
        vocab_size=max(vocabulary, 16_384), hidden_size=384, num_hidden_layers=6, num_attention_heads=6,
        intermediate_size=1536, max_position_embeddings=512,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def toy_items(count: int) -> list[tuple[str, ...]]:
    from babylm_hf.corpus.toy import toy_minimal_pairs

    per_paradigm = toy_minimal_pairs(max(2, count // 8), 0)
    rows = [row for rows in zip(*per_paradigm.values(), strict=False) for row in rows]
    return [(row["sentence_good"], row["sentence_bad"]) for row in rows[:count]]


def stories(count: int, seed: int = 0) -> list[tuple[str, tuple[str, ...]]]:
    """(prefix, options): each story is told with 0 to 5 operations and ends in a question about each of seven boxes."""
    draw = np.random.default_rng(seed)
    names = "apple ball bell bone book boot card clock coat crown cup dress drum fan fish game hat key lamp map"
    things = names.split()

    def some() -> str:
        return " and ".join(f"the {thing}" for thing in draw.choice(things, draw.integers(1, 4), replace=False))

    found = []
    for _ in range(count):
        told = ", ".join(f"Box {box} contains {some()}" for box in range(7)) + "."
        for _ in range(6):
            for box in range(7):
                found.append((f"{told} Box {box} contains ", tuple(f"{some()}." for _ in range(5))))
            a, b = draw.choice(7, 2, replace=False)
            told += f" Move the contents of Box {a} to Box {b}. Put {some()} into Box {a}."
    return found


@torch.no_grad()
def plain_masked(model: Any, tokenizer: Any, items: list[tuple[str, ...]]) -> np.ndarray:
    pad = torch.nn.utils.rnn.pad_sequence
    scores = np.zeros((len(items), len(items[0])))
    for start in range(0, len(items), BATCH):
        for candidate in range(len(items[0])):
            rows, places, targets, owners = [], [], [], []
            for number, item in enumerate(items[start : start + BATCH]):
                ids = tokenizer(item[candidate])["input_ids"]
                for place in range(1, len(ids) - 1):
                    row = torch.tensor(ids)
                    row[place] = tokenizer.mask_token_id
                    rows, places = [*rows, row], [*places, place]
                    targets, owners = [*targets, ids[place]], [*owners, start + number]
            ids, mask = pad(rows, batch_first=True), pad([torch.ones_like(row) for row in rows], batch_first=True)
            for first in range(0, len(rows), BATCH):
                part = slice(first, first + BATCH)
                logits = model(input_ids=ids[part], attention_mask=mask[part]).logits
                chosen = logits[torch.arange(len(logits)), torch.tensor(places[part])].log_softmax(-1)
                values = chosen.gather(1, torch.tensor(targets[part])[:, None])[:, 0]
                np.add.at(scores[:, candidate], owners[part], values.numpy())
    return scores


@torch.no_grad()
def plain_causal(model: Any, tokenizer: Any, items: list[tuple[str, ...]], starts: list[int]) -> np.ndarray:
    pad = torch.nn.utils.rnn.pad_sequence
    scores = np.zeros((len(items), len(items[0])))
    for start in range(0, len(items), BATCH):
        for candidate in range(len(items[0])):
            encoded = [tokenizer(item[candidate], return_offsets_mapping=True) for item in items[start : start + BATCH]]
            ids = pad([torch.tensor(row["input_ids"]) for row in encoded], batch_first=True)
            mask = pad([torch.ones(len(row["input_ids"]), dtype=torch.long) for row in encoded], batch_first=True)
            scored = pad(
                [
                    torch.tensor([float(end > first) for _, end in row["offset_mapping"]])
                    for row, first in zip(encoded, starts[start : start + BATCH], strict=True)
                ],
                batch_first=True,
            )
            logits = model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1]).logits.log_softmax(-1)
            values = logits.gather(-1, ids[:, 1:, None])[..., 0] * scored[:, 1:]
            scores[start : start + len(encoded), candidate] = values.sum(1).numpy()
    return scores


def compare(
    name: str, items: int, ours: Callable[[], np.ndarray], plain: Callable[[], np.ndarray], rounds: int
) -> None:
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    found: dict[str, np.ndarray] = {}
    ours()  # page in
    for number in range(rounds):
        order = [("ours", ours), ("plain", plain)]
        for label, run in order if number % 2 == 0 else order[::-1]:
            start = time.process_time()
            found[label] = run()
            times[label].append(time.process_time() - start)
    ratios = [p / o for o, p in zip(times["ours"], times["plain"], strict=True)]
    rates = {label: items / statistics.median(taken) for label, taken in times.items()}
    largest = float(np.abs(found["ours"] - found["plain"]).max())
    otherwise = int(np.sum(found["ours"].argmax(1) != found["plain"].argmax(1)))
    print(
        f"{name:<34} {rates['ours']:8.1f} items/s  plain {rates['plain']:7.1f}  "
        f"x {statistics.median(ratios):5.2f} [{min(ratios):.2f}..{max(ratios):.2f}]  "
        f"largest difference {largest:.1e}, {otherwise} of {items} decided otherwise",
        flush=True,
    )


def checkpoints(model: Any, tokenizer: Any, pairs: list[tuple[str, ...]], count: int) -> None:
    from babylm_hf.evaluation import evaluate_tasks

    with tempfile.TemporaryDirectory() as folder:
        import json

        for number in range(count):
            place = Path(folder, "run", f"chck_{number + 1}M")
            model.save_pretrained(place)
            tokenizer.save_pretrained(place)
        data = Path(folder, "pairs.jsonl")
        rows = [{"sentence_good": good, "sentence_bad": bad} for good, bad in pairs]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        start = time.perf_counter()
        found = evaluate_tasks(Path(folder, "run"), [f"pairs={data}"], milestones=[])
        whole, pure = time.perf_counter() - start, sum(result.seconds for result in found)
    print(f"{count} checkpoints: {whole:.1f} s in all, {pure:.1f} s of it scoring: x {whole / pure:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of pairs in BLiMP's form; pairs of the toy language without it")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--stories", type=int, default=2)
    parser.add_argument("--checkpoints", type=int, default=19)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="score in bfloat16, against the rival in float32")
    parser.add_argument("--only", nargs="*", choices=("masked", "causal", "entity", "checkpoints"))
    options = parser.parse_args()
    torch.set_num_threads(1)

    from babylm_hf.corpus import train_tokenizer
    from babylm_hf.evaluation import Request, load_pairs, score_requests

    pairs = toy_items(options.pairs)
    if options.data:
        listed = load_pairs(options.data)
        blocks = max(1, options.pairs // BATCH)  # neighbours, as in a run over everything, from all over the set
        firsts = [number * len(listed) // blocks for number in range(blocks)]
        pairs = [(pair.good, pair.bad) for start in firsts for pair in listed[start : start + options.pairs // blocks]]
    told = stories(options.stories)
    text = [*(s for pair in pairs for s in pair), *(prefix + o for prefix, listed in told for o in listed)]
    tokenizer = train_tokenizer(iter([text]), "bpe", 4000)
    wanted = options.only or ("masked", "causal", "entity", "checkpoints")
    bert, llama = language_model("bert", len(tokenizer)), language_model("llama", len(tokenizer))

    fast = {model: copy.deepcopy(model).bfloat16() if options.bf16 else model for model in (bert, llama)}
    note = ", bf16" if options.bf16 else ""

    def ours(model: Any, backend: Any, items: list[tuple[str, ...]], starts: list[int]) -> np.ndarray:
        requests = [Request(s, start) for item, start in zip(items, starts, strict=True) for s in item]
        values = score_requests(fast[model], tokenizer, requests, backend=backend)
        return np.array([value.sum() for value in values]).reshape(len(items), -1)

    zeros = [0] * len(pairs)
    if "masked" in wanted:
        compare("pairs, BERT 11 M, mlm" + note, len(pairs), lambda: ours(bert, "mlm", pairs, zeros),
                lambda: plain_masked(bert, tokenizer, pairs), options.rounds)  # fmt: skip
    if "causal" in wanted:
        compare("pairs, LLaMA 26 M, causal" + note, len(pairs), lambda: ours(llama, "causal", pairs, zeros),
                lambda: plain_causal(llama, tokenizer, pairs, zeros), options.rounds)  # fmt: skip
    if "entity" in wanted:
        items = [tuple(prefix + option for option in listed) for prefix, listed in told]
        starts = [len(prefix) for prefix, _ in told]
        compare("entity tracking, LLaMA 26 M" + note, len(items), lambda: ours(llama, "causal", items, starts),
                lambda: plain_causal(llama, tokenizer, items, starts), options.rounds)  # fmt: skip
    if "checkpoints" in wanted:
        checkpoints(bert, tokenizer, pairs, options.checkpoints)


if __name__ == "__main__":
    main()
