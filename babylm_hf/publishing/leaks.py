"""What no published file may hold: access tokens, other secrets, folders of this machine, pickles.

The scan reads every text file line by line, and the texts within the header of a safetensors file. It errs on the side
of refusing: a file is published when nothing in it looks like a secret. Messages never repeat what was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import PublishError
from ..lines import parse_json

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        ("a Hugging Face token", r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}\b"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        ("an API key", r"\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}"),
        ("an access key of AWS", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a key of Google", r"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("a Slack token", r"\bxox[abposr]-[0-9A-Za-z-]{10,}"),
        ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
        ("a password within an address", r"\b[a-z][a-z0-9+.-]*://[^/\s:@\"']+:[^/\s:@\"']+@"),
        (
            "a secret",
            r"(?i)\b\w*(?:password|passwd|secret|api_?key|auth_?token|access_?token|hub_token|hf_token)[\"']?\s*[:=]\s*"
            r"[\"'](?!\s*[\"'])[^\"'\s<>{}]{8,}[\"']",
        ),
    )
)
_HOME = re.compile(r"(?<![\w.])(?:/home/|/Users/|/root/|[A-Za-z]:\\{1,2}Users\\{1,2})[\w.$-]+")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x1f\x8b")
# Pieces of a vocabulary are strings of the corpus: only what is this machine's or this user's own is looked for there.
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")


class LeakScan:
    """Looks for what must not leave the machine.

    Args:
        secrets: texts that may appear nowhere, such as the token in use; that of the environment is added.
        folders: folders of this machine that may not be named; the user's home is added.
    """

    def __init__(self, secrets: Iterable[str | None] = (), folders: Iterable[str | Path] = ()) -> None:
        names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
        self.secrets = {s for s in (*secrets, *(os.environ.get(name) for name in names)) if s and len(s) >= 8}
        paths = {str(path) for folder in (*folders, Path.home()) for path in (folder, Path(folder).resolve())}
        # A root folder of few letters ("/", "/tmp") is no secret and would be found in every second text.
        self.folders = sorted(path for path in paths if len(Path(path).parts) > 2)

    def check(self, path: str, content: bytes) -> None:
        """Refuse a file that holds something private.

        Args:
            path: its name in the repository, for the message.
            content: all of it, or of a large file its readable head.

        Raises:
            PublishError: naming file, line and kind of what was found, never the thing itself.
        """
        if content.startswith(_PICKLES):
            raise PublishError(f"{path} is a pickle or an archive, and only plain files are published; delete it")
        binary = b"\0" in content[:4096]
        text = content.decode("utf-8", errors="replace")
        for number, line in enumerate([text] if binary else text.splitlines(), start=1):
            found = self._found(line, Path(path).name in _VOCABULARIES or binary)
            if found is not None:
                where = path if binary else f"{path}, line {number}"
                raise PublishError(f"{where} holds what looks like {found}; remove it and publish again")

    def _found(self, line: str, own_only: bool) -> str | None:
        if any(secret in line for secret in self.secrets):
            return "an access token of yours"
        if any(folder in line for folder in self.folders):
            return "a folder of this machine"
        if own_only:
            return None
        for what, pattern in _PATTERNS:
            if pattern.search(line):
                return what
        return "a home directory" if _HOME.search(line) else None


def safetensors_header(path: Path, shown: str) -> bytes:
    """The readable head of a safetensors file, after a check that the file is whole.

    Raises:
        PublishError: the file is no safetensors file, or shorter or longer than its header says.
    """
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        head = stream.read(length) if 8 + length <= size else b""
    try:
        tensors = parse_json(head)
        ends: Sequence[int] = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PublishError(f"{shown} is not a safetensors file; save the model again") from None
    if size != 8 + length + max(ends, default=0):
        raise PublishError(f"{shown} is not whole: {size:,} bytes are not what its header says; save the model again")
    return head
