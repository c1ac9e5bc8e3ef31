"""Masking methods compared on one corpus, everything else equal: the table of docs/reproductions.md.

    python benchmarks/matched_masking.py DATA/train/*.train --validation_file DATA/dev/*.dev --out runs/matched

Each method trains a DeBERTa of about a million parameters, for each seed, on the same words in the same order: so many
words of every file, and toy language, on which grammar can be measured. Measured on the final model: the loss on
held-out text of the same files (never toy language) with masks that are the same for all, and the toy minimal pairs.
A run that is there already is not made again, so the table can be had at any time, and for more seeds later; several
of these commands with different `--seeds` may work on one folder at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

CONSTANT = ["--mlm_prob", "0.15"]
DECAYING = ["--mlm_prob", "0.40", "--mask_decay", "0.25"]
METHODS = ("regular", "hard", "soft", "frequency", "accuracy_morph")
RATES = {"constant": CONSTANT, "decaying": DECAYING}
COMMON = [
    *("--model", "deberta-tiny", "--hidden_size", "128", "--intermediate_size", "512", "--dropout", "0"),
    *("--tokenizer_algorithm", "wordpiece", "--vocab_size", "4000", "--lower"),
    *("--max_seq_len", "64", "--batch_size", "32", "--num_train_epochs", "3", "--mask_update_steps", "20"),
    *("--learning_rate", "1e-3", "--lr_scheduler_type", "linear", "--warmup_steps", "0.06"),
    *("--lamb", "false", "--adam_beta2", "0.98", "--weight_decay", "0.01", "--track", "none"),
    *("--milestones", "none", "--save_strategy", "no", "--max_eval_tokens", "100000"),
    *("--disable_tqdm", "true", "--logging_steps", "50"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train_file", nargs="+", type=Path)
    parser.add_argument("--validation_file", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--words", type=int, default=25_000, help="of every file")
    parser.add_argument("--toy_words", type=int, default=100_000)
    parser.add_argument("--table_only", action="store_true")
    options = parser.parse_args()

    text, pairs = make_text(options.out / "text", options.train_file, options.words, options.toy_words)
    for seed, method, rate in itertools.product(options.seeds, METHODS, RATES):
        if not options.table_only:
            train(options.out, text, pairs, options.validation_file, seed, method, rate)
    print(table(options.out))


def make_text(folder: Path, files: list[Path], words: int, toy_words: int) -> tuple[list[Path], Path]:
    """The beginning of every file and some toy language, and the toy pairs."""
    from babylm_hf.corpus.toy import write_toy_corpus

    folder.mkdir(parents=True, exist_ok=True)
    toy, _, pairs = write_toy_corpus(folder / "toy", toy_words)
    parts = [toy]
    for file in files:
        part, left = folder / file.name, words
        with file.open(encoding="utf-8") as source, part.open("w", encoding="utf-8") as target:
            for line in source:
                if left <= 0:
                    break
                target.write(line)
                left -= len(line.split())
        parts.append(part)
    return parts, pairs


def train(out: Path, text: list[Path], pairs: Path, held_out: list[Path], seed: int, method: str, rate: str) -> None:
    """One run in a process of its own, unless its folder is finished."""
    folder = out / f"{method}-{rate}-{seed}"
    if (folder / "README.md").is_file():
        return
    recipe = Path(__file__).parents[1] / "recipes" / "regular_mlm.py"
    command = [
        sys.executable, str(recipe), *COMMON, *RATES[rate], "--masking", method, "--seed", str(seed),
        "--output_dir", str(folder),
        "--train_file", *map(str, text), "--validation_file", *map(str, held_out), "--eval_pairs", str(pairs),
    ]  # fmt: skip
    print(" ".join([method, rate, str(seed)]), flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measured(folder: Path) -> dict[str, float]:
    """Held-out loss and accuracy of the pairs of the final model, from the record of a run."""
    lines = (folder / "record" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    final = {e["task"]: e["metrics"] for e in events if e["kind"] == "evaluation" and e.get("milestone") is None}
    loss = next(value for name, value in final["held_out"].items() if name.endswith("loss"))
    return {"loss": loss, "pairs": 100 * final["minimal_pairs"]["accuracy"]}


def table(out: Path) -> str:
    """Mean ± SD over seeds, and the difference to uniform masking at the same rate, seed by seed."""
    runs: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for folder in sorted(out.glob("*-*-*")):
        if (folder / "README.md").is_file():
            method, rate, seed = folder.name.rsplit("-", 2)
            runs.setdefault((method, rate), {})[int(seed)] = measured(folder)
    lines = [
        "| method | rate | seeds | held-out loss | difference | toy pairs, % | difference |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for method, rate in itertools.product(METHODS, RATES):
        scores = runs.get((method, rate), {})
        base = runs.get(("regular", rate), {})
        cells = [f"{method}", rate, str(len(scores))]
        for name, digits in (("loss", 3), ("pairs", 1)):
            values = np.array([scores[s][name] for s in sorted(scores)])
            cells.append(spread(values, digits))
            shared = sorted(set(scores) & set(base))
            paired = np.array([scores[s][name] - base[s][name] for s in shared])
            cells.append("" if method == "regular" else interval(paired, digits))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: Any, digits: int) -> str:
    """`mean ± standard deviation`."""
    if len(values) < 2:
        return "" if len(values) == 0 else f"{values[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def interval(differences: Any, digits: int) -> str:
    """Mean difference with its 95 % interval by Student's t over seeds; bold where the interval excludes 0."""
    from scipy.stats import t

    n = len(differences)
    if n < 2:
        return ""
    half = float(t.ppf(0.975, n - 1)) * differences.std(ddof=1) / np.sqrt(n)
    mean = differences.mean()
    text = f"{mean:+.{digits}f} [{mean - half:+.{digits}f}, {mean + half:+.{digits}f}]"
    return f"**{text}**" if abs(mean) > half else text


if __name__ == "__main__":
    main()
