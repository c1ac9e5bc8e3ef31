"""Space-Saving: the most frequent items of a stream in a table of fixed size (Metwally et al. 2005)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class SpaceSaving:
    """Counts of at most `capacity` items. A newcomer to a full table takes the place, and the count, of the smallest.

    Args:
        capacity: items kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.counts: dict[int, float] = {}
        self.errors: dict[int, float] = {}
        self._order: dict[int, int] = {}
        self._inserted = 0
        # (count, order of insertion, item); entries whose count has risen since are dropped when met.
        self._heap: list[tuple[float, int, int]] = []

    def add(self, item: int, weight: float = 1.0) -> None:
        """Adds to an item's count. Of equally small items the one that came first is evicted."""
        if item in self.counts:
            self._set(item, self.counts[item] + weight)
            return
        error = 0.0
        if len(self.counts) >= self.capacity:
            error = self._evict()
        self.errors[item] = error
        self._order[item] = self._inserted
        self._inserted += 1
        self._set(item, error + weight)

    def _set(self, item: int, count: float) -> None:
        self.counts[item] = count
        heapq.heappush(self._heap, (count, self._order[item], item))
        if len(self._heap) > 4 * self.capacity + 16:
            self._heap = [(self.counts[i], self._order[i], i) for i in self.counts]
            heapq.heapify(self._heap)

    def _evict(self) -> float:
        while True:
            count, order, item = heapq.heappop(self._heap)
            if self._order.get(item) == order and self.counts[item] == count:
                del self.counts[item], self.errors[item], self._order[item]
                return count

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Items, counts, errors and order of insertion, each `[items]`."""
        items = list(self.counts)
        return {
            "items": np.array(items, np.int64),
            "counts": np.array([self.counts[i] for i in items], np.float64),
            "errors": np.array([self.errors[i] for i in items], np.float64),
            "order": np.array([self._order[i] for i in items], np.int64),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave."""
        self.counts, self.errors, self._order, self._heap = {}, {}, {}, []
        for item, count, error, order in zip(
            *(state[n].tolist() for n in ("items", "counts", "errors", "order")), strict=True
        ):
            self.counts[item], self.errors[item], self._order[item] = count, error, order
            heapq.heappush(self._heap, (count, order, item))
        self._inserted = 1 + max(self._order.values(), default=-1)
