"""Whose turn it is: documents of several sources merged into one order, block by block.

Every document has a key that its own source decides: its number there, where sources take turns, or the bytes that came
before it divided by the source's share, where the one furthest behind its share comes next. The mix is the documents
sorted by (key, source). Keys rise within a source, so what lies below the smallest key that is still to be read can be
sorted and written while only a block of each source is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import IO, Any

import numpy as np

from .mix_sources import Block

Key = tuple[float, int]


class Taker:
    """Takes the documents of one source, in order, until the next would exceed its bytes.

    Attributes:
        share: of the mix that is wanted of the source.
        quota: bytes that are wanted of it.
        short_by: bytes by which its text falls short of the quota; 0 unless it ran out.
        bytes: taken so far.
        documents: taken so far.
    """

    def __init__(self, index: int, blocks: Iterator[Block], share: Fraction, quota: int, by_turn: bool) -> None:
        """`index` breaks ties; `by_turn` makes the document's number its key, instead of the bytes before it."""
        self.index, self.blocks = index, blocks
        self.share, self.quota, self.by_turn = share, quota, by_turn
        self.short_by = self.bytes = self.documents = self.words = self.lines = 0
        self.done = False
        self.sha256 = hashlib.sha256()
        self.waiting: list[bytes] = []
        self.keys = np.zeros(0)

    def next_key(self) -> Key:
        """The key of the first document not yet read."""
        return (float(self.documents) if self.by_turn else self.bytes / float(self.share), self.index)

    def read(self) -> None:
        """Read on until a document waits, or there is no further one to take."""
        while not self.waiting and not self.done:
            block = next(self.blocks, None)
            if block is None:
                self.done = True
                self.short_by = self.quota - self.bytes
                return
            after = self.bytes + np.cumsum(block.sizes)
            count = int(np.searchsorted(after, self.quota, side="right"))
            if count < len(block.texts):
                self.done = True
                after = after[:count]
            self._take(block, count, after)

    def _take(self, block: Block, count: int, after: np.ndarray) -> None:
        """The first `count` documents of a block; `after` are the bytes taken after each."""
        if self.by_turn:
            self.keys = np.arange(self.documents, self.documents + count, dtype=np.float64)
        else:
            self.keys = (after - block.sizes[:count]) / float(self.share)
        self.waiting = block.texts[:count]
        self.sha256.update(b"".join(self.waiting))
        self.bytes += int(block.sizes[:count].sum())
        self.documents += count
        self.words += int(block.words[:count].sum())
        self.lines += int(block.lines[:count].sum())

    def give(self, horizon: Key | None) -> tuple[list[bytes], np.ndarray]:
        """The waiting documents whose key lies below `horizon`, and their keys; None for all."""
        count = len(self.waiting)
        if horizon is not None:
            key, index = horizon
            count = int(np.searchsorted(self.keys, key, side="left" if self.index >= index else "right"))
        texts, keys = self.waiting[:count], self.keys[:count]
        self.waiting, self.keys = self.waiting[count:], self.keys[count:]
        return texts, keys

    def taken(self) -> dict[str, Any]:
        """What was taken of the source."""
        return {
            "bytes": self.bytes,
            "words": self.words,
            "lines": self.lines,
            "documents": self.documents,
            "sha256": self.sha256.hexdigest(),
        }


def take_turns(takers: Sequence[Taker], out: IO[bytes]) -> str:
    """Write the documents of all `takers` in the order of their keys; returns the SHA-256 of what was written."""
    sha256 = hashlib.sha256()
    while True:
        for taker in takers:
            taker.read()
        # All that the taker with the smallest next key has waiting lies below that key, so every round gets on.
        horizon = min((taker.next_key() for taker in takers if not taker.done), default=None)
        given = [taker.give(horizon) for taker in takers]
        texts = [text for of_taker, _ in given for text in of_taker]
        if not texts:
            return sha256.hexdigest()
        keys = np.concatenate([keys for _, keys in given])
        order = np.argsort(keys, kind="stable")  # equal keys stay in the order of the sources
        data = b"".join([texts[i] for i in order.tolist()])
        sha256.update(data)
        out.write(data)
