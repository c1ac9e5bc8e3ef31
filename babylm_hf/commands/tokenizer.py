"""`babylm-hf tokenizer`: train one, or convert one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .sources import add_sources, refuse_full


def add(commands: Any) -> None:
    """`babylm-hf tokenizer train` and `convert`."""
    tokenizer = commands.add_parser("tokenizer", help="make a tokenizer").add_subparsers(
        metavar="ACTION", required=True
    )
    train = tokenizer.add_parser("train", help="train one on text")
    add_sources(train)
    train.add_argument("--out", type=Path, required=True, help="folder to write")
    train.add_argument("--algorithm", choices=("bpe", "wordpiece", "unigram"), default="bpe")
    train.add_argument("--vocab_size", type=int, default=40_000)
    train.add_argument("--lower", action="store_true", help="lower-case the text")
    train.add_argument("--causal", action="store_true", help="for causal models: a text begins but does not end")
    train.add_argument("--exact", action="store_true", help="stop where the text gives fewer than --vocab_size pieces")
    train.set_defaults(action=tokenizer_train)
    convert = tokenizer.add_parser("convert", help="turn a SentencePiece BPE model into a fast tokenizer, exactly")
    convert.add_argument("model", type=Path, help="a .model file")
    convert.add_argument("--out", type=Path, required=True, help="folder to write")
    convert.set_defaults(action=tokenizer_convert)


def tokenizer_train(options: argparse.Namespace) -> None:
    """Train a tokenizer and save it."""
    from ..corpus import iter_documents, train_tokenizer

    refuse_full(options.out)
    documents = iter_documents(options.source, options.document, options.text_field)
    tokenizer = train_tokenizer(
        documents,
        options.algorithm,
        options.vocab_size,
        lowercase=options.lower,
        causal=options.causal,
        exact=options.exact,
    )
    tokenizer.save_pretrained(options.out)
    print(f"{options.out}: {options.algorithm}, {len(tokenizer):,} pieces")


def tokenizer_convert(options: argparse.Namespace) -> None:
    """Convert a SentencePiece model and save it."""
    from ..corpus import load_tokenizer

    refuse_full(options.out)
    tokenizer = load_tokenizer(options.model)
    tokenizer.save_pretrained(options.out)
    print(f"{options.out}: converted from {options.model.name}, {len(tokenizer):,} pieces")
