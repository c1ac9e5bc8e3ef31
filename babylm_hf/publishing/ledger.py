"""The ledger of a run: what of it is where on the Hub, with checksums. JSON lines in `published.jsonl`; it only grows.

It is a memory, not the truth: the Hub is asked as well, and a run whose ledger is lost can be published on. An entry is
on disk before the publisher goes on; a line torn by a crash is passed over.

    {"kind": "commit", "time", "endpoint", "repo_id", "revision", "commit", "files": {path: {size, sha256, remote}}}
    {"kind": "tag", "time", "endpoint", "repo_id", "revision", "commit"}
    {"kind": "failure", "time", "endpoint", "repo_id", "revision", "error"}
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import append_line, read_lines

LEDGER = "published.jsonl"


class Ledger:
    """What was published of one run to one repository.

    Args:
        path: of the file; it may hold other repositories too.
        endpoint: address of the Hub.
        repo_id: the repository.
    """

    def __init__(self, path: Path, endpoint: str, repo_id: str) -> None:
        self.path = path
        self.place = {"endpoint": endpoint, "repo_id": repo_id}

    def note(self, kind: str, revision: str, **facts: Any) -> None:
        """Add an entry; it is on disk when this returns."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        append_line(self.path, {"kind": kind, "time": time, **self.place, "revision": revision, **facts})

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """The entries of this repository, oldest first."""
        return [
            entry
            for entry in read_lines(self.path)
            if entry["kind"] == kind
            and all(entry.get(name) == value for name, value in self.place.items())
            and _is_sound(entry)
        ]

    def commit(self, revision: str) -> dict[str, Any] | None:
        """The last commit that was made, and found whole, on a branch."""
        return next((e for e in reversed(self.entries("commit")) if e["revision"] == revision), None)

    def files(self, revision: str) -> dict[str, dict[str, Any]]:
        """Path -> size, sha256 and the Hub's own name of each file of that commit."""
        found = self.commit(revision)
        return dict(found["files"]) if found else {}


def _is_sound(entry: dict[str, Any]) -> bool:
    """Whether an entry has what is asked of it; what is mangled is passed over, as the Hub is asked too."""
    files = entry.get("files", {})
    texts = [entry.get("revision"), *([entry.get("commit")] if entry["kind"] == "commit" else [])]
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(files, dict)
        and ("files" in entry or entry["kind"] != "commit")
        and all(isinstance(file, dict) and {"sha256", "remote"} <= set(file) for file in files.values())
    )
