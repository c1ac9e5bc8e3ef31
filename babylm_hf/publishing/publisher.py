"""The publisher: a run goes to the Hub, milestone by milestone, and nothing of it gets lost on the way.

Every milestone has a branch of its own, the final model is on `main`. A branch gets one commit that holds everything,
made on condition that nobody has changed the branch since it was looked at, and is read back afterwards. Each step
begins by asking the Hub what is there: so it can be repeated after any failure, and what has arrived is not sent again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial as partial_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PublishError, RunFolderError
from . import access
from .allowlist import PublishedFile
from .blocks import merge
from .card import CARD
from .files import write_whole
from .ledger import Ledger
from .outcome import Outcome, short
from .packages import MAIN, Package, RunFolder
from .remote import Branch, change, differing, hand_written, read_branch
from .retry import Retry, is_conflict, is_passing, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_MARK = "babylm_hf run "


class HubPublisher:
    """Publishes one run to one repository of the Hub.

    Args:
        api: the client, which knows endpoint and token; only its methods are used.
        repo_id: `namespace/name`, or a name in the namespace of the token's user.
        run_dir: the output folder of the run.
        private: whether the repository is made private. One that exists is opened by False, never closed by True.
        retry: how failures that pass are met.

    Attributes:
        repo_id: with its namespace, once `check` has been called.

    Raises:
        OptionError: a name that the Hub would not take.
        RunFolderError: when something is published, and `run_dir` holds no run.
    """

    def __init__(
        self,
        api: HfApi,
        repo_id: str,
        run_dir: str | Path,
        *,
        private: bool = True,
        retry: Retry | None = None,
    ) -> None:
        access.check_name(repo_id)
        self.api, self.repo_id, self.run_dir, self.private = api, repo_id, Path(run_dir), private
        self.retry = retry or Retry()
        self._root: str | None = None
        self._prepared = False
        self._committed: set[str] = set()
        self._run: RunFolder | None = None

    # ---- before anything is sent

    @property
    def run(self) -> RunFolder:
        """The run on disk."""
        if self._run is None:
            self._run = self._open()
        return self._run

    def _open(self) -> RunFolder:
        token = self.api.token if isinstance(self.api.token, str) else None
        return RunFolder(self.run_dir, (token,))

    def _begun(self) -> bool:
        return self.run_dir.joinpath("record", "run.json").is_file()

    def reopen(self) -> None:
        """Read the run again, whose record may have changed since it was looked at."""
        self._run = None

    @property
    def ledger(self) -> Ledger:
        """What has been published of the run to this repository."""
        return Ledger(self.run.ledger_path, self.api.endpoint, self.repo_id)

    def check(self) -> None:
        """See to it that a run can be published before it is: token, rights, name, and what the repository holds.

        Makes the repository if there is none.

        Raises:
            PublishError: the token is missing or may not write; the repository holds something else.
        """
        self.sign_in()
        self.prepare()

    def sign_in(self) -> None:
        """Ask the Hub whose the token is, which completes `repo_id`.

        Raises:
            PublishError: the token is missing, not valid, or may not write to the namespace.
        """
        self.repo_id = self.retry(lambda: access.full_name(self.api, self.repo_id), "asking the Hub who we are")

    def prepare(self) -> None:
        """Make the repository if there is none, and refuse one that holds something else.

        Raises:
            PublishError: the token may not write to it, or a branch that the run needs belongs to something else.
        """
        self.retry(lambda: access.prepare_repository(self.api, self.repo_id, self.private), f"making {self.repo_id}")
        self.retry(self._refuse_other_runs if self._begun() else self._refuse_full, f"looking into {self.repo_id}")
        self._prepared = True

    def ensure_prepared(self) -> None:
        """Do `check` if it has not succeeded yet, because the Hub could not be reached when the run began."""
        if not self._prepared:
            self.check()

    def _refuse_other_runs(self) -> None:
        """Raise PublishError if a branch that the run needs belongs to something else."""
        heads = self._heads()
        for revision in [*self.run.milestones(), MAIN]:
            if revision in heads and self._known(revision, heads[revision]) is None:
                branch = read_branch(self.api, self.repo_id, heads[revision])
                try:
                    wanted = self.run.package(revision).files
                except RunFolderError:  # not trained that far yet
                    wanted = []
                change(branch, wanted, None, f"{self.repo_id}, branch {revision},")

    def _refuse_full(self) -> None:
        """For a run that has not begun: raise PublishError if the repository holds any model."""
        heads = self._heads()
        full = [name for name, head in heads.items() if name == MAIN or name.startswith("chck_") if self._holds(head)]
        if full:
            raise PublishError(
                f"{self.repo_id} holds something else already (on {', '.join(full)}); "
                "choose another --hub_model_id, or continue that run with --resume_from_checkpoint auto"
            )

    def _holds(self, head: str) -> bool:
        return any(name.endswith((".safetensors", ".bin")) for name in read_branch(self.api, self.repo_id, head).files)

    # ---- publishing

    def publish(self, *, partial: bool = False, tag: str | None = None) -> Outcome:
        """Publish what is not there yet: every milestone, and the final model.

        Args:
            partial: be content with a run that lacks its end or some milestones.
            tag: mark the final model as this release.

        Raises:
            RunFolderError, PublishError: said before anything is sent, if the run cannot be published as asked; or
                at the end, naming what has not arrived and why.
        """
        self.reopen()
        self.run.revisions(partial, self._published())
        try:
            self.sign_in()
            revisions = self.run.revisions(partial, self._published())
            if tag is not None and MAIN not in revisions:
                raise RunFolderError(f"--tag {tag} needs the final model; finish the run first")
            self.run.render(self.repo_id, revisions)
            packages = [self.run.package(revision) for revision in revisions]
            self.prepare()
        except Exception as error:
            raise access.explain(error, self.repo_id) from error
        outcome = Outcome()
        self.send_all({package.revision: partial_of(self.send, package) for package in packages}, outcome)
        if tag is not None and not outcome.failed:
            self.send_all({tag: partial_of(self.tag, tag)}, outcome)
        if outcome.failed:
            raise PublishError(outcome.complaint(self.repo_id, self.run_dir))
        return outcome

    def plan(self, partial: bool = False) -> list[Package]:
        """What `publish` would send, file by file; no network is needed, and cards are brought up to date.

        Raises:
            RunFolderError, PublishError: as `publish`, as far as it can be known without the Hub.
        """
        revisions = self.run.revisions(partial, self._published())
        self.run.render(None, revisions)
        return [self.run.package(revision) for revision in revisions]

    def _published(self) -> frozenset[str]:
        return frozenset(entry["revision"] for entry in self.ledger.entries("commit"))

    def send_all(self, work: dict[str, Callable[[], bool]], outcome: Outcome) -> None:
        """Do each piece of work; one that fails does not keep the others from arriving, unless the Hub is away."""
        away: Exception | None = None
        for name, send in work.items():
            if away is not None:
                outcome.failed[name] = away
                continue
            try:
                (outcome.sent if send() else outcome.unchanged).append(name)
            except Exception as error:
                outcome.failed[name] = explained = access.explain(error, self.repo_id)
                if is_passing(error) or status_of(error) in (401, 403):
                    away = explained
                with contextlib.suppress(OSError):  # the disk may be what is wrong
                    self.ledger.note("failure", name, error=short(explained))

    def send(self, package: Package) -> bool:
        """Bring one package to its branch and read it back; True if a commit was needed.

        Raises:
            PublishError: the branch holds something else, or what arrived is not what was sent.
            huggingface_hub.errors.HfHubHTTPError, httpx errors: the Hub could not be reached or refused.
        """
        self._committed.discard(package.revision)
        return self.retry(lambda: self._send(package), f"publishing {package.revision} to {self.repo_id}")

    def _send(self, package: Package) -> bool:
        head = self._head(package.revision)
        noted = self.ledger.commit(package.revision)
        if noted is not None and noted["commit"] == head and _same(package.files, noted["files"]):
            return False
        branch = read_branch(self.api, self.repo_id, head)
        files = self._with_remote_text(package, branch)
        where = f"{self.repo_id}, branch {package.revision},"
        needed = change(branch, files, self._known(package.revision, head), where)
        if needed:
            head = self._commit(package, needed.add, needed.delete, head)
            branch = read_branch(self.api, self.repo_id, head)
        if wrong := differing(branch, files):
            raise PublishError(f"{where} does not hold {', '.join(wrong[:5])} as sent; publish again")
        if needed or noted is None or noted["commit"] != head or not _same(files, noted["files"]):
            names = {f.path: {"size": f.size, "sha256": f.sha256, "remote": branch.files[f.path].name} for f in files}
            self.ledger.note("commit", package.revision, commit=head, files=names)
        return bool(needed) or package.revision in self._committed

    def _commit(self, package: Package, add: list[PublishedFile], delete: list[str], parent: str) -> str:
        from huggingface_hub import CommitOperationDelete

        operations: list[Any] = [file.addition() for file in add]
        operations += [CommitOperationDelete(path_in_repo=path) for path in delete]
        self._committed.add(package.revision)  # it may have been made although no answer comes
        made = self.api.create_commit(
            self.repo_id,
            operations,
            commit_message=package.title,
            commit_description=f"{_MARK}{self.run.run_id}",
            revision=package.revision,
            parent_commit=parent,
        )
        return made.oid

    def _with_remote_text(self, package: Package, branch: Branch) -> list[PublishedFile]:
        """The files of a package, the card with what a person has written into it on the Hub since."""
        card = next(file for file in package.files if file.path == CARD)
        there, noted = branch.files.get(CARD), self.ledger.files(package.revision).get(CARD)
        if there is None or there.holds(card) or (noted is not None and noted["remote"] == there.name):
            return package.files
        path = self.api.hf_hub_download(self.repo_id, CARD, revision=branch.head)
        remote, local = Path(path).read_text(encoding="utf-8"), bytes(card.source).decode("utf-8")
        theirs, ours = hand_written(remote), hand_written(local)
        if ours and theirs and ours != theirs:
            raise PublishError(
                f"{CARD} of {package.revision} was edited both here and on the Hub; bring the texts outside the marked "
                "blocks together in the file here, put the same into the Hub's, and publish again"
            )
        where = f"{CARD} of {self.repo_id}, branch {package.revision},"
        merged = local if ours and not theirs else merge(remote, local, where)
        if merged != local:  # what was written on the Hub comes home, and is there when the card is rendered again
            write_whole(self.run.folder(package.revision) / CARD, merged)
        return [PublishedFile(CARD, merged.encode("utf-8")) if file is card else file for file in package.files]

    def tag(self, name: str) -> bool:
        """Mark the final model as a release; True if the tag is new.

        Raises:
            PublishError: the tag marks another commit.
        """
        return self.retry(lambda: self._tag(name), f"tagging {self.repo_id} as {name}")

    def _tag(self, name: str) -> bool:
        refs = self.api.list_repo_refs(self.repo_id)
        commit = next(ref.target_commit for ref in refs.branches if ref.name == MAIN)
        tagged = next((ref.target_commit for ref in refs.tags if ref.name == name), None)
        if tagged == commit:
            return False
        if tagged is not None:
            raise PublishError(f"the tag {name} of {self.repo_id} marks another commit; choose a new one")
        self.api.create_tag(self.repo_id, tag=name, revision=commit)
        self.ledger.note("tag", name, commit=commit)
        return True

    # ---- what the Hub says

    def _heads(self) -> dict[str, str]:
        return {ref.name: ref.target_commit for ref in self.api.list_repo_refs(self.repo_id).branches}

    def _head(self, revision: str) -> str:
        """The newest commit of a branch. A branch that is missing is made, at the repository's first, empty commit."""
        heads = self._heads()
        if revision not in heads:
            if self._root is None:
                self._root = self.api.list_repo_commits(self.repo_id, revision=MAIN)[-1].commit_id
            try:
                self.api.create_branch(self.repo_id, branch=revision, revision=self._root)
            except Exception as error:
                if not is_conflict(error):
                    raise
            return self._heads().get(revision) or self._root
        return heads[revision]

    def _known(self, revision: str, head: str) -> dict[str, str] | None:
        """Path -> the Hub's name of what the run put on a branch last; by the ledger, or by the mark on its commits."""
        noted = {path: file["remote"] for path, file in self.ledger.files(revision).items()}
        if noted:
            return noted
        for commit in self.api.list_repo_commits(self.repo_id, revision=revision):
            if f"{_MARK}{self.run.run_id}" in (commit.message or ""):
                found = read_branch(self.api, self.repo_id, commit.commit_id)
                return {path: file.name for path, file in found.files.items() if path != ".gitattributes"}
        return None


def _same(files: list[PublishedFile], noted: dict[str, dict[str, Any]]) -> bool:
    """Whether files are those of an entry of the ledger."""
    return {f.path: f.sha256 for f in files} == {path: entry["sha256"] for path, entry in noted.items()}
