"""Heavy-hitter masking (HHM), from the Accuracy-Morph submission to BabyLM 2026.

Part of every row's budget goes to words that repeat in the row, part to tokens that have often had a high loss, the
rest evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .budget import Stage
from .counting import Counting
from .features import TokenFeatures, entity_key, numbered, repeats
from .guided import FeaturePolicy, Shares
from .guided_siblings import TargetsSource, hard_targets
from .heavy_hitters import SpaceSaving
from .rows import Flags, Ids, MaskRows, row_sums
from .sampling import Rounding

HHM_SHARES: Shares = (0.50, 0.25, 0.25)
ENTITY_ONLY_SHARES: Shares = (0.75, 0.25, 0.0)
ERROR_ONLY_SHARES: Shares = (0.75, 0.0, 0.25)

_ROW_CAPACITY, _ROW_TOP = 64, 32
_SMALLEST_WEIGHT = 1e-6


class HeavyHitterPolicy(FeaturePolicy):
    """Draws evenly from two sets of candidates: repeated words, and tokens that often had a high loss.

    Args:
        features, shares, rounding: see `FeaturePolicy`; the shares are even, repeated words, high losses.
        warmup: steps before losses are looked at; repeated words are drawn from the first step on.
        capacity: how many different tokens may be in the second set.
        report_steps: optimizer steps between reports; the sets move at every step.
        counting: "exact" (the tokens with the largest sums of high losses, the words that are repeated), or "sketch":
            Space-Saving tables as published, which let newcomers in too easily.
    """

    name = "hhm"
    needs_targets = True

    def __init__(
        self,
        features: TokenFeatures,
        shares: Shares = HHM_SHARES,
        warmup: float = 0.10,
        rounding: Rounding = "half_even",
        *,
        capacity: int = 10_000,
        report_steps: int = 200,
        counting: Counting = "exact",
    ) -> None:
        super().__init__(features, shares, warmup, rounding)
        self.capacity = capacity
        self.report_steps = report_steps
        self.counting = counting
        _, self._entity_of = numbered([entity_key(token) for token in features.tokens])
        self.error_weights = np.zeros(features.size)
        self.sketch = SpaceSaving(capacity)
        self.members = np.zeros(features.size, bool)

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """Repeated words, then tokens with high losses."""
        entities, errors = self.guided_counts(budgets, rows.step, rows.total_steps)
        if entities.any():
            yield Stage("entity", entities, self.entities(rows))
        if errors.any():
            yield Stage("error", errors, self.members.take(rows.input_ids))

    def entities(self, rows: MaskRows) -> Flags:
        """Positions of the words that repeat in their row, bool `[n, L]`."""
        keys = np.where(rows.eligible, self._entity_of.take(rows.input_ids), -1)
        if self.counting == "sketch":
            return np.stack([_heavy(row) for row in keys])
        repeated = repeats(keys)
        for row in np.flatnonzero(row_sums(repeated) > 2 * _ROW_TOP):
            repeated[row] &= np.isin(keys[row], _largest(keys[row]))
        return repeated

    def update(self, statistics: TargetsSource, step: int, rate: float) -> bool:
        """Adds the losses of the hardest quarter of the step's targets to their tokens; see `Policy.update`."""
        done = step + 1
        if self.shares[2] and done > self.warmup_steps():
            self.learn(*hard_targets(statistics))
        statistics.reset()
        if done % self.report_steps:
            return False
        self.report_sources()
        return True

    def learn(self, ids: npt.NDArray[np.int64], losses: npt.NDArray[np.float64]) -> None:
        """Adds losses `[m]` to the weights of ids `[m]`, and finds the members of the second set."""
        self.updates += 1
        weights = np.maximum(losses, _SMALLEST_WEIGHT)
        if self.counting == "sketch":
            for item, weight in zip(ids.tolist(), weights.tolist(), strict=True):
                self.sketch.add(item, weight)
        else:
            self.error_weights += np.bincount(ids, weights, self.features.size)
        self._find_members()

    def _find_members(self) -> None:
        self.members[:] = False
        if self.counting == "sketch":
            self.members[list(self.sketch.counts)] = True
            return
        found = np.flatnonzero(self.error_weights)
        if len(found) > self.capacity:
            found = found[np.argpartition(-self.error_weights[found], self.capacity - 1)[: self.capacity]]
        self.members[found] = True

    def token_weights(self) -> npt.NDArray[np.float32]:
        """The summed high losses of the ids in the second set, float32 `[V]`; 0 for all others."""
        weights = self.error_weights.copy()
        weights[list(self.sketch.counts)] = list(self.sketch.counts.values())
        return (weights * self.members).astype(np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The weights, and the table where there is one."""
        table = {f"sketch.{name}": values for name, values in self.sketch.state().items()}
        return super().state() | table | {"error_weights": self.error_weights.copy()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave; raises `ResumeError` for another tokenizer."""
        super().load_state(state)
        self.error_weights = np.array(state["error_weights"], np.float64)
        self.sketch.load_state({n.removeprefix("sketch."): v for n, v in state.items() if n.startswith("sketch.")})
        self._find_members()

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return super().describe() | {"capacity": self.capacity, "counting": self.counting}


def _heavy(keys: npt.NDArray[np.int64]) -> Flags:
    """Positions of a row's words that a small Space-Saving table takes for repeated, bool `[L]`."""
    table = SpaceSaving(_ROW_CAPACITY)
    for key in keys[keys >= 0].tolist():
        table.add(key)
    top = sorted(table.counts, key=lambda key: -table.counts[key])[:_ROW_TOP]
    return np.isin(keys, [key for key in top if table.counts[key] >= 2])


def _largest(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The most frequent repeated words of a row, the earlier first among equals."""
    words, first, counts = np.unique(keys, return_index=True, return_counts=True)
    wanted = (words >= 0) & (counts >= 2)
    return words[wanted][np.lexsort((first[wanted], -counts[wanted]))[:_ROW_TOP]]
