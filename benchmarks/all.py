"""Every comparison of this folder that has a bar, one after the other, as a Markdown table.

    python benchmarks/all.py --out table.md                 # about an hour on two quiet cores
    python benchmarks/all.py --only startup masking         # some of them
    python benchmarks/all.py --text CORPUS_FOLDER --pairs blimp_fast/   # real text; the toy language without it

Each is a command of its own, whose variants take turns (see its docstring) so that a busy machine disturbs all alike;
figures are medians of ratios. Give the machine nothing else to do: what a rival loses to a neighbour is no speed-up.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NUMBER = r"([\d.]+)"


@dataclass(frozen=True)
class Comparison:
    """A command and the figures in what it prints.

    Attributes:
        name: for `--only`.
        command: file in this folder and its arguments.
        figures: what a figure is -> (pattern with one group in the output, the bar).
    """

    name: str
    command: list[str]
    figures: dict[str, tuple[str, str]]


def training(case: str, dtype: str, bars: dict[str, str], share: str = "") -> Comparison:
    """`training.py` with the variants that have a bar; all against the stock Trainer, with and without tuning.

    With `share`, the bar of it, also the share of the machine's peak that the needed products make.
    """
    figures = {}
    for variant, bar in bars.items():
        line = rf"^ *{variant}: .*"
        figures[f"{variant}, stock Trainer = 1"] = (rf"{line}?{NUMBER} \[[^\]]*\] x stock(?:\s|$)", bar)
        figures[f"{variant}, stock Trainer with our allocator settings = 1"] = (
            rf"{line} {NUMBER} \[[^\]]*\] x stock-tuned",
            "",
        )
    if share:
        figures["needed products, % of the peak of large ones"] = (rf"^ *ours: .* {NUMBER} % of peak", share)
    variants = ["stock", "stock-tuned", *bars, *(["peak"] if share else [])]
    command = ["training.py", case, "--dtype", dtype, "--variants", *variants]
    warmup = ["--warmup", "6"] if "compiled" in bars else []
    return Comparison(f"train-{case}-{dtype}", command + warmup, figures)


COMPARISONS = [
    training("bert", "float32", {"ours": "3.2", "raw": "ours / 0.9"}, share="70"),
    training("bert", "bfloat16", {"ours": "5.5", "compiled": ""}),
    training("deberta", "float32", {"ours": "3.2"}, share="60"),
    training("deberta", "bfloat16", {"ours": "4.5", "compiled": "5.5"}),
    training("llama", "float32", {"ours": "1.0"}),
    training("llama", "bfloat16", {"ours": "", "compiled": "1.5"}),
    Comparison(
        "overhead",
        ["training.py", "tiny", "--steps", "20", "--rounds", "15", "--variants", "stock", "ours", "raw"],
        {
            "1 M model, ms a step: stock Trainer": (rf"^ *stock: +{NUMBER} ms", ""),
            "ours": (rf"^ *ours: +{NUMBER} ms", "stock + 1"),
            "loop by hand": (rf"^ *raw: +{NUMBER} ms", ""),
        },
    ),
    Comparison(
        "diffusion-float32", ["diffusion_step.py"], {"step, reference = 1": (rf"{NUMBER} times the reference", "3.5")}
    ),
    Comparison(
        "diffusion-bfloat16",
        ["diffusion_step.py", "--dtype", "bfloat16"],
        {"step, reference = 1": (rf"{NUMBER} times the reference", "")},
    ),
    Comparison("masking", ["masking.py"], {"uniform masks, stock collator = 1": (rf"^uniform.*? {NUMBER} x", "20")}),
]


def startup(rounds: int = 7) -> list[tuple[str, str, str]]:
    """Seconds beyond those of an interpreter that does nothing, medians of alternating runs."""
    command = str(Path(sys.executable).with_name("babylm-hf"))
    runs = {
        "nothing": [sys.executable, "-c", "pass"],
        "import babylm_hf": [sys.executable, "-c", "import babylm_hf"],
        "babylm-hf --help": [command, "--help"],
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, line in runs.items():
            begun, used = time.perf_counter(), processor_seconds()
            subprocess.run(line, check=True, capture_output=True)
            seconds[name].append((time.perf_counter() - begun, processor_seconds() - used))
    found = {name: [statistics.median(kind) for kind in zip(*values, strict=True)] for name, values in seconds.items()}
    imported = [ours - bare for ours, bare in zip(found["import babylm_hf"], found["nothing"], strict=True)]
    rows = [("`import babylm_hf`", imported, "0.1 s"), ("`babylm-hf --help`", found["babylm-hf --help"], "1 s")]
    return [(what, f"{wall:.3f} s, processor {own:.3f} s", bar) for what, (wall, own), bar in rows]


def processor_seconds() -> float:
    """Of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scoring(data: str | None) -> list[Comparison]:
    """`scoring.py` on the pairs given, or on those of the toy language; in float32, and in bfloat16."""
    pairs = ["--data", data] if data else []

    def times(model: str, bar: str) -> dict[str, tuple[str, str]]:
        return {f"{model}, plain scorer = 1": (rf"^pairs, {model}.* x +{NUMBER} \[", bar)}

    whole = {
        **times("BERT", "4"),
        **times("LLaMA", "2"),
        "entity tracking, plain scorer = 1": (rf"^entity.* x +{NUMBER} \[", ""),
        "19 checkpoints, pure scoring = 1": (rf"scoring: x {NUMBER}", "at most 1.2"),
    }
    half = ["scoring.py", *pairs, "--bf16", "--only", "masked", "causal"]
    return [
        Comparison("scoring", ["scoring.py", *pairs], whole),
        Comparison("scoring-bfloat16", half, {**times("BERT", "10"), **times("LLaMA", "4")}),
    ]


