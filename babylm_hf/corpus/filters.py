"""Filters of documents: a least number of words, and exact duplicates.

A filter decides before anything is mixed, so that what it leaves out takes no turn and counts towards no share. Of
equal documents the first is kept, in the order of the sources and of the text within each; which one that is depends
neither on the shares nor on the size of the mix. The price is one more reading of all sources, and for duplicates some
twenty bytes of memory a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import CorpusError
from .mix_sources import Block, MixSource

_BUCKETS = 16
Blocks = Callable[[MixSource, bool, bool], Iterator[Block]]


@dataclass
class Survey:
    """What the sources hold after the filters; lists have an entry a source.

    Attributes:
        sizes: bytes of the documents that are left.
        documents: how many are left.
        too_short: documents left out for their length.
        duplicates: documents left out as duplicates.
        keep: of the documents that are long enough, which are no duplicates, bool `[documents]`; None keeps all.
    """

    sizes: list[int] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    too_short: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    keep: list[np.ndarray] | None = None


def survey(sources: Sequence[MixSource], read: Blocks, min_words: int, drop_duplicates: bool) -> Survey:
    """Read all sources once and decide what the filters leave.

    Args:
        sources: in the order of the mix.
        read: gives the documents of a source in blocks; told whether texts and words are wanted (see `read_blocks`).
        min_words: a document with fewer words is left out.
        drop_duplicates: leave out what has come before, byte for byte.
    """
    found = Survey()
    hashes: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    for source in sources:
        dropped = 0
        source_hashes, source_lengths = [], []
        for block in read(source, drop_duplicates, min_words > 0):
            long = block.only(block.words >= min_words)
            dropped += len(block.sizes) - len(long.sizes)
            source_lengths.append(long.sizes.astype(np.int32))
            if drop_duplicates:
                source_hashes.append(_hashes(long.texts))
        found.too_short.append(dropped)
        lengths.append(np.concatenate(source_lengths))
        if drop_duplicates:
            hashes.append(np.concatenate(source_hashes))
    if drop_duplicates:
        ends = np.cumsum([len(of_source) for of_source in hashes])
        found.keep = np.split(_first_of_each(np.concatenate(hashes)), ends[:-1])
    for i, of_source in enumerate(lengths):
        kept = of_source if found.keep is None else of_source[found.keep[i]]
        found.sizes.append(int(kept.sum(dtype=np.int64)))
        found.documents.append(len(kept))
        found.duplicates.append(len(of_source) - len(kept))
    return found


def filtered(blocks: Iterator[Block], min_words: int, keep: np.ndarray | None) -> Iterator[Block]:
    """The blocks of one source without what the filters leave out.

    Raises:
        CorpusError: there are more documents now than at the survey.
    """
    done = 0
    for block in blocks:
        if min_words > 0:
            block = block.only(block.words >= min_words)
        if keep is not None:
            mask = keep[done : done + len(block.texts)]
            if len(mask) < len(block.texts):
                raise CorpusError("the text was changed while it was being mixed; start again when it is complete")
            done += len(mask)
            block = block.only(mask)
        yield block


def _hashes(texts: list[bytes]) -> np.ndarray:
    """64 bits for each document, uint64 `[n]`: Python's own hash, whose key is new in every process.

    Among ten million documents two different ones share a hash with a probability of three in a million.
    """
    return np.fromiter(map(hash, texts), np.int64, len(texts)).view(np.uint64)


def _first_of_each(hashes: np.ndarray) -> np.ndarray:
    """Where a value occurs for the first time, bool `[n]`; a part of the values at a time, for memory's sake."""
    first = np.zeros(len(hashes), bool)
    bucket = (hashes % _BUCKETS).astype(np.uint8)
    for number in range(_BUCKETS):
        where = np.flatnonzero(bucket == number)
        first[where[np.unique(hashes[where], return_index=True)[1]]] = True
    return first
