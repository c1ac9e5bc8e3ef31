"""What is generated in a card and what a person wrote there: rendering again replaces the first and keeps the second.

Generated blocks stand between two marker lines, `<!-- babylm_hf:begin NAME -->` and `<!-- babylm_hf:end NAME -->`. Text
anywhere else is the user's. So are entries of the metadata that rendering does not make, and further tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from ..errors import RunFolderError

_MARKER = re.compile(r"^<!-- babylm_hf:(begin|end) ([a-z0-9_-]+) -->[ \t]*$", re.MULTILINE)
# Scores are the record's alone: those that it no longer has must not outlive it.
_SCORES = ("metrics", "model-index")
_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)??---(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A piece of a card's body: a generated block with its markers, or text between blocks (`name` None)."""

    name: str | None
    text: str


def split_card(card: str, source: str = "the card") -> tuple[dict[str, Any], str]:
    """The metadata of a card and its body.

    Raises:
        RunFolderError: the metadata is not a YAML mapping; the message names `source`.
    """
    match = _FRONT_MATTER.match(card)
    if match is None:
        return {}, card
    try:
        metadata = yaml.safe_load(match.group(1) or "") or {}
    except yaml.YAMLError as error:
        raise RunFolderError(f"the metadata of {source} is not YAML; mend it or delete the file ({error})") from error
    if not isinstance(metadata, dict):
        raise RunFolderError(f"the metadata of {source} is not a list of 'name: value'; mend it or delete the file")
    return metadata, card[match.end() :]


def join_card(metadata: dict[str, Any], body: str) -> str:
    """A card of metadata and body."""
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n{body}"


def split_body(body: str, source: str = "the card") -> list[Part]:
    """The parts of a body, in order; joined they give it back.

    Raises:
        RunFolderError: a block has lost one of its markers; the message names `source`, block and line.
    """
    parts: list[Part] = []
    end, begun = 0, None
    for marker in _MARKER.finditer(body):
        kind, name = marker.groups()
        if (kind == "begin") == (begun is not None) or (begun is not None and begun[0] != name):
            line = body.count("\n", 0, marker.start()) + 1
            raise RunFolderError(
                f"{source}, line {line} of the text: generated block '{name if begun is None else begun[0]}' has lost "
                "its begin or end marker; restore that line or delete the file, and render again"
            )
        if kind == "begin":
            parts.append(Part(None, body[end : marker.start()]))
            begun = (name, marker.start())
        elif begun is not None:
            parts.append(Part(name, body[begun[1] : marker.end()]))
            begun = None
        end = marker.end()
    if begun is not None:
        raise RunFolderError(
            f"{source}: generated block '{begun[0]}' has no end marker; restore it or delete the file, and render again"
        )
    return [*parts, Part(None, body[end:])]


def merge(existing: str, fresh: str, source: str = "the card") -> str:
    """A card as freshly rendered, with what a person wrote into the existing one.

    A generated block that the existing card lacks is put behind the block it follows in the fresh one. An existing card
    without any block is a person's from top to bottom, and stands after the generated text.

    Raises:
        RunFolderError: the existing card is damaged, see `split_card` and `split_body`.
    """
    old_metadata, old_body = split_card(existing, source)
    metadata, body = split_card(fresh)
    parts = split_body(old_body, source)
    new = split_body(body)
    if any(part.name for part in parts):
        body = _merge_bodies(parts, new)
    elif old_body.strip():
        body = f"{body.rstrip()}\n\n{old_body.strip()}\n"
    return join_card(_merge_metadata(old_metadata, metadata), body)


def _merge_bodies(old: list[Part], new: list[Part]) -> str:
    blocks = {part.name: part.text for part in new if part.name is not None}
    kept: list[Part] = []
    for part in old:
        if part.name is None:
            kept.append(part)
        elif part.name in blocks and all(part.name != earlier.name for earlier in kept):
            kept.append(Part(part.name, blocks[part.name]))
    before: str | None = None
    for name, text in blocks.items():
        if all(part.name != name for part in kept):
            places = [i for i, part in enumerate(kept) if part.name == before]
            at = places[0] + 1 if before is not None and places else 0
            kept[at:at] = [Part(None, "\n\n" if at else ""), Part(name, text)] + ([] if at else [Part(None, "\n\n")])
        before = name
    return "".join(part.text for part in kept)


def _merge_metadata(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = {**new, **{name: value for name, value in old.items() if name not in new and name not in _SCORES}}
    if isinstance(old.get("tags"), list):
        tags = list(new.get("tags", []))
        merged["tags"] = tags + [tag for tag in old["tags"] if tag not in tags]
    return merged
