"""A run on disk as what is published of it: a package of files for `main`, and one for each milestone's branch."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PublishError, RunFolderError
from .allowlist import MODEL, RUN, PublishedFile, Selection, select
from .card import CARD, write_card
from .eval_results import FOLDER
from .export import export_artefacts
from .files import write_whole
from .leaks import LeakScan
from .ledger import LEDGER
from .record import RunRecord
from .validation import check_card, check_results

MAIN = "main"
_MODEL_FILES = ("config.json", "README.md")
_MILESTONE = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Package:
    """What belongs on one branch, in one commit.

    Attributes:
        revision: the branch: `main`, or a milestone's name.
        title: of the commit.
        files: what is sent.
        left_out: what stays, and why.
    """

    revision: str
    title: str
    files: list[PublishedFile]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


class RunFolder:
    """The output folder of a run, seen by who publishes it.

    Args:
        path: the folder.
        secrets: texts that may be in no file, such as the access token in use.

    Raises:
        RunFolderError: there is no record in it.
    """

    def __init__(self, path: str | Path, secrets: tuple[str | None, ...] = ()) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise RunFolderError(f"{path} is not a folder; give the output folder of a run")
        self.record = RunRecord.open(self.path / "record")
        self.scan = LeakScan(secrets, [self.path.resolve()])

    @property
    def ledger_path(self) -> Path:
        """Where it is noted what of the run is where."""
        return self.path / LEDGER

    @property
    def run_id(self) -> str:
        """What every commit of the run is marked with, so that it is known again without the ledger."""
        manifest = self.record.manifest
        facts = [manifest.get("created"), manifest.get("seed"), (manifest.get("plan") or {}).get("fingerprint")]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def milestones(self) -> list[str]:
        """Names of the milestones that the run has reached, in order.

        Raises:
            RunFolderError: the record has one that is no name of a folder in the run's.
        """
        names = [event.get("name") for event in self.record.events("milestone")]
        if wrong := [name for name in names if not (isinstance(name, str) and _MILESTONE.fullmatch(name))]:
            raise RunFolderError(
                f"the record of {self.path} has a milestone called {wrong[0]!r}, which is not a folder of the run; "
                "restore record/events.jsonl from a copy"
            )
        return list(dict.fromkeys(str(name) for name in names))

    def has_final(self) -> bool:
        """Whether the final model has been saved."""
        return (self.path / "config.json").is_file() and any(self.path.glob("model*.safetensors"))

    def revisions(self, partial: bool = False, elsewhere: frozenset[str] = frozenset()) -> list[str]:
        """The branches that the run has something for: its milestones, and `main` last.

        Args:
            partial: take what is there.
            elsewhere: milestones that may be missing here, because they have been published.

        Raises:
            RunFolderError: something is missing and `partial` is not set.
        """
        found = [name for name in self.milestones() if (self.path / name / "config.json").is_file()]
        missing = [name for name in self.milestones() if name not in found and name not in elsewhere]
        if missing and not partial:
            raise RunFolderError(
                f"{self.path} lacks {', '.join(missing)}, which its record has; restore the folder, "
                "or pass --partial to publish what is there"
            )
        if self.has_final():
            return [*found, MAIN]
        if partial and found:
            return found
        raise RunFolderError(
            f"{self.path} is incomplete: it has no final model; finish the run with --resume_from_checkpoint auto"
            + (", or pass --partial to publish its milestones" if found else "")
        )

    def render(self, repo_id: str | None, revisions: list[str]) -> None:
        """Write the cards of the revisions anew, with links to a repository; hand-written text in them stays.

        Args:
            repo_id: the repository; None keeps the one that the record names, if it names one.
            revisions: which cards.

        Raises:
            PublishError: the disk is full or read-only; nothing has been sent.
        """
        try:
            card = self.record.manifest.get("card") or {}
            if repo_id is not None and card.get("repo_id") != repo_id:
                self.record.update(card={**card, "repo_id": repo_id})
            for revision in revisions:
                milestone = None if revision == MAIN else revision
                path = write_card(self.record, self.folder(revision), milestone)
                if milestone is None:
                    export_artefacts(self.record)
                    write_whole(self.record.folder / "modelcard.md", path.read_bytes())
        except OSError as error:
            raise PublishError(
                f"the cards of {self.path} cannot be written ({error.strerror or error}); make room and publish again"
            ) from error

    def folder(self, revision: str) -> Path:
        """Where the model of a branch is."""
        return self.path if revision == MAIN else self.path / revision

    def package(self, revision: str) -> Package:
        """The files of a branch, each read, scanned and checked.

        Raises:
            PublishError: a file may not be published; card or results would be refused by the Hub.
            RunFolderError: the model is not complete.
        """
        folder = self.folder(revision)
        if not folder.is_dir():
            raise RunFolderError(f"{folder} is gone; restore it and publish again")
        selection = select(folder, RUN if revision == MAIN else MODEL, self.scan)
        self._check(folder, selection)
        name = self.record.manifest.get("name") or self.path.name
        title = f"{name}: the final model" if revision == MAIN else f"{name}: milestone {revision}"
        return Package(revision, title, selection.files, selection.left_out)

    def _check(self, folder: Path, selection: Selection) -> None:
        contents = {file.path: file.source for file in selection.files}
        missing = [name for name in _MODEL_FILES if name not in contents]
        weights = [path for path in contents if path.endswith(".safetensors")]
        if missing or not weights:
            lacking = ", ".join(missing + ([] if weights else ["model.safetensors"]))
            raise RunFolderError(
                f"{folder} is incomplete: it lacks {lacking}; render the card with `babylm-hf card`, "
                "or finish the run with --resume_from_checkpoint auto"
            )
        for path, source in contents.items():
            if isinstance(source, bytes) and path == CARD:
                check_card(source.decode("utf-8"), f"{folder.name}/{path}")
            elif isinstance(source, bytes) and path.startswith(FOLDER):
                check_results(source.decode("utf-8"), f"{folder.name}/{path}")
