"""`babylm-hf generate`: let a model write, or fill the masks of a text."""

from __future__ import annotations

import argparse
import json
import secrets
from typing import Any

from ..terminal import harmless

_SAMPLING = (
    "sampler",
    "steps",
    "schedule",
    "temperature",
    "top_p",
    "confidence",
    "threshold",
    "remasking",
    "eta",
    "block_length",
)


def add(commands: Any) -> None:
    """`babylm-hf generate`."""
    generate = commands.add_parser("generate", help="let a model write, or fill the masks of a text")
    generate.add_argument("model", help="folder or Hub id of a diffusion, masked or causal model")
    what = generate.add_mutually_exclusive_group()
    what.add_argument("--prompt", default="", help="text to continue; without it the model begins one")
    what.add_argument("--infill", metavar="TEXT", help='fill the masks of a text: "The [MASK] sleeps."')
    generate.add_argument("--num", type=int, default=1, help="texts to write")
    generate.add_argument("--max_new_tokens", type=int, default=64, help="most tokens after the prompt")
    generate.add_argument("--stop", choices=("eos", "length"), help="end at end-of-text, or at --max_new_tokens only")
    generate.add_argument("--temperature", type=float, default=1.0, help="0: always the most probable token")
    generate.add_argument("--top_p", type=float, default=1.0, help="draw among the tokens of this probability mass")
    generate.add_argument("--seed", type=int, help="of all draws; a new one each time without it")
    _add_sampler(generate.add_argument_group("diffusion and masked models"))
    generate.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    generate.add_argument("--trust_remote_code", action="store_true", help="run the code that comes with the model")
    generate.add_argument("--json", action="store_true", help="print JSON")
    generate.set_defaults(action=write_texts)


def _add_sampler(group: Any) -> None:
    group.add_argument("--sampler", choices=("ancestral", "confidence", "threshold", "remasking"))
    group.add_argument("--steps", type=int, help="steps from all masks to none; one a token without it")
    group.add_argument(
        "--schedule",
        choices=("linear", "cosine", "cosine_squared", "maskgit"),
        help="how the masks get fewer: linear, many tokens early (cosine), or few early (maskgit)",
    )
    group.add_argument(
        "--confidence",
        choices=("probability", "margin", "entropy", "random"),
        help="of --sampler confidence: what comes first",
    )
    group.add_argument("--threshold", type=float, help="of --sampler threshold: reveal what is more probable; .9")
    group.add_argument("--remasking", choices=("cap", "rescale", "confidence"), help="of --sampler remasking")
    group.add_argument("--eta", type=float, help="of --sampler remasking: how much turns into masks again; .04")
    group.add_argument("--block_length", type=int, help="write this many tokens after another, left to right")
    group.add_argument("--show_steps", action="store_true", help="show the drafts as they come about")


def write_texts(options: argparse.Namespace) -> None:
    """Load the model, write, and print."""
    from ..evaluation.models import load_for_scoring
    from ..models.remote_code import trust_option
    from ..models.text_generation import generate_texts, infill_texts

    trusted = trust_option(options.model, options.trust_remote_code)
    model, tokenizer = load_for_scoring(options.model, revision=options.revision, trust_remote_code=trusted)
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    sampling = {name: getattr(options, name) for name in _SAMPLING if getattr(options, name) is not None}
    drafts: list[list[str]] = []
    shared = {
        "num": options.num,
        "seed": seed,
        "on_draft": _watcher(drafts, quiet=options.json) if options.show_steps else None,
        **sampling,
    }
    if options.infill is not None:
        texts = infill_texts(model, tokenizer, options.infill, **shared)
    else:
        texts = generate_texts(
            model,
            tokenizer,
            options.prompt,
            max_new_tokens=options.max_new_tokens,
            stop=options.stop,
            **shared,
        )
    if options.json:
        written = [{"text": t.text, "new_tokens": t.new_tokens, "ended": t.ended} for t in texts]
        shown = {"drafts": drafts} if options.show_steps else {}
        print(json.dumps({"seed": seed, "texts": written, **shown}, indent=1, ensure_ascii=False))
        return
    if options.show_steps:
        print()
    for text in texts:
        print(harmless(text.text))


def _watcher(drafts: list[list[str]], *, quiet: bool) -> Any:
    """Keep the drafts that differ from the one before, and print them as they come."""

    def watch(texts: list[str]) -> None:
        if drafts and texts == drafts[-1]:
            return
        drafts.append(texts)
        if not quiet:
            for number, text in enumerate(texts):
                label = f"{len(drafts) - 1:>3}" + (f".{number + 1}" if len(texts) > 1 else "")
                print(f"{label}  {harmless(text.replace(chr(10), '↵'))}", flush=True)

    return watch
