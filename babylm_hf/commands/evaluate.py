"""`babylm-hf evaluate`: score a model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf evaluate`."""
    evaluate = commands.add_parser("evaluate", help="score minimal pairs")
    evaluate.add_argument("model", help="folder or Hub id")
    evaluate.add_argument("--data", required=True, help="folder of BLiMP-format .jsonl files")
    evaluate.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    evaluate.add_argument("--backend", choices=("auto", "mlm", "causal"), default="auto")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.set_defaults(action=evaluate_pairs)


def evaluate_pairs(options: argparse.Namespace) -> None:
    """Score minimal pairs and print the accuracy by paradigm."""
    from ..evaluation import evaluate_model

    tasks = {Path(options.data).name: options.data}
    progress = sys.stderr.isatty()
    scored = evaluate_model(options.model, tasks, backend=options.backend, revision=options.revision, progress=progress)
    (results,) = scored.values()
    if options.json:
        print(json.dumps(results.to_dict(), indent=1))
        return
    width = max(map(len, results.by_paradigm()))
    for paradigm, accuracy in results.by_paradigm().items():
        print(f"{paradigm:<{width}}  {100 * accuracy:5.1f}")
    print(
        f"{'mean over paradigms':<{width}}  {100 * results.accuracy():5.1f}   {len(results.pairs):,} pairs, chance 50"
    )
