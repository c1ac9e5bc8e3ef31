"""What MkDocs fills in while it builds: the help of every command, the options of recipes, files of the root."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"^<!-- fill: (\S+) -->$", re.MULTILINE)
_PAGES = {"CONTRIBUTING.md": "contributing.md", "ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill `<!-- fill: WHAT -->` lines."""
    return _MARK.sub(lambda found: fill(found[1]), markdown)


def fill(what: str) -> str:
    """The help of all commands, the options of recipes, or a file of the repository's root."""
    if what == "commands":
        return commands()
    if what == "options":
        return options()
    text = (ROOT / what).read_text(encoding="utf-8")
    text = text.replace("](docs/", "](")
    for name, page in _PAGES.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text


def commands() -> str:
    """A section for every command: its `--help`."""
    from babylm_hf.cli import build_parser
    from babylm_hf.parsing import commands_of

    parts = [
        f"## babylm-hf {name}\n\n```text\n{parser.format_help().rstrip()}\n```"
        for name, parser in commands_of(build_parser())
    ]
    return "\n\n".join(parts)


def options() -> str:
    """A table for every group of options that is ours; the stock training arguments are transformers' own."""
    from transformers import TrainingArguments

    from babylm_hf import arguments
    from babylm_hf.training.arguments import BabyLMTrainingArguments

    groups = [
        arguments.CorpusArguments, arguments.TokenizerArguments, arguments.ModelArguments,
        arguments.MaskingArguments, arguments.EvaluationArguments, arguments.CardArguments, BabyLMTrainingArguments,
    ]  # fmt: skip
    stock = {field.name: field for field in fields(TrainingArguments)}
    parts = []
    for group in groups:
        rows = ["| option | default | |", "|---|---|---|"]
        for field in fields(group):
            if field.name in stock and field.metadata.get("help") == stock[field.name].metadata.get("help"):
                continue
            if not field.init or "help" not in field.metadata:
                continue
            names = [f"`--{field.name}`", *(f"`{alias}`" for alias in field.metadata.get("aliases", ()))]
            default = "" if _absent(field) else f"`{field.default}`"
            told = str(field.metadata["help"]).replace("|", "\\|").replace("<", "&lt;")
            rows.append(f"| {', '.join(names)} | {default} | {told} |")
        parts.append(f"## {group._argument_group_name.capitalize()}\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _absent(field: Any) -> bool:
    from dataclasses import MISSING

    return field.default is MISSING or field.default is None
