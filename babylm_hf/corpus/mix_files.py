"""A mix on disk: the text, and beside it its manifest, from which a run that trains on it learns of its sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..arguments import CorpusArguments
from ..errors import OptionError
from ..lines import parse_json
from .cache import publish
from .documents import Source, SourceReport
from .mix_sources import MixSource, find_mix_sources
from .mixing import FORMAT, Mix, mix, parse_bytes, parse_shares

_TEXT = "mix.txt"


def manifest_path(text: Path) -> Path:
    """Where the manifest of a mix lies."""
    return text.with_name(text.name + ".manifest.json")


def write_mix(sources: Sequence[Source | MixSource], out: str | Path, how: Mix) -> dict[str, Any]:
    """As `mix`, and writes the manifest beside the text."""
    out = Path(out)
    # One of an earlier mix must not be taken for this one's if the new text is written and the process then killed.
    manifest_path(out).unlink(missing_ok=True)
    manifest = mix(sources, out, how)
    manifest_path(out).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def mix_of(corpus: CorpusArguments) -> Mix | None:
    """The mix that the options of a recipe ask for, or None.

    Raises:
        OptionError: the options cannot work, or there are some for a mix and none that asks for one.
    """
    if corpus.mix_bytes is None and corpus.mix_method is None:
        for name in ("mix_shares", "mix_temperature", "mix_min_words", "mix_drop_duplicates", "allow_short"):
            if getattr(corpus, name):
                raise OptionError(f"--{name} is for a mix of sources; ask for one with --mix_bytes or --mix_method")
        return None
    return Mix(
        method=corpus.mix_method or "round_robin",
        size=None if corpus.mix_bytes is None else parse_bytes(corpus.mix_bytes, "--mix_bytes"),
        shares=None if corpus.mix_shares is None else parse_shares(corpus.mix_shares, "--mix_shares"),
        temperature=corpus.mix_temperature,
        min_words=corpus.mix_min_words,
        drop_duplicates=corpus.mix_drop_duplicates,
        allow_short=corpus.allow_short,
        document=corpus.document,
        text_field=corpus.text_field,
    )


def cached_mix(sources: Sequence[Source], how: Mix, cache_dir: str | Path) -> Path:
    """The text of a mix in the cache, under a digest of everything that decides it; made if it is not there."""
    found = find_mix_sources(sources)
    kinds = [[source.name, *((part.title, part.kind(how.text_field)) for part in source.parts)] for source in found]
    decides = {"format": FORMAT, "sources": kinds, "digests": [source.digests() for source in found], **asdict(how)}
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]
    folder = Path(cache_dir) / f"mix-{digest}"
    if not _is_whole(folder):
        publish(folder, lambda made: write_mix(found, made / _TEXT, how), _is_whole)
    return folder / _TEXT


def _is_whole(folder: Path) -> bool:
    """Whether `folder` holds a mix of the size that its manifest tells."""
    manifest = read_manifest(folder / _TEXT)
    return manifest is not None and (folder / _TEXT).stat().st_size == manifest["bytes"]


def read_manifest(text: Path) -> dict[str, Any] | None:
    """The manifest of a mix, or None where there is none that can be read."""
    try:
        manifest = parse_json(manifest_path(text).read_text(encoding="utf-8"))
        sound = isinstance(manifest, dict) and {"bytes", "sha256", "sources"} <= set(manifest)
        return manifest if sound and text.is_file() else None
    except (OSError, ValueError, TypeError):
        return None


def mix_facts(sources: Sequence[Source], reports: Sequence[SourceReport]) -> dict[str, Any]:
    """What a record says of a run's text where it is a mix: the sources behind it, and how they were mixed.

    Args:
        sources: what the run was told to train on.
        reports: what was read, as the token stream has it.

    Returns:
        `sources` and `mix`, or nothing where the text is no mix, or was changed after it was mixed.
    """
    if len(sources) != 1 or not isinstance(sources[0], str | Path):
        return {}
    manifest = read_manifest(Path(sources[0]))
    if manifest is None or [report.sha256 for report in reports] != [manifest["sha256"]]:
        return {}
    names = ("path", "bytes", "words", "lines", "documents", "sha256")
    return {"sources": [{name: entry[name] for name in names} for entry in manifest["sources"]], "mix": manifest}
