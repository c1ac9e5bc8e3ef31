"""Counts by token key and by character trigram: exact, or in Count-Min sketches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, ResumeError
from .features import TokenFeatures
from .rows import Floats
from .sketch import CountMinSketch, columns

Counting = Literal["exact", "sketch"]


class Counter(Protocol):
    """Counts of something by the strings that token ids stand for."""

    def add(self, counts: npt.NDArray[np.int64], decay: float = 1.0) -> None:
        """Adds counts by id, int64 `[V]`, after multiplying what is there by `decay`."""

    def keys(self) -> Floats:
        """The count of each token key."""

    def grams(self) -> Floats:
        """The count of each trigram."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The counts, for a checkpoint."""

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave."""


class ExactCounter:
    """Counts by id, from which those of any string follow."""

    def __init__(self, features: TokenFeatures) -> None:
        self._features = features
        self.counts = np.zeros(features.size)

    def add(self, counts: npt.NDArray[np.int64], decay: float = 1.0) -> None:
        """See `Counter`."""
        self.counts = self.counts * decay + counts

    def keys(self) -> Floats:
        """See `Counter`."""
        return self._features.by_key(self.counts)

    def grams(self) -> Floats:
        """See `Counter`."""
        return self._features.by_gram(self.counts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Counts by id, float64 `[V]`."""
        return {"counts": self.counts.copy()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See `Counter`."""
        self.counts = _like(state.get("counts"), self.counts)


@dataclass(frozen=True)
class SketchShape:
    """How large the sketches are; the defaults are the published ones."""

    width: int = 65_536
    depth: int = 4
    conservative: bool = True


class SketchCounter:
    """Counts in two sketches, as the published code keeps them.

    Args:
        features: of the tokenizer.
        key_seed, gram_seed: of the hash functions of the token and the trigram sketch.
        shape: of both.
    """

    def __init__(self, features: TokenFeatures, key_seed: int, gram_seed: int, shape: SketchShape) -> None:
        self._features = features
        self._sketches = [CountMinSketch(shape.width, shape.depth, shape.conservative) for _ in range(2)]
        self._places = [
            columns(features.keys, key_seed, shape.depth, shape.width),
            columns(features.grams, gram_seed, shape.depth, shape.width),
        ]

    def add(self, counts: npt.NDArray[np.int64], decay: float = 1.0) -> None:
        """See `Counter`; a sketch does not forget."""
        if decay != 1:
            raise OptionError("--count_decay needs exact counts; set --counting exact")
        summed = (self._features.by_key(counts), self._features.by_gram(counts))
        for sketch, places, new in zip(self._sketches, self._places, summed, strict=True):
            sketch.add(places, new.astype(np.int64))

    def keys(self) -> Floats:
        """See `Counter`."""
        return self._sketches[0].estimate(self._places[0]).astype(np.float64)

    def grams(self) -> Floats:
        """See `Counter`."""
        return self._sketches[1].estimate(self._places[1]).astype(np.float64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Both tables, int64 `[depth, width]`."""
        return {name: sketch.table.copy() for name, sketch in zip(("keys", "grams"), self._sketches, strict=True)}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See `Counter`."""
        for name, sketch in zip(("keys", "grams"), self._sketches, strict=True):
            sketch.table = _like(state.get(name), sketch.table)


def _like(values: npt.NDArray[Any] | None, old: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values is None or values.shape != old.shape:
        raise ResumeError(
            "the checkpoint's counts of the guided policy have another form; resume with the tokenizer and the "
            "--counting of the run"
        )
    return np.array(values, old.dtype)