def tokenising(text: str | None) -> Comparison:
    """`tokenise.py` on the text given, or on the toy language."""
    sources = [text] if text else [str(toy_text())]
    size = [] if text else ["--words", "1000000", "--vocab_size", "2000"]
    figures = {"text to cache, bare encode_batch = 1": (rf"^stream.*? {NUMBER} x bare", "at most 1.3")}
    return Comparison("tokenise", ["tokenise.py", *sources, *size], figures)


def toy_text() -> Path:
    """A file of toy sentences, in the folder for temporary files."""
    from babylm_hf.corpus.toy import toy_sentences

    path = Path(tempfile.mkdtemp()) / "toy.txt"
    path.write_text("\n".join(toy_sentences(200_000, 0)) + "\n", encoding="utf-8")
    return path


def run(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Rows of the table."""
    done = subprocess.run(
        [sys.executable, str(HERE / comparison.command[0]), *comparison.command[1:]], capture_output=True, text=True
    )
    print(done.stdout, flush=True)
    if done.returncode:
        return [(comparison.name, f"failed: {done.stderr.strip().splitlines()[-1][:80]}", "")]
    rows = []
    for what, (pattern, bar) in comparison.figures.items():
        found = re.search(pattern, done.stdout, re.MULTILINE)
        rows.append((f"{comparison.name}: {what}", found.group(1) if found else "not found", bar))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [comparison.name for comparison in COMPARISONS]
    more = ["scoring", "scoring-bfloat16", "tokenise"]
    parser.add_argument("--only", nargs="+", choices=["startup", *names, *more])
    parser.add_argument("--text", help="file or folder of text for the comparison of tokenising")
    parser.add_argument("--pairs", help="folder of minimal pairs in BLiMP's form for the comparison of scoring")
    parser.add_argument("--out", help="where the table is written; printed at the end in any case")
    options = parser.parse_args()
    wanted = options.only or ["startup", *names, *more]
    rows = startup() if "startup" in wanted else []
    for comparison in [
        *COMPARISONS,
        *scoring(options.pairs),
        *([tokenising(options.text)] if "tokenise" in wanted else []),
    ]:
        if comparison.name in wanted:
            rows += run(comparison)
    lines = ["| comparison | measured | bar |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    table = "\n".join(lines) + "\n"
    print(table)
    if options.out:
        Path(options.out).write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
