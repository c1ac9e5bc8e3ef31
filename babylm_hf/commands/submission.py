"""`babylm-hf submission`: put the official result files of a model together for the leaderboard."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf submission`."""
    submission = commands.add_parser(
        "submission",
        help="collate official results for the BabyLM leaderboard",
        description="Collate the result tree of `babylm-hf evaluate --official-results` and of fine-tuning into the "
        "file that the leaderboard takes. Sizes are checked first.",
    )
    submission.add_argument("model", help="folder or Hub id, as it was evaluated")
    submission.add_argument("--results", default="results", metavar="DIR", help="the official result tree")
    submission.add_argument(
        "--backend", required=True, choices=("mlm", "causal", "mntp", "enc_dec_mask", "enc_dec_prefix")
    )
    submission.add_argument("--track", choices=("strict-small", "strict", "interaction"), default="strict-small")
    submission.add_argument("--state", choices=("p25", "p26"), default="p26", help="whose schema")
    submission.add_argument("--revision", default="main", help="branch of the final model")
    submission.add_argument("--data", help="evaluation data with fast_eval: adds the scores of checkpoints")
    submission.add_argument("--output", metavar="FILE", help="where to write; without it the official place")
    submission.add_argument("--json", action="store_true", help="print JSON")
    submission.set_defaults(action=write)


def write(options: argparse.Namespace) -> None:
    """Write the submission; what is missing is named."""
    from ..evaluation.submission import write_submission

    file, problems = write_submission(
        options.model,
        options.results,
        backend=options.backend,
        track=options.track,
        state=options.state,
        revision=options.revision,
        fast_data=options.data,
        output=options.output,
    )
    if options.json:
        print(json.dumps({"file": str(file), "missing": list(problems)}, indent=1))
        return
    for problem in _once(problems):
        print(f"missing: {problem}", file=sys.stderr)
    print(file)


def _once(problems: Sequence[str]) -> list[str]:
    """The problems, with one that several milestones have told once: `results/m/{chck_1M,chck_2M}/...`."""
    milestones: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        before, name, after = [*re.split(r"(?<=/)(chck_\w+)(?=/)", problem, maxsplit=1), "", ""][:3]
        milestones.setdefault((before, after), []).append(name)
    return [
        before + (f"{{{','.join(names)}}}" if len(names) > 1 else names[0]) + after
        for (before, after), names in milestones.items()
    ]
