"""Mixing sources: whole documents, byte shares, an order that depends on the text alone.

`round_robin` is the mix of the LLaMA baselines: every source gets the same number of bytes, and the sources take turns
of one document, in the order they are named, each until its next document would exceed its bytes. The other methods
give unequal shares, and there the turn goes to the source that is furthest behind its share, so that the shares hold at
every point of the mix and not only at its end:

    proportional    as large as the source is
    temperature     as large as the source's size to the power 1 / temperature
    shares          as told

Nothing is ever repeated: a source that runs out is an error that says by how much, or with `allow_short` a smaller mix.
The text goes through in blocks of about a megabyte, so memory does not grow with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, get_args

from ..errors import CorpusError, OptionError
from .documents import Document
from .files import HubSource
from .filters import Survey, filtered, survey
from .mix_sources import Block, MixSource, find_mix_sources, read_blocks, refuse_copies
from .turns import Taker, take_turns

MixMethod = Literal["round_robin", "proportional", "temperature", "shares"]
FORMAT = 1  # raise it when the same text and options give another mix than before
_ORDER_BY_TURN = "the sources take turns, one document each"
_ORDER_BY_SHARE = "the source furthest behind its share comes next"
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Mix:
    """How sources are mixed.

    Attributes:
        method: of dividing the bytes among the sources.
        size: bytes of the whole mix, newlines included; without it, as many as there are before a source runs out.
        shares: for the method "shares", one for each source, in their order; they need not sum to 1.
        temperature: for the method "temperature": 1 is proportional, and the higher the more equal.
        min_words: documents with fewer words are left out.
        drop_duplicates: leave out documents that have come before, in their own source or one named earlier.
        allow_short: go on when a source runs out before its share.
        document: what ends a document: "line" or "blank_line".
        text_field: field of a JSON line that holds the text.
    """

    method: MixMethod = "round_robin"
    size: int | None = None
    shares: tuple[float, ...] | None = None
    temperature: float | None = None
    min_words: int = 0
    drop_duplicates: bool = False
    allow_short: bool = False
    document: Document = "line"
    text_field: str = "text"

    def __post_init__(self) -> None:
        """Raises `OptionError` for values that cannot work together."""
        if self.method not in get_args(MixMethod):
            raise OptionError(f"mix method {self.method!r} is not one of {', '.join(get_args(MixMethod))}")
        if self.size is not None and self.size < 1:
            raise OptionError(f"a mix of {self.size} bytes is impossible; give a positive size, such as 2MB")
        if (self.shares is not None) != (self.method == "shares"):
            raise OptionError("the mix method shares needs shares, one for each source, and no other method takes any")
        if self.shares is not None and not all(0 < share < float("inf") for share in self.shares):
            raise OptionError(f"shares {list(self.shares)} are impossible; each must be positive")
        if (self.temperature is not None) != (self.method == "temperature"):
            raise OptionError("the mix method temperature needs a temperature, and no other method takes one")
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise OptionError(f"temperature {self.temperature} is impossible; it must be positive")
        if self.min_words < 0:
            raise OptionError(f"a least length of {self.min_words} words is impossible; give 0 or more")


def parse_bytes(text: str, option: str = "--bytes") -> int:
    """`2MB`, `667KB`, `1.5GB`, `2MiB` or a plain number as bytes; KB and MB are powers of ten, KiB and MiB of two.

    Raises:
        OptionError: it is none of these; names `option`.
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([a-z]*)", text.strip().lower().replace("_", ""))
    if found is None or found[2] not in _UNITS:
        raise OptionError(f"{option} {text} is not a size; write it as 2MB, 667KB or 2000000")
    return int(Fraction(found[1]) * _UNITS[found[2]])


def parse_shares(text: str, option: str = "--shares") -> tuple[float, ...]:
    """`0.5,0.3,0.2` as numbers.

    Raises:
        OptionError: one is no number; names `option`.
    """
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise OptionError(f"{option} {text} are not shares; write one for each source, as 0.5,0.3,0.2") from None


