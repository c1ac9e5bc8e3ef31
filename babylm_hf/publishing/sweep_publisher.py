"""The card of a sweep on the Hub: a small repository of its own, and a collection that gathers it with its runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from .allowlist import SWEEP, select
from .card import CARD
from .leaks import LeakScan
from .ledger import LEDGER
from .packages import MAIN, Package, RunFolder
from .publisher import HubPublisher
from .retry import Retry
from .sweeps import SweepFolder
from .validation import check_card

if TYPE_CHECKING:
    from pathlib import Path

    from huggingface_hub import HfApi


class _Folder(RunFolder):
    """The folder of a sweep, as its publisher sees it: one package, for `main`; its card has been written."""

    def __init__(self, path: str | Path, secrets: tuple[str | None, ...] = ()) -> None:
        self.sweep = SweepFolder(path)
        self.path = self.sweep.path
        self.scan = LeakScan(secrets, [self.path.resolve()])

    @property
    def ledger_path(self) -> Path:
        return self.path / LEDGER

    @cached_property
    def run_id(self) -> str:
        facts = [self.sweep.manifest["recipe"], self.sweep.manifest["name"], self.sweep.manifest["options"]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def milestones(self) -> list[str]:
        return []

    def revisions(self, partial: bool = False, elsewhere: frozenset[str] = frozenset()) -> list[str]:
        return [MAIN]

    def render(self, repo_id: str | None, revisions: list[str]) -> None:
        """The card is written before, because only the sweep knows where its runs are."""

    def package(self, revision: str) -> Package:
        selection = select(self.path, SWEEP, self.scan)
        for file in selection.files:
            if file.path == CARD and isinstance(file.source, bytes):
                check_card(file.source.decode("utf-8"), CARD)
        return Package(revision, f"{self.sweep.manifest['name']}: the sweep", selection.files, selection.left_out)


class SweepPublisher(HubPublisher):
    """Publishes the card, manifest and results of a sweep; the runs have repositories of their own."""

    def _open(self) -> RunFolder:
        token = self.api.token if isinstance(self.api.token, str) else None
        return _Folder(self.run_dir, (token,))

    def _begun(self) -> bool:
        return True


def gather(api: HfApi, title: str, repo_ids: Sequence[str], private: bool, retry: Retry) -> str:
    """Put repositories into the collection named like the sweep, made if there is none; returns its address."""
    namespace, _, name = title.partition("/")

    def work() -> str:
        made = api.create_collection(name, namespace=namespace, private=private, exists_ok=True)
        there = {item.item_id for item in made.items}
        for repo_id in repo_ids:
            if repo_id not in there:
                api.add_collection_item(made.slug, item_id=repo_id, item_type="model", exists_ok=True)
        return made.url

    return retry(work, f"gathering {title}")
