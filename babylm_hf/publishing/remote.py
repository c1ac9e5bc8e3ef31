"""What is on the Hub now, and what a commit has to change there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PublishError
from .allowlist import PublishedFile
from .blocks import split_body, split_card
from .card import CARD

# What the Hub itself, or a person on its web page, puts beside a model; never a reason to refuse.
_NEUTRAL = (".gitattributes", CARD, "LICENSE")


@dataclass(frozen=True)
class RemoteFile:
    """A file on a branch: size, and the Hub's own name for its content."""

    size: int
    name: str
    large: bool

    def holds(self, file: PublishedFile) -> bool:
        """Whether its content is that of a local file."""
        return self.size == file.size and self.name == (file.sha256 if self.large else file.git_oid)


@dataclass(frozen=True)
class Branch:
    """A branch as it is: its newest commit and the files of that."""

    head: str
    files: dict[str, RemoteFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What makes a branch hold a package."""

    add: list[PublishedFile]
    delete: list[str]

    def __bool__(self) -> bool:
        return bool(self.add or self.delete)


def read_branch(api: Any, repo_id: str, head: str) -> Branch:
    """The files of a commit."""
    from huggingface_hub.hf_api import RepoFile

    files = {}
    for entry in api.list_repo_tree(repo_id, revision=head, recursive=True):
        if isinstance(entry, RepoFile):
            name = entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
            files[entry.path] = RemoteFile(entry.size, name, entry.lfs is not None)
    return Branch(head, files)


def change(branch: Branch, wanted: list[PublishedFile], known: Mapping[str, str] | None, where: str) -> Change:
    """What has to be added to a branch and taken from it so that it holds the files wanted.

    Args:
        branch: as it is.
        wanted: files of the package.
        known: path -> the Hub's name of the content that this run put there last; None if the branch holds another
            run's files or is new.
        where: repository and branch, for messages.

    Raises:
        PublishError: the branch holds something else, which would be lost.
    """
    known = known or {}
    wanted_paths = {file.path: file for file in wanted}
    strangers = []
    for path, there in branch.files.items():
        ours = known.get(path) == there.name or (path in wanted_paths and there.holds(wanted_paths[path]))
        if not ours and path not in _NEUTRAL and (path in wanted_paths or not known):
            strangers.append(path)
    if strangers:
        shown = ", ".join(sorted(strangers)[:5]) + (", ..." if len(strangers) > 5 else "")
        if known:
            raise PublishError(
                f"{where} was changed by somebody since it was published ({shown}), and that is not overwritten; "
                "take the change over into the run folder, or undo it on the Hub"
            )
        raise PublishError(
            f"{where} holds something else ({shown}), and nothing of it is overwritten; "
            "choose another --repo-id, or move those files away on the Hub"
        )
    add = [file for file in wanted if file.path not in branch.files or not branch.files[file.path].holds(file)]
    gone = [p for p in known if p in branch.files and p not in wanted_paths and branch.files[p].name == known[p]]
    return Change(add, sorted(path for path in gone if path not in _NEUTRAL))


def differing(branch: Branch, wanted: list[PublishedFile]) -> list[str]:
    """Files that are not on the branch as they are here."""
    return [f.path for f in wanted if f.path not in branch.files or not branch.files[f.path].holds(f)]


def hand_written(card: str) -> str:
    """The text of a card outside its generated blocks."""
    _, body = split_card(card)
    return "".join(part.text for part in split_body(body) if part.name is None).strip()
