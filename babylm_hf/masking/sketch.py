"""Count-Min sketches: approximate counts of strings in a table of fixed size (Cormode & Muthukrishnan 2005).

The Accuracy-Morph submission counts tokens and trigrams so. For the ids of a tokenizer a sketch is larger than exact
counts and never better, so exact counts are the default and this is the option that reproduces it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .rows import Ids

Counts = npt.NDArray[np.int64]


def columns(keys: Sequence[str], seed: int, depth: int, width: int) -> Ids:
    """The column of each key in each row of a sketch, int64 `[keys, depth]`.

    Row r hashes `"{seed + r}:{key}"` with BLAKE2b to 8 bytes, read as a little-endian number modulo the width.
    """

    def column(row: int, key: str) -> int:
        digest = hashlib.blake2b(f"{seed + row}:{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % width

    return np.array([[column(row, key) for row in range(depth)] for key in keys], np.int64).reshape(len(keys), depth)


class CountMinSketch:
    """A table of counts that never underestimates.

    Args:
        width: columns.
        depth: rows, each with a hash function of its own.
        conservative: raise only the cells that must rise, which overestimates less.

    Raises:
        OptionError: an empty table.
    """

    def __init__(self, width: int = 65_536, depth: int = 4, conservative: bool = True) -> None:
        if width < 1 or depth < 1:
            raise OptionError(f"--sketch_width {width} and --sketch_depth {depth} must be at least 1")
        self.table = np.zeros((depth, width), np.int64)
        self.conservative = conservative
        self._rows = np.arange(depth)

    def estimate(self, places: Ids) -> Counts:
        """Estimated counts of keys, int64 `[keys]`.

        Args:
            places: their columns, int64 `[keys, depth]`.
        """
        lowest: Counts = self.table[self._rows, places].min(axis=1)
        return lowest

    def add(self, places: Ids, counts: Counts) -> None:
        """Adds to the counts of different keys all at once; the result does not depend on their order.

        Every target is computed from the old table, so it differs from adding one key after the other only where keys
        collide, and still never underestimates.

        Args:
            places: columns of the keys, int64 `[keys, depth]`.
            counts: what to add, int64 `[keys]`; 0 and less adds nothing.
        """
        adds = counts > 0
        places, counts = places[adds], counts[adds]
        where = np.broadcast_to(self._rows, places.shape)
        if self.conservative:
            targets = self.estimate(places) + counts
            np.maximum.at(self.table, (where, places), targets[:, None])
        else:
            np.add.at(self.table, (where, places), counts[:, None])
