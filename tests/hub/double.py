"""A Hub on this machine, for the real `huggingface_hub` client: the endpoints it calls, standard library only.

    with HubDouble() as hub:
        api = HfApi(endpoint=hub.url, token=hub.token)

It checks the sha256 of every upload, refuses commits to branches that do not exist (404) or have moved on (412), hides
private repositories, and fails on demand: `hub.fail("POST .*/commit/", status=503)`. Large files go the way of git LFS;
xet has to be switched off in the client.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub.repositories import LFS_ENDINGS, Account, Blob, Refused, Repository, Store

PAGE = 7
"""Entries in a page of a tree: small, so that clients have to turn pages."""


@dataclass
class Fault:
    """What goes wrong with requests whose "METHOD path" matches.

    Attributes:
        pattern: a regular expression, searched.
        status: the answer, unless the connection is to break.
        times: how often; it is used up by then.
        headers: of the answer.
        drop: "before" breaks the connection in the middle of the upload, "after" does what was asked and then breaks it
            instead of answering.
        do: called first, for mischief behind the client's back.
    """

    pattern: str
    status: int = 503
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    do: Callable[[], Any] | None = None
    skip: int = 0


class HubDouble:
    """A Hub that lives as long as the `with` block.

    Attributes:
        url: its endpoint.
        token: a token of the user "me", who may write and is a member of "team".
        store: what it keeps.
        requests: "METHOD path" of every request, in order.
    """

    token = "hf_" + "T" * 34
    reading_token = "hf_" + "R" * 34

    def __init__(self) -> None:
        self.store = Store()
        self.store.accounts = {
            self.token: Account("me", "write", ("team",)),
            self.reading_token: Account("me", "read"),
        }
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> HubDouble:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fail(self, pattern: str, status: int = 503, **more: Any) -> Fault:
        """Let requests fail, see `Fault`; the newest fault that matches is the one that strikes."""
        self.faults.insert(0, Fault(pattern, status, **more))
        return self.faults[0]

    def repository(self, name: str) -> Repository:
        """A repository, to look into."""
        return self.store.repositories[name]

    def count(self, pattern: str) -> int:
        """Requests so far that match."""
        return sum(bool(re.search(pattern, line)) for line in self.requests)

    def strike(self, line: str) -> Fault | None:
        """The fault that a request meets, used up once."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, line):
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: HubDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer with a body waits 40 ms for the client to have read its head

    def log_message(self, *args: object) -> None:
        """Tests are silent."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.route, self.query = unquote(parts.path), parse_qs(parts.query)
        line = f"{self.command} {self.route}"
        fault = self.hub.strike(line)
        self.hub.requests.append(line)
        if fault is not None and fault.do is not None:
            fault.do()
            fault = None if fault.status == 200 else fault
        if fault is not None and fault.drop == "before":
            self.rfile.read(min(10, int(self.headers.get("Content-Length") or 0)))
            return self._break()
        self.body = self._read()
        if fault is not None and fault.drop is None:
            return self._answer(fault.status, {"error": "out of order"}, fault.headers)
        try:
            with self.hub.store.lock:
                answer = self._dispatch()
        except Refused as refused:
            answer = (refused.status, {"error": refused.message, **refused.body}, self._error_headers(refused))
        if fault is not None:
            return self._break()
        self._answer(*answer)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    @staticmethod
    def _error_headers(refused: Refused) -> dict[str, str]:
        headers = {"X-Error-Message": refused.message}
        return headers | ({"X-Error-Code": refused.code} if refused.code else {})

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # ---- who asks, and for what

    def _account(self) -> Account | None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not given:
            return None
        if given not in self.hub.store.accounts:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.hub.store.accounts[given]

    def _writer(self, name: str) -> Account:
        account = self._account()
        if account is None or not account.may_write(name):
            raise Refused(403, f"You don't have the rights to write to {name}")
        return account

    def _dispatch(self) -> tuple[int, Any, dict[str, str]]:
        for method, pattern, action in ROUTES:
            found = re.fullmatch(pattern, self.route)
            if found is not None and self.command in method.split():
                answer = action(self, *found.groups())
                return answer if isinstance(answer, tuple) else (200, answer, {})
        raise Refused(404, f"the double does not know {self.command} {self.route}")

    def _json(self) -> dict:
        return json.loads(self.body or b"{}")

    # ---- the endpoints

    def whoami(self) -> Any:
        account = self._account()
        if account is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return account.describe()

    def create(self) -> Any:
        asked = self._json()
        name = f"{asked.get('organization') or self.whoami()['name']}/{asked['name']}"
        self._writer(name)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        url = f"{self.hub.url}/{name}"
        try:
            self.hub.store.create(name, private)
        except Refused as refused:
            raise Refused(409, refused.message, url=url) from None
        return {"url": url}

    def settings(self, name: str) -> Any:
        self._writer(name)
        self.hub.store.find(name, self._account()).private = self._json()["visibility"] == "private"
        return {}

    def branch(self, name: str, branch: str) -> Any:
        self._writer(name)
        repository = self.hub.store.find(name, self._account())
        if self.command == "DELETE":
            repository.branches.pop(branch)
            return {}
        if branch in repository.branches:
            raise Refused(409, "Reference already exists")
        repository.branches[branch] = repository.resolve(self._json().get("startingPoint", "main")).oid
        return {}

    def tag(self, name: str, revision: str) -> Any:
        self._writer(name)
        repository, tag = self.hub.store.find(name, self._account()), self._json()["tag"]
        if tag in repository.tags:
            raise Refused(409, "Tag reference exists already")
        repository.tags[tag] = repository.resolve(revision).oid
        return {}

    def refs(self, name: str) -> Any:
        repository = self.hub.store.find(name, self._account())
        heads = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in repository.branches.items()]
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repository.tags.items()]
        return {"branches": heads, "tags": tags, "converts": []}

    def commits(self, name: str, revision: str) -> Any:
        return [
            {"id": c.oid, "title": c.title, "message": c.message, "authors": [], "date": "2026-01-01T00:00:00.000Z"}
            for c in self.hub.store.find(name, self._account()).history(revision)
        ]

    def info(self, name: str, revision: str = "main") -> Any:
        repository = self.hub.store.find(name, self._account())
        commit = repository.resolve(revision)
        files = [{"rfilename": path} for path in sorted(commit.files)]
        return {"id": name, "modelId": name, "sha": commit.oid, "private": repository.private, "siblings": files,
                "tags": [], "downloads": 0, "likes": 0}  # fmt: skip

    def tree(self, name: str, revision: str, _folder: str | None = None) -> Any:
        commit = self.hub.store.find(name, self._account()).resolve(revision)
        entries = [describe(path, blob) for path, blob in sorted(commit.files.items())]
        start = int(self.query.get("cursor", ["0"])[0])
        more = f"{self.hub.url}{self.route}?recursive=True&cursor={start + PAGE}"
        headers = {"Link": f'<{more}>; rel="next"'} if start + PAGE < len(entries) else {}
        return 200, entries[start : start + PAGE], headers

    def paths_info(self, name: str, revision: str) -> Any:
        files = self.hub.store.find(name, self._account()).resolve(revision).files
        wanted = parse_qs(self.body.decode()).get("paths", [])
        return [describe(path, files[path]) for path in wanted if path in files]

    def validate_yaml(self) -> Any:
        content = self._json()["content"]
        if not re.match(r"---\n(.*\n)*?---\n", content):
            return {"warnings": [{"message": "empty or missing yaml metadata in repo card"}], "errors": []}
        return {"warnings": [], "errors": []}

    def preupload(self, name: str, revision: str) -> Any:
        self._writer(name)
        commit = self.hub.store.find(name, self._account()).resolve(revision)
        answers = []
        for asked in self._json()["files"]:
            known = commit.files.get(asked["path"])
            mode = "lfs" if asked["path"].endswith(LFS_ENDINGS) or asked["size"] > 10_000_000 else "regular"
            oid = None if known is None else known.sha256 if known.lfs else known.git_oid
            answers.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": answers}

    def lfs_batch(self, name: str) -> Any:
        self._writer(name)
        objects = []
        for asked in self._json()["objects"]:
            upload = {"href": f"{self.hub.url}/upload/{asked['oid']}/{asked['size']}"}
            actions = {"actions": {"upload": upload, "verify": {"href": f"{self.hub.url}/verify"}}}
            objects.append(asked if asked["oid"] in self.hub.store.large else {**asked, **actions})
        return {"transfer": "basic", "objects": objects}

    def upload(self, oid: str, size: str) -> Any:
        if len(self.body) != int(size) or hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(422, "the bytes received are not those that were announced")
        self.hub.store.large[oid] = self.body
        return {}

    def verify(self) -> Any:
        asked = self._json()
        if len(self.hub.store.large.get(asked["oid"], b"")) != asked["size"]:
            raise Refused(422, "size differs")
        return {}

    def commit(self, name: str, revision: str) -> Any:
        self._writer(name)
        lines = [json.loads(line) for line in self.body.splitlines()]
        commit = self.hub.store.find(name, self._account()).commit(revision, lines, self.hub.store.large)
        return {"commitOid": commit.oid, "commitUrl": f"{self.hub.url}/{name}/commit/{commit.oid}"}

    def resolve(self, name: str, revision: str, path: str) -> Any:
        commit = self.hub.store.find(name, self._account()).resolve(revision)
        headers = {"X-Repo-Commit": commit.oid}
        if path not in commit.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        blob = commit.files[path]
        if not blob.lfs:
            length = {"Content-Length": str(len(blob.content))}
            return 200, blob.content, {**headers, **length, "ETag": f'"{blob.git_oid}"'}
        linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
        # Large files lie on another host than the Hub, to which clients do not take their tokens.
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        return 302, b"", {**headers, **linked, "Location": f"{elsewhere}/large/{blob.sha256}"}

    def large(self, oid: str) -> Any:
        if self.headers.get("authorization"):
            raise Refused(400, "a token was sent to a stranger")
        content = self.hub.store.large[oid]
        return 200, content, {"ETag": f'"{oid}"', "Content-Length": str(len(content))}

    def collections(self) -> Any:
        asked = self._json()
        self._writer(f"{asked['namespace']}/x")
        return self.hub.store.collect(asked["title"], asked["namespace"], asked.get("private", False))

    def collection(self, slug: str) -> Any:
        return self.hub.store.collections[slug]

    def collection_items(self, slug: str) -> Any:
        asked = self._json()
        self._writer(slug)
        return self.hub.store.add_item(slug, asked["item"], asked.get("note"))


def describe(path: str, blob: Blob) -> dict:
    """A file as a tree lists it."""
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.content), "oid": blob.git_oid}
    if blob.lfs:
        entry["lfs"] = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": 130}
    return entry


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/api/whoami-v2", Handler.whoami),
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate_yaml),
    ("PUT", f"/api/models/{NAME}/settings", Handler.settings),
    ("POST DELETE", f"/api/models/{NAME}/branch/(.+)", Handler.branch),
    ("POST", f"/api/models/{NAME}/tag/(.+)", Handler.tag),
    ("GET", f"/api/models/{NAME}/refs", Handler.refs),
    ("GET", f"/api/models/{NAME}/commits/(.+)", Handler.commits),
    ("GET", f"/api/models/{NAME}/tree/([^/]+)(/.*)?", Handler.tree),
    ("GET", f"/api/models/{NAME}/revision/(.+)", Handler.info),
    ("GET", f"/api/models/{NAME}", Handler.info),
    ("POST", f"/api/models/{NAME}/paths-info/(.+)", Handler.paths_info),
    ("POST", f"/api/models/{NAME}/preupload/(.+)", Handler.preupload),
    ("POST", f"/api/models/{NAME}/commit/(.+)", Handler.commit),
    ("POST", f"/{NAME}.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", r"/upload/(\w+)/(\d+)", Handler.upload),
    ("POST", "/verify", Handler.verify),
    ("GET HEAD", f"/{NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
    ("GET HEAD", r"/large/(\w+)", Handler.large),
    ("POST", "/api/collections", Handler.collections),
    ("POST", f"/api/collections/{NAME}/items", Handler.collection_items),
    ("GET", f"/api/collections/{NAME}", Handler.collection),
]
