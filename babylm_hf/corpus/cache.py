"""The cache of token streams: a folder for each, complete or absent, safe with several processes at once.

A stream is written into a folder of its own beside the others and renamed into place when it is whole, so a process
that is killed leaves nothing that could be taken for a stream. Sizes and checksums tell a damaged one, which is made
again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from .documents import SourceReport

# Part of every fingerprint: raise it when the same text and tokenizer give other files than before.
FORMAT = 1
STREAM_FILES = ("tokens.bin", "word_starts.bin", "document_starts.bin", "token_counts.bin")


@dataclass
class StreamInfo:
    """What a token stream holds and what it was made of.

    Attributes:
        fingerprint: SHA-256 of text, tokenizer and options.
        num_tokens: token ids, special tokens included.
        num_words: whitespace words of the text.
        num_documents: documents.
        vocab_size: one more than the largest id of the tokenizer.
        pad_id: what fills the last row.
        document: what ended a document.
        tokenizer_sha256: of the tokenizer's serialised form.
        token_type: numpy type of the ids on disk.
        sources: the files and data sets.
        files: size in bytes and CRC-32 of each file.
    """

    fingerprint: str
    num_tokens: int
    num_words: int
    num_documents: int
    vocab_size: int
    pad_id: int
    document: str
    tokenizer_sha256: str
    token_type: str
    sources: list[SourceReport] = field(default_factory=list)
    files: dict[str, list[int]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """What a run record tells of the data, as JSON can say it."""
        facts = asdict(self)
        return {name: facts[name] for name in facts if name not in ("files", "token_type", "pad_id")}


def read_info(folder: Path) -> StreamInfo:
    """The info of a stream on disk.

    Raises:
        CorpusError: there is none, or it cannot be read.
    """
    path = folder / "info.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        facts = entry["info"]
        if entry["crc32"] != _facts_checksum(facts):
            raise ValueError("its checksum differs")
        facts["sources"] = [SourceReport(**source) for source in facts["sources"]]
        return StreamInfo(**facts)
    except FileNotFoundError:
        raise CorpusError(f"{folder} holds no token stream; make one with TokenStream.build") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is damaged ({error}); delete the folder and build the stream again") from None


def check_files(folder: Path, info: StreamInfo, contents: bool = False) -> None:
    """Compares the files with what `info` says of them: sizes, and with `contents` every byte.

    Raises:
        CorpusError: a file is missing or differs.
    """
    for name, (size, checksum) in info.files.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size or (contents and file_checksum(path) != checksum):
            what = "is missing" if found is None else f"is damaged ({found} bytes, made with {size})"
            raise CorpusError(f"{path} {what}; delete the folder and build the stream again")


def write_info(folder: Path, info: StreamInfo) -> None:
    """Writes the info last, with sizes and checksums of the other files."""
    info.files = {name: [(folder / name).stat().st_size, file_checksum(folder / name)] for name in STREAM_FILES}
    facts = asdict(info)
    entry = {"crc32": _facts_checksum(facts), "info": facts}
    (folder / "info.json").write_text(json.dumps(entry, indent=1, sort_keys=True), encoding="utf-8")


def _facts_checksum(facts: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


def file_checksum(path: Path) -> int:
    """CRC-32 of a file."""
    checksum = 0
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            checksum = zlib.crc32(data, checksum)
    return checksum


def is_whole(folder: Path) -> bool:
    """Whether `folder` holds an undamaged stream; reads all of it."""
    try:
        check_files(folder, read_info(folder), contents=True)
    except CorpusError:
        return False
    return True


def publish(folder: Path, write: Callable[[Path], Any], whole: Callable[[Path], bool] = is_whole) -> None:
    """Has `write` fill a new folder and gives it the name `folder`, unless another process has done so meanwhile.

    `whole` says whether a folder that has the name already is undamaged; if it is not, it makes way.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name[:16]}-", dir=folder.parent))
    try:
        write(made)
        made.chmod(0o777 & ~_umask())
        while not _rename(made, folder):
            if whole(folder):
                return
            _move_away(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _rename(made: Path, folder: Path) -> bool:
    """Whether `made` got the name; a folder with files in it is never overwritten."""
    try:
        os.replace(made, folder)
    except OSError:
        if not folder.exists():
            raise
        return False
    return True


def _move_away(folder: Path) -> None:
    """Takes a damaged stream out of the way; its files stay readable to whoever has them mapped."""
    aside = folder.with_name(f".damaged-{uuid.uuid4().hex}")
    try:
        os.replace(folder, aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """The process's file mode mask: a temporary folder is private, a cache is as public as any other folder."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
