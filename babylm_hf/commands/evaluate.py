"""`babylm-hf evaluate`: score checkpoints of a model on the zero-shot tasks of BabyLM."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf evaluate`."""
    evaluate = commands.add_parser(
        "evaluate",
        help="score checkpoints on the zero-shot tasks",
        description="Score checkpoints of a model on BLiMP and the other zero-shot tasks of BabyLM, with the official "
        "numbers, from one process.",
    )
    evaluate.add_argument("model", help="folder or Hub id")
    evaluate.add_argument(
        "--tasks",
        nargs="+",
        default=[],
        metavar="TASK",
        help="blimp supplement ewok entity_tracking comps wug_adj wug_past global_piqa_parallel "
        "global_piqa_nonparallel reading aoa toy_pairs, NAME=FOLDER for data elsewhere or of your own in BLiMP's form; "
        "without it all that are found",
    )
    evaluate.add_argument("--data", help="the evaluation data: folder with full_eval or fast_eval, or a Hub data set")
    evaluate.add_argument("--revision", nargs="+", default=[None], help="branches on the Hub, such as chck_1M main")
    evaluate.add_argument(
        "--milestones",
        nargs="*",
        metavar="NAME",
        help="score the folders NAME in the folder of a run; without names all that are called chck_...",
    )
    evaluate.add_argument("--fast", action="store_true", help="the subsamples for checkpoints")
    evaluate.add_argument(
        "--backend",
        choices=("auto", "mlm", "causal", "mntp", "enc_dec_mask", "enc_dec_prefix"),
        default="auto",
        help="how the model is asked; auto goes by its architecture",
    )
    evaluate.add_argument("--state", choices=("p25", "p26"), default="p26", help="whose reading of the tasks")
    evaluate.add_argument(
        "--ties",
        choices=("first", "coin", "half"),
        help="equal scores: the first wins (p25), a coin (p26), or its expected value; without it the state's",
    )
    evaluate.add_argument("--bf16", action="store_true", help="compute in bfloat16: faster, for monitoring only")
    evaluate.add_argument("--floor", action="store_true", help="score the untrained model too")
    evaluate.add_argument("--official-results", metavar="DIR", help="write the official result tree here")
    evaluate.add_argument("--trust-remote-code", action="store_true", help="run code that the model brings along")
    evaluate.add_argument("--batch-tokens", type=int, default=8192, help="tokens in a batch")
    evaluate.add_argument(
        "--subsample",
        nargs="?",
        type=int,
        const=2000,
        metavar="N",
        help="also the accuracy on N items of each task (2,000 without a number), drawn with seed 0 evenly from the "
        "paradigms: to compare with scores published for samples",
    )
    evaluate.add_argument("--paradigms", action="store_true", help="print every paradigm")
    evaluate.add_argument("--figures", metavar="DIR", help="draw the scores by phenomenon, and over the words seen")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.set_defaults(action=evaluate_model)


def evaluate_model(options: argparse.Namespace) -> None:
    """Score, print a table or JSON for each checkpoint, and write the official files if asked."""
    from ..errors import OptionError
    from ..evaluation.checkpoint_report import draw_checkpoints, render_checkpoints
    from ..evaluation.evaluator import FLOOR, iter_evaluations
    from ..evaluation.report_text import render_evaluation

    if options.official_results and options.bf16:
        raise OptionError("--official-results needs scores in fp32: leave out --bf16.")
    if options.batch_tokens < 1:
        raise OptionError(f"--batch-tokens {options.batch_tokens}: a batch needs at least one token.")
    if options.subsample is not None and options.subsample < 1:
        raise OptionError(f"--subsample {options.subsample}: a sample needs at least one item.")
    if options.figures and Path(options.figures).is_file():
        raise OptionError(f"--figures {options.figures}: that is a file; name a folder.")
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()
    found, floor = [], None
    for result in iter_evaluations(
        options.model,
        options.tasks,
        options.data,
        revisions=options.revision,
        milestones=options.milestones,
        backend=options.backend,
        fast=options.fast,
        state=options.state,
        ties=options.ties,
        bf16=options.bf16,
        floor=options.floor,
        trust_remote_code=options.trust_remote_code,
        batch_tokens=options.batch_tokens,
        progress=sys.stderr.isatty(),
    ):
        found.append(result)
        if result.revision == FLOOR:
            floor = result
        elif not options.json:
            print(render_evaluation(result, floor, paradigms=options.paradigms), flush=True)
            for task, sample in _subsamples(result, options.subsample).items():
                accuracy, error = 100 * sample["accuracy"], 100 * sample["standard_error"]
                print(f"{task}: {accuracy:.1f} (standard error {error:.1f}) on {sample['items']:,} of its items")
    scored = [result for result in found if result is not floor]
    extra = _combined(found, options)
    if options.subsample:
        extra["subsamples"] = {str(result.revision): _subsamples(result, options.subsample) for result in found}
    if options.json:
        print(json.dumps({"evaluations": [result.to_dict() for result in found], **extra}, indent=1))
    elif len(scored) > 1:
        print(render_checkpoints(scored))
    if "aoa" in extra and not options.json:
        print(f"age of acquisition: {100 * extra['aoa']['aoa']:.1f} over {extra['aoa']['words']} words")
    if options.figures:
        for file in draw_checkpoints(scored, options.figures, floor):
            print(file, file=sys.stderr)
    if failures := {(result.revision, task) for result in found for task in result.failures}:
        print(f"{len(failures)} of the tasks asked for have no score; see above.", file=sys.stderr)
        sys.exit(1)


def _subsamples(result: Any, size: int | None) -> dict[str, Any]:
    """The accuracy on a sample of each task that has more items than that."""
    from ..evaluation.subsample import subsample

    told = {name: found.outcomes for name, found in result.results.items() if size and found.outcomes}
    return {name: sample for name, outcomes in told.items() if (sample := subsample(outcomes, size or 0))}


def _combined(found: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    """What needs all checkpoints: the age of acquisition, and the official files."""
    from ..evaluation.official import aoa_records, write_official_results
    from ..evaluation.tasks.aoa import aoa_score

    records = aoa_records(found)
    human, tokenizer = _human(options), None
    if records and human is not None:
        from transformers import AutoTokenizer

        place = Path(options.model)
        trust: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
        if not place.is_dir():
            trust["revision"] = records[-1]["step"]
        elif options.milestones is not None:
            place = place / str(records[-1]["step"])
        tokenizer = AutoTokenizer.from_pretrained(str(place), **trust)
    if options.official_results:
        for file in write_official_results(found, options.official_results, human=human, tokenizer=tokenizer):
            print(file, file=sys.stderr)
    if tokenizer is None or human is None:
        return {}
    return {"aoa": aoa_score(records, human, tokenizer, options.state)}


def _human(options: argparse.Namespace) -> Path | None:
    """The children's data beside the words of the task `aoa`, if it was asked for."""
    from ..evaluation.folders import data_root, load_task
    from ..evaluation.tasks.aoa import AoaTask

    asked = [name for name in options.tasks if name.partition("=")[0] == "aoa"]
    if not asked:
        return None
    root = data_root(options.data) if options.data else None
    task = load_task(asked[0], root, fast=options.fast, state=options.state)
    return task.human() if isinstance(task, AoaTask) else None
