"""Which files of a run are published: those on a list. What is not on it stays, whatever it is.

Published: weights as safetensors, configuration and tokenizer, the model's own code, card, figures, evaluation results
and the record. Never: pickles, optimizer state, resumable checkpoints, data, and files that nobody foresaw.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PublishError
from ..lines import parse_json
from .leaks import LeakScan, safetensors_header

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

_MODEL = (
    r"README\.md|LICENSE(\.\w+)?|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
    r"|(config|generation_config|training_args)\.json"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|preprocessor_config|processor_config)\.json"
    r"|(vocab|merges)\.txt|(tokenizer|spiece|spm|sentencepiece(\.bpe)?)\.model|chat_template\.jinja"
    r"|[a-z_][a-z0-9_]*\.py"
    r"|\.eval_results/[\w.-]+\.yaml"
)
_RECORD = (
    r"record/(run\.json|events\.jsonl|losses\.csv|training_config\.yaml|metadata\.json|modelcard\.md)"
    r"|record/figures/[\w.-]+\.png|record/evaluation/([\w. -]+/)*[\w. -]+\.(json|jsonl|csv|txt)"
)
_SWEEP = r"README\.md|LICENSE|sweep\.json|results\.csv|figures/[\w.-]+\.png"
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors$")
_NEVER = re.compile(r"(^|/)(\.|__pycache__|checkpoint-\d+/|chck_)")
_RISKY = re.compile(r"\.(bin|pt|pth|pkl|pickle|ckpt|npz|h5|joblib|msgpack)$")
# The published systems have these beside the model, not in a folder.
AT_ROOT = ("losses.csv", "training_config.yaml", "metadata.json", "modelcard.md")

MODEL = re.compile(_MODEL)
RUN = re.compile(f"{_MODEL}|{_RECORD}")
SWEEP = re.compile(_SWEEP)


@dataclass(frozen=True)
class PublishedFile:
    """A file that is going to be published.

    Attributes:
        path: its name in the repository.
        source: where it is, or its bytes. Small files are read once, so that what is checked is what is sent.
    """

    path: str
    source: Path | bytes

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Checksum of the content: what the Hub knows a large file by."""
        return self._digest(hashlib.sha256())

    @cached_property
    def git_oid(self) -> str:
        """What the Hub knows a small file by: git's checksum of a blob."""
        return self._digest(hashlib.sha1(b"blob %d\0" % self.size))

    def addition(self) -> CommitOperationAdd:
        """What a commit adds. The client reads the file for it, and its checksum is kept, so that we need not."""
        from huggingface_hub import CommitOperationAdd

        added = CommitOperationAdd(path_in_repo=self.path, path_or_fileobj=self.source)
        self.__dict__["sha256"] = added.upload_info.sha256.hex()
        return added

    def _digest(self, digest: hashlib._Hash) -> str:
        if isinstance(self.source, bytes):
            digest.update(self.source)
        else:
            with open(self.source, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class Selection:
    """What of a folder is published, and what is not and why."""

    files: list[PublishedFile]
    left_out: dict[str, str]


def select(folder: Path, allowed: re.Pattern[str], scan: LeakScan) -> Selection:
    """The files of a folder that are on a list, read and found free of secrets.

    Args:
        folder: of a model, a run or a sweep.
        allowed: `MODEL`, `RUN` or `SWEEP`.
        scan: looks into every text.

    Raises:
        PublishError: a file on the list holds something private, or is not what its name says.
    """
    files, left_out = [], {}
    for path, name in _walk(folder):
        if not allowed.fullmatch(name):
            left_out[name] = _why_not(name)
        elif path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            left_out[name] = "a link to somewhere else"
        else:
            files.append(_read(path, name, scan))
    _check_index(folder, files)
    return Selection(files, left_out)


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files and their names, other models' folders as one name each."""
    for path in sorted(folder.iterdir()):
        name = path.name
        if path.is_dir() and name not in ("record", ".eval_results", "figures"):
            yield path, f"{name}/"
        elif path.is_dir():
            yield from ((found, str(found.relative_to(folder).as_posix())) for found in _files(path))
        else:
            yield path, name


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _read(path: Path, name: str, scan: LeakScan) -> PublishedFile:
    published = name.removeprefix("record/") if name.removeprefix("record/") in AT_ROOT else name
    if _WEIGHTS.search(name):
        scan.check(name, safetensors_header(path, name))
        return PublishedFile(published, path)
    content = path.read_bytes()
    scan.check(name, content)
    if name.endswith(".png") and not content.startswith(b"\x89PNG\r\n"):
        raise PublishError(f"{name} is not a PNG; render the card again with `babylm-hf card`")
    if name.endswith(".json"):
        _parse(name, content)
    return PublishedFile(published, content)


def _parse(name: str, content: bytes) -> object:
    try:
        return parse_json(content)
    except ValueError as error:
        raise PublishError(f"{name} is not JSON ({error}); it may have been cut off, save the model again") from error


def _check_index(folder: Path, files: list[PublishedFile]) -> None:
    """Weights in several files are published only if all of them are there."""
    index = next((file for file in files if file.path == "model.safetensors.index.json"), None)
    if index is None or not isinstance(index.source, bytes):
        return
    there = {file.path for file in files}
    missing = sorted(set(json.loads(index.source)["weight_map"].values()) - there)
    if missing:
        raise PublishError(f"{folder.name} lacks {', '.join(missing)}, which its index names; save the model again")


def _why_not(name: str) -> str:
    if name.startswith("checkpoint-"):
        return "training state"
    if name.startswith("chck_"):
        return "a milestone: it has a branch of its own"
    if _RISKY.search(name):
        return "may be a pickle"
    return "hidden" if _NEVER.search(name) else "not on the list of published files"
