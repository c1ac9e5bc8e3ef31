"""What a Hub keeps: repositories of branches, tags and commits, large files by checksum, accounts and collections.

A commit is a whole snapshot of its files. Nothing is written to disk.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field

LFS_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".png", ".model", ".npy")
ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


class Refused(Exception):
    """The Hub says no: status, the code its clients look at, and a sentence."""

    def __init__(self, status: int, message: str, code: str | None = None, **body: object) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


@dataclass(frozen=True)
class Blob:
    """A file of a commit; `lfs` says whether it was uploaded as a large file."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_oid(self) -> str:
        """Git's checksum of the file, or of the pointer that stands for a large file."""
        content = self.content
        if self.lfs:
            lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}", f"size {len(content)}")
            content = "".join(f"{line}\n" for line in lines).encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    message: str
    files: dict[str, Blob]


@dataclass
class Repository:
    """One repository of a Hub; it is born with a commit that holds `.gitattributes`, as on the Hub."""

    name: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    kind: str = "model"
    _numbers: itertools.count = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.write("main", {".gitattributes": Blob(ATTRIBUTES, False)}, "initial commit")

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, tag or (shortened) oid."""
        oid = self.branches.get(revision) or self.tags.get(revision)
        if oid is None and len(revision) >= 7:
            oid = next((known for known in self.commits if known.startswith(revision)), None)
        if oid is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def write(self, branch: str, files: dict[str, Blob], title: str, message: str = "") -> Commit:
        """Put a commit on a branch."""
        parent = self.branches.get(branch)
        seed = f"{self.name} {next(self._numbers)} {parent} {title}"
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, message, files)
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid
        return commit

    def edit(self, branch: str, title: str = "edited by hand", **files: bytes | None) -> Commit:
        """What a person does on the web page; `README_md=b"..."` edits README.md, None deletes."""
        named = {name.replace("_md", ".md").replace("_json", ".json"): content for name, content in files.items()}
        changed = {**self.resolve(branch).files}
        for name, content in named.items():
            changed.pop(name, None)
            if content is not None:
                changed[name] = Blob(content, name.endswith(LFS_ENDINGS))
        return self.write(branch, changed, title)

    def history(self, revision: str) -> list[Commit]:
        """Commits from the newest to the first."""
        found = [self.resolve(revision)]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found

    def commit(self, branch: str, lines: list[dict], large: dict[str, bytes]) -> Commit:
        """A commit as clients send it: a header, then files, large files and deletions."""
        if branch not in self.branches:
            raise Refused(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        header, *operations = lines
        head, expected = self.branches[branch], header["value"].get("parentCommit")
        if expected is not None and not head.startswith(expected):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(self.commits[head].files)
        for operation in operations:
            self._apply(files, operation["key"], operation["value"], large)
        value = header["value"]
        return self.write(branch, files, value["summary"], value.get("description", ""))

    @staticmethod
    def _apply(files: dict[str, Blob], key: str, value: dict, large: dict[str, bytes]) -> None:
        import base64

        path = value["path"]
        if key == "file":
            files[path] = Blob(base64.b64decode(value["content"]), False)
        elif key == "lfsFile":
            if value["oid"] not in large or len(large[value["oid"]]) != value["size"]:
                raise Refused(400, f"{path}: the large file {value['oid']} was never uploaded")
            files[path] = Blob(large[value["oid"]], True)
        elif key == "deletedFile":
            if path not in files:
                raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            del files[path]
        else:
            raise Refused(400, f"unknown operation {key}")


@dataclass(frozen=True)
class Account:
    """Who a token belongs to and what it may do."""

    name: str
    role: str = "write"
    organisations: tuple[str, ...] = ()

    def describe(self) -> dict:
        organisations = [{"name": name, "type": "org"} for name in self.organisations]
        token = {"displayName": "test", "role": self.role}
        return {"type": "user", "name": self.name, "orgs": organisations, "auth": {"accessToken": token}}

    def may_write(self, repository: str) -> bool:
        return self.role != "read" and repository.split("/")[0] in (self.name, *self.organisations)


class Store:
    """Everything one Hub keeps; `lock` is held by whoever changes it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        self.accounts: dict[str, Account] = {}
        self.collections: dict[str, dict] = {}
        self.large: dict[str, bytes] = {}

    def create(self, name: str, private: bool) -> Repository:
        """A new repository; 409 if there is one."""
        if name in self.repositories:
            raise Refused(409, "You already created this model repo")
        self.repositories[name] = Repository(name, private)
        return self.repositories[name]

    def find(self, name: str, account: Account | None) -> Repository:
        """A repository that the account may see."""
        found = self.repositories.get(name)
        if found is None or (found.private and (account is None or not self._reads(account, name))):
            raise Refused(404, "Repository not found", "RepoNotFound")
        return found

    @staticmethod
    def _reads(account: Account, name: str) -> bool:
        return name.split("/")[0] in (account.name, *account.organisations)

    def collect(self, title: str, namespace: str, private: bool) -> dict:
        """A new collection; 409 with its slug if there is one."""
        slug = f"{namespace}/{title.lower().replace(' ', '-')}-0123456789abcdef01234567"
        if slug in self.collections:
            raise Refused(409, "exists", slug=slug)
        self.collections[slug] = {
            "slug": slug, "title": title, "owner": {"name": namespace}, "items": [], "position": 0, "theme": "blue",
            "lastUpdated": "2026-01-01T00:00:00.000Z", "private": private, "upvotes": 0,
        }  # fmt: skip
        return self.collections[slug]

    def add_item(self, slug: str, item: dict, note: str | None) -> dict:
        """Put a repository into a collection; 409 if it is there."""
        collection = self.collections.get(slug)
        if collection is None:
            raise Refused(404, "Collection not found")
        if any(known["id"] == item["id"] for known in collection["items"]):
            raise Refused(409, "already in the collection")
        entry = {"_id": str(len(collection["items"])), **item, "position": len(collection["items"])}
        collection["items"].append({**entry, "note": {"text": note}} if note else entry)
        return collection
