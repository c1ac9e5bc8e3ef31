"""`babylm-hf likelihood`: how well a model predicts a text."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..errors import OptionError


def add(commands: Any) -> None:
    """`babylm-hf likelihood`."""
    likelihood = commands.add_parser("likelihood", help="nats per token, bits per byte and perplexity of a text")
    likelihood.add_argument("model", help="folder or Hub id of a diffusion, masked or causal model")
    likelihood.add_argument("--text", nargs="+", required=True, metavar="FILE", help="text files, folders, .gz, .jsonl")
    likelihood.add_argument("--document", choices=("line", "blank_line"), default="line", help="what ends a text")
    likelihood.add_argument("--text_field", default="text", help="field of a JSON line that holds the text")
    likelihood.add_argument("--max_texts", type=int, default=0, help="so many texts spread over the files; 0 for all")
    likelihood.add_argument("--max_length", type=int, default=128, help="longer texts are cut into rows of this length")
    likelihood.add_argument(
        "--form",
        choices=("order_agnostic", "continuous"),
        help="estimate of the bound of a diffusion or masked model; order_agnostic has less variance",
    )
    likelihood.add_argument(
        "--schedule", choices=("linear", "cosine", "cosine_squared"), help="of --form continuous; linear"
    )
    likelihood.add_argument("--draws", type=int, help="masks drawn for each row; 16")
    likelihood.add_argument("--seed", type=int, default=0, help="of the masks")
    likelihood.add_argument("--batch_tokens", type=int, default=8192, help="tokens in a batch")
    likelihood.add_argument("--revision", help="branch on the Hub, such as chck_1M")
    likelihood.add_argument("--trust_remote_code", action="store_true", help="run the code that comes with the model")
    likelihood.add_argument("--json", action="store_true", help="print JSON")
    likelihood.set_defaults(action=measure)


def measure(options: argparse.Namespace) -> None:
    """Load text and model, measure, and print."""
    from ..evaluation.likelihood import causal_likelihood, nelbo
    from ..evaluation.models import load_for_scoring
    from ..evaluation.text_rows import rows_of_texts
    from ..models.remote_code import trust_option
    from ..models.text_generation import is_causal

    texts = _texts(options)
    trusted = trust_option(options.model, options.trust_remote_code)
    model, tokenizer = load_for_scoring(options.model, revision=options.revision, trust_remote_code=trusted)
    causal = is_causal(model)
    made = rows_of_texts(tokenizer, texts, options.max_length, begin=causal)
    shared = {"text_bytes": made.text_bytes, "batch_tokens": options.batch_tokens, "progress": sys.stderr.isatty()}
    own = {name: getattr(options, name) for name in ("form", "schedule", "draws") if getattr(options, name) is not None}
    if causal and own:
        raise OptionError(f"--{next(iter(own))} is for diffusion and masked models; a causal model's value is exact")
    if "schedule" in own and own.get("form") != "continuous":
        raise OptionError("--schedule is for --form continuous; the order-agnostic form has none")
    if causal:
        found = causal_likelihood(model, made.rows, tokenizer, **shared)
    else:
        found = nelbo(model, made.rows, tokenizer, seed=options.seed, **own, **shared)
    if made.unknown:
        print(f"{made.unknown:,} unknown tokens are not scored: bits per byte come out too low", file=sys.stderr)
    if options.json:
        print(json.dumps({**found.to_dict(), "unknown_tokens": made.unknown}, indent=1))
        return
    print(_table(found))


def _texts(options: argparse.Namespace) -> list[str]:
    """The texts of the files, or some of them spread evenly."""
    from ..corpus import iter_documents

    if options.max_texts < 0:
        raise OptionError(f"--max_texts is {options.max_texts}; it must be 0 or more")
    texts = [text for batch in iter_documents(options.text, options.document, options.text_field) for text in batch]
    if 0 < options.max_texts < len(texts):
        step = len(texts) / options.max_texts
        texts = [texts[int(i * step)] for i in range(options.max_texts)]
    return texts


def _table(found: Any) -> str:
    """Three numbers with their errors, and what they were measured on."""
    drawn = found.draws > 0
    error = (lambda value, digits: f" ± {value:.{digits}f}") if drawn else (lambda value, digits: "")
    how = f"{found.method}, {found.draws} draws" if drawn else found.method
    lines = [
        f"nats per token  {found.nats_per_token:.4f}{error(found.standard_error, 4)}",
        f"bits per byte   {found.bits_per_byte:.4f}{error(found.bits_per_byte_error, 4)}",
        f"perplexity      {found.perplexity:.2f}{error(found.perplexity_error, 2)}",
        f"{how}; {found.tokens:,} tokens, {found.text_bytes:,} bytes, {found.rows:,} rows",
    ]
    return "\n".join(lines)
