"""Shared prefixes of causal rows: a beginning that many rows have in common is computed once.

The rows are sorted, so that those with a common beginning are neighbours, and laid out as trees: one row of tokens in
which every token sees its own ancestors only, by a four-dimensional attention mask, and stands at its own depth, by its
position id. That is the key-value cache of a prefix tree without a cache: stories of entity tracking that differ in
their last words, sentences that begin alike, and the options of an item cost their distinct tokens only.

A tree stops growing at a number of tokens, because attention over it is dense. Whether a model can be asked in this
way is not guessed but tried (`babylm_hf.evaluation.scoring`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .scoring_plan import Row

PACK_TOKENS = 384  # tokens of a tree, unless a row is longer: beyond it dense attention costs more than sharing saves


@dataclass
class Pack:
    """Some rows as a tree of tokens; filled by `build_packs`.

    Attributes:
        tokens: the id of each node.
        depths: its distance from the start of its row.
        segments: (first, last + 1, ancestors) of each run of nodes that a row added.
        nodes: the node at which each query reads.
        targets: the id it asks for.
        slots: where the answer stands.
    """

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    segments: list[tuple[int, int, np.ndarray]] = field(default_factory=list)
    nodes: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    slots: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    def visible(self) -> np.ndarray:
        """Which nodes each node sees: its ancestors and itself. Bool `[n, n]`."""
        seen = np.zeros((len(self), len(self)), dtype=bool)
        for first, stop, ancestors in self.segments:
            seen[first:stop, ancestors] = True
            seen[first:stop, first:stop] = np.tri(stop - first, dtype=bool)
        return seen


def build_packs(rows: Sequence[Row], slots: Sequence[np.ndarray], capacity: int = PACK_TOKENS) -> list[Pack]:
    """The rows as trees of about `capacity` tokens, in the order of their tokens.

    Args:
        rows: rows without masks.
        slots: where the answers of each row's queries stand.
        capacity: tokens of a tree; a longer row gets one of its own.
    """
    packs: list[Pack] = []
    previous, path = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for number in sorted(range(len(rows)), key=lambda i: rows[i].ids.astype(">i4").tobytes()):
        row = rows[number]
        if len(row.reads) == 0:
            continue
        shared = common_prefix(previous, row.ids)
        if not packs or len(packs[-1]) + len(row.ids) - shared > capacity:
            packs.append(Pack())
            shared = 0
        pack = packs[-1]
        first, stop = len(pack), len(pack) + len(row.ids) - shared
        if stop > first:
            pack.segments.append((first, stop, path[:shared]))
            pack.tokens.extend(row.ids[shared:].tolist())
            pack.depths.extend(range(shared, len(row.ids)))
        path = np.concatenate([path[:shared], np.arange(first, stop)])
        pack.nodes.append(path[row.reads])
        pack.targets.append(row.targets)
        pack.slots.append(slots[number])
        previous = row.ids
    return packs


def common_prefix(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two rows have in common from the start."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
