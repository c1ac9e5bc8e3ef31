"""Text in, documents out: files, folders, gzip, JSON lines and Hub data sets, read in chunks of about a megabyte.

A document is what the tokenizer is given at once: a line, or the lines up to a blank one. Lines end at a newline only,
not at the other characters `str.splitlines` cuts at, and a line of white space is blank. The end of a file or of a
record always ends a document, so every document holds at least one word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import CorpusError, OptionError
from ..lines import parse_json
from .files import CHUNK_BYTES, MAX_DOCUMENT, HubSource, TextFile, find_sources, read_chunks, text_digest

Document = Literal["line", "blank_line"]
Source = str | Path | HubSource


@dataclass
class SourceReport:
    """What one file or data set held.

    Attributes:
        path: the file's name, or the data set's name, configuration and split; never a folder of this machine.
        bytes: size of the file on disk; of a data set, of its text in UTF-8.
        words: whitespace-separated items.
        lines: lines, blank ones included; of JSON lines and data sets, records.
        documents: documents made of it.
        sha256: of the file's bytes; of a data set, of its texts.
    """

    path: str
    bytes: int
    words: int
    lines: int
    documents: int
    sha256: str


class DocumentBatch(NamedTuple):
    """Consecutive documents of one source: the texts, their words, and how many bytes of the source were read for
    them."""

    texts: list[str]
    words: list[int]
    read: int


def iter_documents(
    sources: Sequence[Source], document: Document = "line", text_field: str = "text"
) -> Iterator[list[str]]:
    """The documents of all sources in the order given, in lists of about a megabyte of text.

    Args:
        sources: files (`.jsonl`, `.ndjson` and `.json` are read as JSON lines, anything else as text; `.gz` of either),
            folders (their text files, sorted by path), and `HubSource`s.
        document: what ends a document: "line", or "blank_line".
        text_field: field of a JSON line that holds the text.

    Raises:
        CorpusError: a source is missing or empty, is not UTF-8, or a record has no such field; names the file and line.
    """
    for batch in read_documents(sources, document, text_field):
        yield batch.texts


def source_reports(
    sources: Sequence[Source], document: Document = "line", text_field: str = "text"
) -> list[SourceReport]:
    """Reads all text once and says what each source holds (about a second for ten million words)."""
    reports: list[SourceReport] = []
    for _ in read_documents(sources, document, text_field, reports):
        pass
    return reports


def text_digests(
    sources: Sequence[Source], document: Document = "line", text_field: str = "text"
) -> list[tuple[str, str]]:
    """What decides the documents, without making them: for each source how it is read, and the SHA-256 of its bytes."""
    found = find_sources(sources)
    return [(f"{document} {source.kind(text_field)}", text_digest(source)[1]) for source in found]


def read_documents(
    sources: Sequence[Source],
    document: Document = "line",
    text_field: str = "text",
    reports: list[SourceReport] | None = None,
) -> Iterator[DocumentBatch]:
    """As `iter_documents`, with words counted; adds the report of each source to `reports` when it has been read."""
    if document not in ("line", "blank_line"):
        raise OptionError(f"--document is {document!r}; it must be line or blank_line")
    for source in find_sources(sources):
        size, sha256 = text_digest(source)
        report = SourceReport(source.title, size, 0, 0, 0, sha256)
        yield from _read_source(source, document, text_field, report)
        if report.documents == 0:
            raise CorpusError(f"{source} holds no text, only blank lines; leave it out or give another")
        if reports is not None:
            reports.append(report)


def _read_source(
    source: TextFile | HubSource, document: Document, text_field: str, report: SourceReport
) -> Iterator[DocumentBatch]:
    """Batches of one source; fills in the report on the way."""
    if isinstance(source, HubSource):
        pieces, plain = _hub_records(source), False
    elif source.is_json:
        pieces, plain = _json_records(source, text_field), False
    else:
        pieces, plain = _plain_lines(source), True
    splitter = _Splitter(document, source)
    for items, read in pieces:
        report.lines += len(items)
        if plain:
            texts = splitter.feed(items)
        else:
            texts = [text for item in items for text in splitter.record(item)]
        yield _batch(texts, read, report)
    yield _batch(splitter.end(), 0, report)


def _batch(texts: list[str], read: int, report: SourceReport) -> DocumentBatch:
    words = [len(text.split()) for text in texts]
    report.words += sum(words)
    report.documents += len(texts)
    return DocumentBatch(texts, words, read)


class _Splitter:
    """Cuts lines into documents; a document of several lines may go on over calls."""

    def __init__(self, document: Document, source: object) -> None:
        self.by_line = document == "line"
        self.source = source
        self.open: list[str] = []
        self.size = 0

    def feed(self, lines: list[str]) -> list[str]:
        """Documents that end within `lines`."""
        if self.by_line:
            return [line for line in lines if line and not line.isspace()]
        done: list[str] = []
        for line in lines:
            if line and not line.isspace():
                self.open.append(line)
                self.size += len(line)
                if self.size > MAX_DOCUMENT:
                    raise CorpusError(
                        f"{self.source} has a document of more than {MAX_DOCUMENT >> 20} million characters; put blank "
                        "lines between documents, or pass --document line"
                    )
            elif self.open:
                done += self.end()
        return done

    def record(self, text: str) -> list[str]:
        """Documents of one record, which ends the last of them."""
        return self.feed(_lines(text)) + self.end()

    def end(self) -> list[str]:
        """The document still open, if there is one."""
        done = ["\n".join(self.open)] if self.open else []
        self.open, self.size = [], 0
        return done


def _lines(text: str) -> list[str]:
    """Lines of a text whatever system wrote it; a newline at the end begins no further line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _plain_lines(source: TextFile) -> Iterator[tuple[list[str], int]]:
    for text, _, read in read_chunks(source):
        yield _lines(text), read


def _json_records(source: TextFile, field: str) -> Iterator[tuple[list[str], int]]:
    for chunk, line_number, read in read_chunks(source):
        texts: list[str] = []
        for number, line in enumerate(_lines(chunk), line_number):
            if not line or line.isspace():
                continue
            try:
                text = parse_json(line)[field]
            except ValueError as error:
                why = getattr(error, "msg", error)
                raise CorpusError(f"{source} line {number} is not a JSON object ({why}); mend the line") from None
            except (KeyError, TypeError, IndexError):
                raise CorpusError(
                    f"{source} line {number} has no field {field!r}; name the one that holds the text with --text_field"
                ) from None
            texts.append(_checked(text, field, f"{source} line {number}"))
        yield texts, read


def _hub_records(source: HubSource) -> Iterator[tuple[list[str], int]]:
    texts: list[str] = []
    size = 0
    for number, text in enumerate(source.texts()):
        texts.append(_checked(text, source.text_field, f"{source} row {number}"))
        size += len(text)
        if size >= CHUNK_BYTES:
            yield texts, size
            texts, size = [], 0
    yield texts, size


def _checked(text: object, field: str, where: str) -> str:
    """`text` if it is text that UTF-8 can hold: JSON can spell half a surrogate pair, and no tokenizer takes one."""
    if not isinstance(text, str):
        raise CorpusError(f"{where}: the field {field!r} holds {type(text).__name__}, not text; choose --text_field")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise CorpusError(f"{where}: half a surrogate pair, which is no character; mend the text") from None
    if len(text) > MAX_DOCUMENT:
        raise CorpusError(f"{where} has over {MAX_DOCUMENT >> 20} million characters; cut it into shorter records")
    return text
