"""Options that several commands share: where text comes from, where a folder is written."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OptionError


def add_sources(parser: argparse.ArgumentParser, what: str = "text files, folders, .gz, .jsonl") -> None:
    """Text files and how they are read."""
    parser.add_argument("source", nargs="+", help=what)
    parser.add_argument("--document", choices=("line", "blank_line"), default="line", help="what ends a document")
    parser.add_argument("--text_field", default="text", help="field of a JSON line that holds the text")


def refuse_full(folder: Path) -> None:
    """Raise `OptionError` if a folder to write has something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"--out {folder} exists and is not empty; name a new folder")
