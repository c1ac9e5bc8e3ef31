"""The Markdown of the repository, taken apart: blocks of code, commands, links, anchors."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from tiny import REPOSITORY

FILES = [
    *(path for path in sorted(REPOSITORY.glob("*.md"))),
    *(path for path in sorted((REPOSITORY / "docs").rglob("*.md")) if "examples" not in path.parts),
]
"""Every page that a person reads, without the cards that runs have left."""

PROGRAMS = (
    "babylm-hf",
    "accelerate",
    "python",
    "sbatch",
    "pip",
    "make",
    "mkdocs",
    "hf",
    "mkdir",
    "git",
    "pytest",
    "ruff",
)


@dataclass(frozen=True)
class Block:
    """Code on a page.

    Attributes:
        path: of the page.
        line: where it begins.
        language: as written, or empty.
        text: the code.
    """

    path: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}"


@cache
def blocks(path: Path) -> tuple[Block, ...]:
    """Fenced and indented code."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    return tuple(
        Block(path, token.map[0] + 1, token.info.strip(), token.content)
        for token in tokens
        if token.type in ("fence", "code_block")
    )


def commands(path: Path) -> list[tuple[str, list[str]]]:
    """(where, words) of every command line on a page; continued lines are one, comments are none."""
    found = []
    for block in blocks(path):
        if block.language in ("python", "text"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip().startswith(("[", "{", "|")):
                continue
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # prose, a formula
                continue
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            for part in _parts(words):
                if part and part[0] in PROGRAMS:
                    found.append((block.where, part))
    return found


def _parts(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", ";"):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of the headings, as GitHub and MkDocs make them."""
    tokens = MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
    titles = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles)


def links(path: Path) -> list[str]:
    """The targets of links and pictures."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        for child in token.children or []:
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                found.append(str(target))
    return found


def inline_options(path: Path) -> set[str]:
    """Every `--option` in inline code."""
    found = set()
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        for child in token.children or []:
            if child.type == "code_inline":
                found |= set(re.findall(r"(?<![\w-])--[a-zA-Z][\w-]+", child.content))
    return found
