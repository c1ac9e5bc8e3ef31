"""`babylm-hf masks`: which tokens a run masks, now or at any step, and how that changed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import OptionError

_BAR = 30


def add(commands: Any) -> None:
    """`babylm-hf masks`."""
    masks = commands.add_parser("masks", help="with which probability each token of a sentence is masked by a run")
    masks.add_argument("run", type=Path, help="the output folder of a recipe, finished or not")
    masks.add_argument("sentence", nargs="?", help="any text")
    masks.add_argument(
        "--step",
        type=int,
        help="at this optimizer step, for rates that change; the policy's weights are the last saved",
    )
    masks.add_argument("--figures", type=Path, metavar="DIR", help="draw the rate and the weights over the run")
    masks.add_argument("--png", type=Path, metavar="FILE", help="draw the probabilities of the sentence")
    masks.add_argument("--json", action="store_true", help="print JSON")
    masks.set_defaults(action=show_masks)


def show_masks(options: argparse.Namespace) -> None:
    """Print the probabilities, draw the figures, or both."""
    if options.sentence is None and options.figures is None:
        raise OptionError('say what to show: a sentence in quotation marks, or --figures DIR; see "babylm-hf masks -h"')
    if options.png is not None and options.sentence is None:
        raise OptionError("--png draws the masks of a sentence; give one in quotation marks")
    if options.figures is not None:
        _draw(options.run, options.figures)
    if options.sentence is not None:
        _sentence(options)


def _sentence(options: argparse.Namespace) -> None:
    from ..masking.inspection import sentence_probabilities
    from ..masking.saved import load_masking

    tokenizer = _tokenizer(options.run)
    saved = load_masking(options.run / "record", tokenizer)
    step = saved.step if options.step is None else options.step
    if not 0 <= step <= saved.total_steps:
        raise OptionError(f"--step {step} is not in the run, which has {saved.total_steps:,} steps")
    step = min(step, saved.total_steps - 1)
    tokens = sentence_probabilities(
        saved.collator,
        tokenizer,
        options.sentence,
        step=step,
        pass_index=saved.pass_index,
        total_steps=saved.total_steps,
    )
    title = f"{options.run.name}, step {step + 1:,} of {saved.total_steps:,}"
    if options.png is not None:
        from ..inspection.figures import mask_picture
        from .inspect import write_picture

        write_picture(options.png, mask_picture(tokens, title))
    if options.json:
        print(json.dumps({"step": step, "tokens": [vars(token) for token in tokens]}, ensure_ascii=False, indent=1))
        return
    highest = max((token.probability for token in tokens), default=0.0) or 1.0
    width = max((len(token.shown) for token in tokens), default=5)
    print(title)
    for token in tokens:
        bar = "#" * round(_BAR * token.probability / highest)
        print(f"{token.shown:<{width}}  {100 * token.probability:5.1f} %  {bar}".rstrip())


def _tokenizer(run: Path) -> Any:
    """The tokenizer beside the final model, or in a milestone or checkpoint of a run that is not finished."""
    from ..corpus import load_tokenizer
    from ..errors import RunFolderError

    folders = [run, *sorted(run.glob("chck_*")), *sorted(run.glob("checkpoint-*"))]
    for folder in folders:
        if (folder / "tokenizer.json").is_file():
            return load_tokenizer(folder)
    raise RunFolderError(f"{run} has no tokenizer yet: neither a final model nor a milestone nor a checkpoint")


def _draw(run: Path, folder: Path) -> None:
    from ..publishing import ModelCardRenderer, RunRecord

    renderer = ModelCardRenderer(RunRecord.open(run / "record"))
    found = [drawing for drawing in renderer.drawings() if drawing.name != "learning_curve"]
    if not found:
        raise OptionError(f"{run} has no masks to draw: its record holds fewer than two log lines with a mask rate")
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in found:
        (folder / f"{drawing.name}.png").write_bytes(drawing.draw())
        print(f"{folder / drawing.name}.png: {drawing.alt}")