def mix(sources: Sequence[str | Path | HubSource | MixSource], out: str | Path, how: Mix) -> dict[str, Any]:
    """Mix `sources` into the file `out`.

    Args:
        sources: see `find_mix_sources`; their order is that of the turns.
        out: written whole or not at all; one document a line, or parted by blank lines, as the sources are.
        how: the method and its options.

    Returns:
        The manifest, as JSON can say it: of the mix its method, order, filters, size and SHA-256, and of each source
        its files and what was taken of it (bytes, words, lines, documents, SHA-256, share wanted and reached).

    Raises:
        CorpusError: a source runs out (says by how much), or cannot be read.
        OptionError: a source is given twice, or the options do not fit the sources.
    """
    found = find_mix_sources(sources)
    if how.shares is not None and len(how.shares) != len(found):
        raise OptionError(f"there are {len(how.shares)} shares for {len(found)} sources; give one for each")
    stamps = [source.stamps() for source in found]
    digests = [source.digests() for source in found]
    refuse_copies(found, digests)
    known = None
    if how.size is None or how.method in ("proportional", "temperature") or how.min_words or how.drop_duplicates:
        known = survey(
            found,
            lambda source, texts, words: read_blocks(source, how.document, how.text_field, texts, words),
            how.min_words,
            how.drop_duplicates,
        )
    shares = _shares(how, found, known)
    total = how.size if how.size is not None else _largest(shares, found, known)
    takers = [
        Taker(i, _documents(source, how, known, i), share, int(total * share), how.method == "round_robin")
        for i, (source, share) in enumerate(zip(found, shares, strict=True))
    ]
    with _written_whole(Path(out)) as file:
        sha256 = take_turns(takers, file)
        _refuse_shortage(found, takers, how.allow_short)
        if [source.stamps() for source in found] != stamps:
            raise CorpusError("the text was changed while it was being mixed; start again when it is complete")
    manifest = _manifest(how, total, takers, known)
    for entry, source, of_source in zip(manifest["sources"], found, digests, strict=True):
        parts = zip(source.parts, of_source, strict=True)
        entry["path"] = source.name
        entry["files"] = [{"path": part.title, "bytes": size, "sha256": digest} for part, (size, digest) in parts]
    return {**manifest, "sha256": sha256}


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets the name `path` when the block is done, and vanishes when it fails."""
    try:
        file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:20]}-", delete=False)  # noqa: SIM115
    except OSError as error:
        raise OptionError(f"{path} cannot be written ({error.strerror}); name another file") from error
    try:
        with file:
            yield file
        os.chmod(file.name, 0o644)  # a temporary file is private
        os.replace(file.name, path)
    finally:
        Path(file.name).unlink(missing_ok=True)


def _documents(source: MixSource, how: Mix, known: Survey | None, index: int) -> Iterator[Block]:
    keep = known.keep[index] if known is not None and known.keep is not None else None
    return filtered(read_blocks(source, how.document, how.text_field), how.min_words, keep)


def _shares(how: Mix, sources: Sequence[MixSource], known: Survey | None) -> list[Fraction]:
    """The share of each source; exact, so that rounding never makes a source run out by a byte."""
    if how.method == "round_robin":
        weights = [Fraction(1) for _ in sources]
    elif how.shares is not None:
        weights = [Fraction(str(share)) for share in how.shares]
    else:
        assert known is not None
        _refuse_empty(sources, known)
        weights = [Fraction(size) for size in known.sizes]
        if how.temperature is not None:
            largest = max(known.sizes)
            weights = [Fraction((size / largest) ** (1 / how.temperature)) for size in known.sizes]
    return [weight / sum(weights) for weight in weights]


def _largest(shares: Sequence[Fraction], sources: Sequence[MixSource], known: Survey | None) -> int:
    """Bytes of the largest mix for which no source runs out."""
    assert known is not None
    _refuse_empty(sources, known)
    return min(int(size / share) for size, share in zip(known.sizes, shares, strict=True))


def _refuse_empty(sources: Sequence[MixSource], known: Survey) -> None:
    for source, documents in zip(sources, known.documents, strict=True):
        if documents == 0:
            raise CorpusError(f"the filters leave nothing of {source.name}; lower the least length, or leave it out")


def _refuse_shortage(sources: Sequence[MixSource], takers: Sequence[Taker], allow_short: bool) -> None:
    """Raise `CorpusError` if a source gave nothing, or less than its share for want of text."""
    for source, taker in zip(sources, takers, strict=True):
        if taker.documents == 0 and not taker.short_by:
            raise CorpusError(
                f"the first document of {source.name} is larger than its share of {taker.quota:,} bytes; ask for a "
                "larger mix, or cut the text into shorter documents"
            )
    short = [
        f"{source.name} has {taker.bytes:,} bytes, {taker.short_by:,} fewer than its share of {taker.quota:,}"
        for source, taker in zip(sources, takers, strict=True)
        if taker.short_by
    ]
    if short and not allow_short:
        raise CorpusError(
            f"{'; '.join(short)}; give it more text, ask for a smaller mix, or pass --allow_short for one without it"
        )


def _manifest(how: Mix, total: int, takers: Sequence[Taker], known: Survey | None) -> dict[str, Any]:
    """What was mixed and how, but for the names of the sources and the checksum of the mix."""
    size = sum(taker.bytes for taker in takers)
    entries = []
    for i, taker in enumerate(takers):
        entry: dict[str, Any] = {
            "path": None,
            "share_wanted": float(taker.share),
            "share": taker.bytes / size if size else 0.0,
            "bytes_wanted": taker.quota,
            "short_by": taker.short_by,
            **taker.taken(),
        }
        if known is not None:
            entry["available"] = {"bytes": known.sizes[i], "documents": known.documents[i]}
            entry["left_out"] = {"too_short": known.too_short[i], "duplicates": known.duplicates[i]}
        entries.append(entry)
    return {
        "format": FORMAT,
        "method": how.method,
        "temperature": how.temperature,
        "order": _ORDER_BY_TURN if how.method == "round_robin" else _ORDER_BY_SHARE,
        "document": how.document,
        "filters": {"min_words": how.min_words, "drop_duplicates": how.drop_duplicates},
        "allow_short": how.allow_short,
        "bytes_wanted": total,
        **{name: sum(entry[name] for entry in entries) for name in ("bytes", "words", "lines", "documents")},
        "sources": entries,
    }
