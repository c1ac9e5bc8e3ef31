"""Sources of a mix, and their documents as blocks of bytes.

Mixing moves whole documents and never looks inside them, so plain text stays bytes from the file to the mix: a block of
about a megabyte is cut into documents, and its words are counted, by array operations and not character by character.
The documents are those of `iter_documents`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CorpusError, OptionError
from .documents import Document, read_documents
from .files import MAX_DOCUMENT, HubSource, TextFile, find_sources, read_whole_lines, text_digest

# What `str.split` cuts at. Some of it takes several bytes in UTF-8; the table makes a byte that such a letter can begin
# with 2, white space of one byte 1, and every other byte 0.
_WHITE = "".join(letter for letter in map(chr, range(0x3001)) if letter.isspace())
_WIDE = [letter.encode() for letter in _WHITE if not letter.isascii()]
_KIND = bytes(
    2 if any(wide[0] == byte for wide in _WIDE) else int(byte < 0x80 and chr(byte) in _WHITE) for byte in range(256)
)
_WIDE_CODES = {size: [int.from_bytes(wide, "big") for wide in _WIDE if len(wide) == size] for size in (2, 3)}
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class MixSource:
    """Files and data sets that count as one source of a mix.

    Attributes:
        name: what records call it.
        parts: its files and data sets, in the order they are read.
    """

    name: str
    parts: tuple[TextFile | HubSource, ...]

    def digests(self) -> list[tuple[int, str]]:
        """Size and SHA-256 of each part as it lies on disk."""
        return [text_digest(part) for part in self.parts]

    def stamps(self) -> list[tuple[int, int]]:
        """Size and time of the last change of each file: they tell at once that a text was changed."""
        found = [part.path.stat() for part in self.parts if isinstance(part, TextFile)]
        return [(stat.st_size, stat.st_mtime_ns) for stat in found]


class Block(NamedTuple):
    """Consecutive documents of one source.

    Attributes:
        texts: their bytes, each with the newline that ends it (two where a blank line ends a document); none where they
            were not asked for.
        sizes: bytes of each, int64 `[n]`.
        words: whitespace-separated items of each, int64 `[n]`; zeros where they were not asked for.
        lines: lines of each that are not blank, int64 `[n]`.
    """

    texts: list[bytes]
    sizes: np.ndarray
    words: np.ndarray
    lines: np.ndarray

    def only(self, keep: np.ndarray) -> Block:
        """The documents at which `keep`, bool `[n]`, is true."""
        if keep.all():
            return self
        return Block(list(compress(self.texts, keep)), self.sizes[keep], self.words[keep], self.lines[keep])


def find_mix_sources(sources: Sequence[str | Path | HubSource | MixSource]) -> list[MixSource]:
    """The sources of a mix: each a file, a folder, a `HubSource`, or several files as `name=a.txt,b.txt`.

    Raises:
        CorpusError: a path does not exist.
        OptionError: two sources have one name, or hold the same file.
    """
    found = [source if isinstance(source, MixSource) else _mix_source(source) for source in sources]
    if not found:
        raise CorpusError("no text was given; name at least one source to mix")
    places = [part.path.resolve() if isinstance(part, TextFile) else part for s in found for part in s.parts]
    for place in places:
        if places.count(place) > 1:
            raise OptionError(f"{place} is given twice; no text is mixed twice, so give it once")
    names = [source.name for source in found]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"two sources are called {name}; give them names, as first={name} second=OTHER_FILE")
    return found


def _mix_source(source: str | Path | HubSource) -> MixSource:
    if isinstance(source, HubSource):
        return MixSource(source.title, (source,))
    name, equals, files = str(source).partition("=")
    if not equals or Path(source).exists():
        return MixSource(Path(source).name or str(source), tuple(find_sources([source])))
    paths = [file for file in files.split(",") if file]
    if not name or not paths:
        raise OptionError(f"source {source} is not of the form name=a.txt,b.txt")
    return MixSource(name, tuple(find_sources(paths)))


def refuse_copies(sources: Sequence[MixSource], digests: Sequence[Sequence[tuple[int, str]]]) -> None:
    """Raise `OptionError` where files of different names hold the same bytes: their text would count twice."""
    seen: dict[tuple[int, str], object] = {}
    for source, of_source in zip(sources, digests, strict=True):
        for part, digest in zip(source.parts, of_source, strict=True):
            if digest in seen:
                raise OptionError(f"{part} holds the same bytes as {seen[digest]}; give the text once")
            seen[digest] = part


def read_blocks(
    source: MixSource, document: Document, text_field: str, texts: bool = True, words: bool = True
) -> Iterator[Block]:
    """The documents of a source, in blocks of about a megabyte.

    Args:
        source: its parts are read one after another.
        document: what ends a document.
        text_field: field of a JSON line that holds the text.
        texts: False where only numbers are wanted: plain text is not cut then, which saves half the time.
        words: False where the words need not be counted.

    Raises:
        CorpusError: a part is empty, cannot be read, is not UTF-8, or a record has no such field.
    """
    for part in source.parts:
        plain = isinstance(part, TextFile) and not part.is_json
        if plain:
            blocks = _plain_blocks(part, document, texts, words)  # type: ignore[arg-type]
        else:
            blocks = _record_blocks(part, document, text_field)
        found = False
        for block in blocks:
            if len(block.sizes):
                found = True
                yield block
        if not found:
            raise CorpusError(f"{part} holds no text, only blank lines; leave it out or give another")


def _record_blocks(part: TextFile | HubSource, document: Document, text_field: str) -> Iterator[Block]:
    """Documents of JSON lines and data sets."""
    end = b"\n" if document == "line" else b"\n\n"
    source = part.path if isinstance(part, TextFile) else part
    for texts, words, _ in read_documents([source], document, text_field):
        encoded = [text.encode() + end for text in texts]
        lines = np.fromiter((text.count(b"\n") for text in encoded), np.int64, len(encoded)) - len(end) + 1
        yield Block(encoded, _sizes(encoded), np.asarray(words, np.int64), lines)


def _plain_blocks(part: TextFile, document: Document, texts: bool, words: bool) -> Iterator[Block]:
    """Documents of a text file."""
    rest = b""
    for data, *_ in read_whole_lines(part):
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not data.endswith(b"\n"):
            data += b"\n"
        if document == "line":
            yield _line_block(data, texts, words)
        else:
            block, rest = _paragraph_block(rest + data)
            if len(rest) > 4 * MAX_DOCUMENT:
                raise CorpusError(
                    f"{part} has a document of more than {len(rest) >> 20} megabytes; put blank lines between "
                    "documents, or pass --document line"
                )
            yield block
    if rest:
        yield _paragraph_block(rest + b"\n")[0]


def _line_block(data: bytes, texts: bool, words: bool) -> Block:
    """Every line that is not blank is a document."""
    if words:
        sizes, counts = _count_words(data)
        solid = counts > 0
    else:
        sizes = _line_sizes(data)
        solid, counts = _solid_lines(data, sizes), np.zeros(len(sizes), np.int64)
    cut = data.splitlines(keepends=True) if texts else []
    return Block(cut, sizes, counts, np.ones(len(sizes), np.int64)).only(solid)


def _line_sizes(data: bytes) -> np.ndarray:
    """Bytes of each line of `data`, which ends in a newline, int64 `[lines]`."""
    return np.diff(np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE), prepend=-1)


def _solid_lines(data: bytes, sizes: np.ndarray) -> np.ndarray:
    """Which lines are not blank, bool `[lines]`; only those that may begin with white space are looked at."""
    ends = np.cumsum(sizes)
    starts = ends - sizes
    solid = np.ones(len(sizes), bool)
    first = np.frombuffer(_KIND, np.uint8)[np.frombuffer(data, np.uint8)[starts]]
    for line in np.flatnonzero(first).tolist():
        solid[line] = not data[starts[line] : ends[line]].decode().isspace()
    return solid


def _paragraph_block(data: bytes) -> tuple[Block, bytes]:
    """Documents that a blank line ends within `data`, and the bytes of the one after the last of them."""
    sizes, words = _count_words(data)
    ends = np.cumsum(sizes)
    solid = np.concatenate(([False], words > 0, [False]))
    first = np.flatnonzero(solid[1:-1] & ~solid[:-2])
    last = np.flatnonzero(solid[1:-1] & ~solid[2:])
    begins = (ends - sizes)[first]
    rest = b""
    if len(last) and last[-1] == len(words) - 1:
        rest = data[begins[-1] :]
        first, last, begins = first[:-1], last[:-1], begins[:-1]
    texts = [data[a:b] + b"\n" for a, b in zip(begins.tolist(), ends[last].tolist(), strict=True)]
    total = np.concatenate(([0], np.cumsum(words)))
    return Block(texts, _sizes(texts), total[last + 1] - total[first], last - first + 1), rest


def _count_words(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and words of each line of `data`, which ends in a newline, int64 `[lines]` each."""
    sizes = _line_sizes(data)
    white = _white(data)
    # A word is counted at the white space after it, which is always in the same line.
    after_word = np.zeros(len(data), bool)
    np.greater(white[1:], white[:-1], out=after_word[1:])
    # Not reduceat or cumsum over the bytes: of a megabyte of booleans they take several times as long.
    so_far = np.searchsorted(np.flatnonzero(after_word), np.cumsum(sizes))
    return sizes, np.diff(so_far, prepend=0)


def _white(data: bytes) -> np.ndarray:
    """Which bytes are white space, bool `[bytes]`; `data` is UTF-8 and ends in a newline."""
    kind = np.frombuffer(data.translate(_KIND), np.uint8)
    white = np.equal(kind, 1)
    letters = np.frombuffer(data, np.uint8)
    leads = np.flatnonzero(kind == 2)
    code = letters[leads].astype(np.int32)
    for size in (2, 3):
        code = code << 8 | letters[np.minimum(leads + size - 1, len(data) - 1)]
        found = leads[np.isin(code, _WIDE_CODES[size])]
        for offset in range(size):
            white[found + offset] = True
    return white


def _sizes(texts: list[bytes]) -> np.ndarray:
    return np.fromiter(map(len, texts), np.int64, len(texts))
