"""`babylm-hf finetune`: fine-tune a model on GLUE and SuperGLUE tasks."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf finetune`."""
    finetune = commands.add_parser("finetune", help="fine-tune a model on GLUE and SuperGLUE tasks")
    finetune.add_argument("model", help="folder or Hub id")
    finetune.add_argument("--tasks", nargs="+", default=["all"], help="boolq mnli mrpc multirc qqp rte wsc, or all")
    finetune.add_argument("--data", required=True, help="folder of the task files, or evaluation_data")
    finetune.add_argument("--seeds", nargs="+", type=int, default=[42], help="one run each; the official one is 42")
    finetune.add_argument(
        "--selection",
        choices=("official", "held_out"),
        default="official",
        help="choose the epoch on the validation file, which is also what is scored, or on a tenth of the training set",
    )
    finetune.add_argument(
        "--pooling",
        choices=("auto", "first", "last"),
        default="auto",
        help="token to classify: first (p25), last (p26), auto: last of causal models, first of others",
    )
    finetune.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    finetune.add_argument("--trust_remote_code", action="store_true", help="run the code that comes with the model")
    finetune.add_argument("--output_dir", help="where results are kept and found again; finetuning/MODEL without it")
    finetune.add_argument("--official-results", metavar="DIR", help="write the official result tree here too")
    finetune.add_argument("--max_train_examples", type=int, default=0, help="quick look: only the first so many")
    finetune.add_argument("--learning_rate", type=float, default=3e-5, help="official: 3e-5")
    finetune.add_argument("--batch_size", type=int, help="official: 32, of boolq and multirc 16")
    finetune.add_argument("--epochs", type=int, help="official: 10, of wsc 30")
    finetune.add_argument("--max_length", type=int, default=512, help="official: 512")
    finetune.add_argument("--json", action="store_true", help="print JSON")
    finetune.set_defaults(action=finetune_and_report)


def finetune_and_report(options: argparse.Namespace) -> None:
    """Fine-tune, print the scores, and end with an error if a task failed."""
    from ..errors import BabyLMError
    from ..evaluation.finetuning import Settings, finetune_model

    names = ("selection", "pooling", "max_train_examples", "learning_rate", "batch_size", "epochs", "max_length")
    name = Path(options.model).name
    run = finetune_model(
        options.model,
        options.tasks,
        options.data,
        seeds=options.seeds,
        settings=Settings(**{name: getattr(options, name) for name in names}),
        revision=options.revision,
        trust_remote_code=options.trust_remote_code,
        output_dir=options.output_dir or Path("finetuning", name, *filter(None, [options.revision])),
        official_results=options.official_results,
        progress=sys.stderr.isatty(),
    )
    if options.json:
        print(json.dumps(run.to_dict(), indent=1))
    elif run.results:
        print(_report(run, options.selection))
    for warning in run.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if run.failures:
        failed = "; ".join(f"{label}: {reason}" for label, reason in run.failures.items())
        others = "the others are above" if run.results else "there are no results"
        raise BabyLMError(f"{len(run.failures)} failed, {others}. {failed}")


def _report(run: Any, selection: str) -> str:
    """The table, and under it how the numbers came about."""
    from ..evaluation.report import render_table

    lines = [render_table(run.rows()), "chance here: the best constant answer; ±: standard deviation over seeds"]
    if selection == "official":
        lines.append("As officially, the epoch is chosen on the file that is scored: scores are too")
        lines.append("high. At the last epoch, without that choice:")
        lines += [f"  {result.task}, seed {result.seed}: {_last(result)}" for result in run.results]
    return "\n".join(lines)


def _last(result: Any) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in result.last.items())
