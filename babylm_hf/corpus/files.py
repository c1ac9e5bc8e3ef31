"""The sources of text on disk and on the Hub: finding, hashing, and reading them in decoded chunks of whole lines."""

from __future__ import annotations

import functools
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import CorpusError

_NEWLINE = ord("\n")
# Larger chunks gain no speed, and the tokenizer's result objects for one are a hundred times the text (measured).
CHUNK_BYTES = 1 << 20
# Longest line or document in characters: beyond it one call of the tokenizer would take gigabytes.
MAX_DOCUMENT = 16 << 20
TEXT_SUFFIXES = (".txt", ".text", ".raw", ".train", ".dev", ".valid", ".test")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class TextFile:
    """A file of text or of JSON lines, perhaps gzipped."""

    path: Path

    @property
    def title(self) -> str:
        """The name that goes into records: without folders."""
        return self.path.name

    @property
    def is_gzip(self) -> bool:
        """Whether the name says gzip."""
        return self.path.name.lower().endswith(".gz")

    @property
    def is_json(self) -> bool:
        """Whether the name says JSON lines."""
        return self.path.name.lower().removesuffix(".gz").endswith(JSON_SUFFIXES)

    def kind(self, text_field: str) -> str:
        """How the bytes are read."""
        return ("gzip " if self.is_gzip else "") + (f"json {text_field}" if self.is_json else "text")

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class HubSource:
    """A data set on the Hub, or anything else `datasets.load_dataset` finds under this name."""

    name: str
    config: str | None = None
    split: str = "train"
    text_field: str = "text"

    @property
    def title(self) -> str:
        """The name that goes into records."""
        return f"{self.name}{f'/{self.config}' if self.config else ''}:{self.split}"

    def kind(self, text_field: str) -> str:
        """How it is read; its own field counts, not that of files."""
        return f"records {self.text_field}"

    def texts(self) -> Iterator[Any]:
        """The field of every row, in order.

        Raises:
            CorpusError: the data set cannot be loaded, or has no such field.
        """
        dataset = _load_dataset(self.name, self.config, self.split)
        if self.text_field not in dataset.column_names:
            raise CorpusError(
                f"data set {self} has no column {self.text_field!r} (it has {', '.join(dataset.column_names)}); "
                "choose one with --text_field"
            )
        for batch in dataset.select_columns([self.text_field]).iter(1000):
            yield from batch[self.text_field]

    def __str__(self) -> str:
        return self.title


def hub_sources(
    name: str, config: str | None = None, split: str = "train", text_field: str = "text"
) -> list[str | Path | HubSource]:
    """A data set on the Hub as the list of sources that `TokenStream.build` and `iter_documents` take."""
    return [HubSource(name, config, split, text_field)]


@functools.lru_cache(maxsize=4)
def _load_dataset(name: str, config: str | None, split: str) -> Any:
    from datasets import load_dataset

    try:
        return load_dataset(name, config, split=split)
    except Exception as error:  # its failures share no base class: network, names, scripts, gated access
        reason = str(error).strip().split("\n")[0]
        raise CorpusError(
            f"data set {name} (configuration {config or 'default'}, split {split}) cannot be loaded ({reason}); "
            "check --dataset_name, or give text with --train_file"
        ) from error


def find_sources(sources: Iterable[str | Path | HubSource]) -> list[TextFile | HubSource]:
    """Files and data sets behind `sources`, folders replaced by their text files.

    Raises:
        CorpusError: nothing was given, a path does not exist, or a folder holds no text file.
    """
    if isinstance(sources, str | Path | HubSource):
        sources = [sources]
    found: list[TextFile | HubSource] = []
    for source in sources:
        if isinstance(source, HubSource):
            found.append(source)
            continue
        path = Path(source)
        if path.is_dir():
            found += _folder_files(path)
        elif path.is_file():
            found.append(TextFile(path))
        else:
            raise CorpusError(f"{path} does not exist; check the path")
    if not found:
        raise CorpusError("no text was given; name at least one file, folder or data set")
    return found


def _folder_files(folder: Path) -> list[TextFile]:
    suffixes = TEXT_SUFFIXES + JSON_SUFFIXES[:2]
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name.lower().removesuffix(".gz").endswith(suffixes)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise CorpusError(
            f"folder {folder} holds no file that ends in {', '.join(suffixes)} (or .gz of one); name files"
        )
    return [TextFile(path) for path in found]


def text_digest(source: TextFile | HubSource) -> tuple[int, str]:
    """Size in bytes and SHA-256: of the file as it lies on disk, or of a data set's texts.

    Raises:
        CorpusError: the source is empty or cannot be read.
    """
    if isinstance(source, HubSource):
        return _texts_digest(source)
    try:
        with open(source.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise CorpusError(f"{source} cannot be read ({error.strerror}); check its permissions") from error
    if size == 0:
        raise CorpusError(f"{source} is empty; leave it out or give another")
    return size, digest


@functools.lru_cache(maxsize=16)
def _texts_digest(source: HubSource) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for text in source.texts():
        data = str(text).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
        size += len(data)
    if size == 0:
        raise CorpusError(f"data set {source} is empty; choose another with --dataset_name or --dataset_split")
    return size, digest.hexdigest()


def read_chunks(source: TextFile) -> Iterator[tuple[str, int, int]]:
    """Whole lines, decoded: (text, 1-based number of its first line, bytes of the file read since the chunk before).

    Raises:
        CorpusError: the file is not UTF-8 (names the line), is damaged gzip, or has an endless line.
    """
    for _, text, line, read in read_whole_lines(source):
        yield text, line, read


def read_whole_lines(source: TextFile) -> Iterator[tuple[bytes, str, int, int]]:
    """As `read_chunks`, with the bytes of each chunk before its text."""
    line, before = 1, 0
    with open(source.path, "rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if source.is_gzip else raw  # type: ignore[assignment]
        for data in _whole_lines(source, stream):
            if line == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as error:
                number = line + data.count(b"\n", 0, error.start)
                raise CorpusError(
                    f"{source} is not UTF-8 at line {number} (byte 0x{data[error.start]:02x}); "
                    "convert the file, for example with iconv -f LATIN1 -t UTF-8"
                ) from None
            yield data, text, line, raw.tell() - before
            before = raw.tell()
            line += int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))


def _whole_lines(source: TextFile, stream: IO[bytes]) -> Iterator[bytes]:
    """Blocks of about a chunk that end at a newline."""
    rest = b""
    try:
        while data := stream.read(CHUNK_BYTES):
            cut = data.rfind(b"\n") + 1
            if cut:
                yield rest + data[:cut]
                rest = data[cut:]
            else:
                rest += data
                if len(rest) > 4 * MAX_DOCUMENT:
                    raise CorpusError(
                        f"{source} has a line of more than {len(rest) >> 20} megabytes; break it into documents"
                    )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(f"{source} is not a whole gzip file ({error}); fetch it again") from None
    if rest:
        yield rest


def sizes(sources: Sequence[TextFile | HubSource]) -> int:
    """Bytes that reading all of `sources` will go through, for a progress bar."""
    return sum(text_digest(s)[0] if isinstance(s, HubSource) else s.path.stat().st_size for s in sources)
