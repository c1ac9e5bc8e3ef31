"""Two relatives of Accuracy-Morph from the same submission: CMS-Morph counts hard losses, Entity-Accuracy-Morph adds
repeated names and looks for tokens of middling difficulty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .budget import Stage
from .counting import Counting, ExactCounter, SketchCounter, SketchShape
from .features import TokenFeatures, numbered, repeated_key, repeats
from .guided import AccuracyMorphPolicy, FeaturePolicy, Shares, steps_of
from .policies import Positions
from .rows import Flags, Floats, Ids, MaskRows
from .sampling import ONE, Lottery, Rounding

CMS_MORPH_SHARES: Shares = (0.70, 0.20, 0.10)
HARD_QUANTILE = 0.75
LOG_CAP = 5.0
"""A token's weight is ln(1 + count), at most this: reached at 148 hard losses."""


class TargetsSource(Protocol):
    """Where an update finds every target of a step: a `TokenStatistics` that keeps them."""

    def targets(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Ids `[m]` and losses `[m]` of all processes."""

    def reset(self) -> None:
        """Forgets them."""


def hard_targets(
    statistics: TargetsSource,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The targets of a step whose loss is in its upper quarter (linear interpolation), and their losses."""
    ids, losses = statistics.targets()
    if not len(ids):
        return ids, losses
    hard = losses >= np.quantile(losses, HARD_QUANTILE)
    return ids[hard], losses[hard]


class CmsMorphPolicy(FeaturePolicy):
    """Tokens and trigrams weighted by the logarithm of how often they were among the hardest quarter of a step.

    No count of how often they were targets at all enters, so it follows frequency more than difficulty.

    Args:
        features, shares, warmup, rounding, positions: see `FeaturePolicy`; in the warm-up nothing is counted either.
        report_steps: optimizer steps between reports; the counts move at every step.
        counting: "exact", or "sketch" as published.
        sketch: shape of the sketches.
        seed: of the sketches' hash functions.
    """

    name = "cms_morph"
    needs_targets = True

    def __init__(
        self,
        features: TokenFeatures,
        shares: Shares = CMS_MORPH_SHARES,
        warmup: float = 0.10,
        rounding: Rounding = "half_even",
        positions: Positions = "all",
        *,
        report_steps: int = 200,
        counting: Counting = "exact",
        sketch: SketchShape | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(features, shares, warmup, rounding, positions)
        self.report_steps = report_steps
        self.counting = counting
        self.hard = (
            ExactCounter(features)
            if counting == "exact"
            else SketchCounter(features, 17 * seed + 1, 17 * seed + 2, sketch or SketchShape())
        )
        self._rescore()

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """Nothing in the warm-up, then tokens and trigrams by their weights."""
        if rows.step < self.warmup_steps(rows.total_steps):
            return
        tokens, grams = self.guided_counts(budgets, rows.step, rows.total_steps)
        yield Stage("token", tokens, Lottery(self.token_tickets, rows.input_ids, self.bound))
        yield Stage("trigram", grams, Lottery(self.gram_tickets, rows.input_ids, self.bound))

    def update(self, statistics: TargetsSource, step: int, rate: float) -> bool:
        """Counts the hard targets of the step, once the warm-up is over; see `Policy.update`."""
        done = step + 1
        if done > self.warmup_steps():
            ids, _ = hard_targets(statistics)
            self.hard.add(np.bincount(ids, minlength=self.features.size))
            self.updates += 1
            self._rescore()
        statistics.reset()
        if done % self.report_steps:
            return False
        self.report_sources()
        return True

    def _rescore(self) -> None:
        tokens = np.minimum(self.features.of_keys(np.log1p(self.hard.keys())), LOG_CAP)
        total = self.features.gram_sums(np.log1p(self.hard.grams()))
        mean = np.divide(total, self.features.gram_counts, out=np.zeros_like(total), where=total > 0)
        self.set_scores(tokens, np.minimum(mean, LOG_CAP))

    def shares_by_weight(self) -> list[tuple[float, Floats | None]]:
        """The even part, the tokens' and the trigrams'."""
        even, first, second = self.shares
        return [(even, None), (first, self.token_scores), (second, self.gram_scores)]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The counts."""
        counts = {f"hard.{name}": values for name, values in self.hard.state().items()}
        return super().state() | counts

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave; raises `ResumeError` for another tokenizer or way of counting."""
        super().load_state(state)
        self.hard.load_state({n.removeprefix("hard."): v for n, v in state.items() if n.startswith("hard.")})
        self._rescore()

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return super().describe() | {"counting": self.counting}


class EntityAccuracyMorphPolicy(AccuracyMorphPolicy):
    """Accuracy-Morph among tokens of middling difficulty, with a bonus for words that repeat in the row.

    Tokens and trigrams whose error rate is outside `band` have no score. A token's score is its error rate plus a tenth
    of its trigrams' mean plus a quarter if it is a repeated word. In the last fifth of the run the guided share falls
    to a half.

    Args:
        arguments: of `AccuracyMorphPolicy`.
        band: lowest and highest error rate that counts.
        fade_from: when the guided share begins to fall; below 1 a share of the run.
    """

    name = "entity_accuracy_morph"

    def __init__(
        self, *arguments: Any, band: tuple[float, float] = (0.25, 0.85), fade_from: float = 0.8, **named: Any
    ) -> None:
        self.band = band
        self.fade_from = fade_from
        super().__init__(*arguments, **named)
        _, self._entity_of = numbered([repeated_key(token) for token in self.features.tokens])

    def error_rate(self, wrong: Floats, seen: Floats) -> Floats:
        """Smoothed error rates, not capped; 0 where too little was seen."""
        return np.where(seen >= self.min_seen, (wrong + self.smoothing) / (seen + 2 * self.smoothing), 0.0)

    def scores(self, keys: Floats, grams: Floats) -> tuple[Floats, Floats]:
        """Token scores without the bonus for repeated words, and trigram scores."""
        mean = np.minimum(self.mean_of_grams(grams, self._in_band(grams)), self.score_cap)
        rates = self.features.of_keys(keys)
        return np.where(self._in_band(rates), rates + 0.10 * mean, 0.0), mean

    def _in_band(self, rates: Floats) -> npt.NDArray[np.bool_]:
        return (rates >= self.band[0]) & (rates <= self.band[1])

    def token_lottery(self, rows: MaskRows) -> Lottery:
        """The token stage draws by scores with the bonus; 0 stays 0."""
        keys = np.where(rows.eligible, self._entity_of[rows.input_ids], -1)
        return _BonusLottery(self.token_tickets, rows.input_ids, repeats(keys), int(self.score_cap * ONE))

    def guided_counts(self, budgets: Ids, step: int, total_steps: int | None) -> tuple[Ids, Ids]:
        """Both guided shares are rounded; they fall in the last part of the run, in constant proportion."""
        total = total_steps or self.total_steps
        first = steps_of(self.fade_from, total, "--fade_from")
        even, token, gram = self.shares
        if step > first and total is not None:
            even += (1 - even) / 2 * (step - first) / (total - first)
            scale = (1 - even) / (token + gram) if token + gram else 0.0
            token, gram = token * scale, gram * scale
        return np.rint(budgets * token).astype(np.int64), np.rint(budgets * gram).astype(np.int64)

    def shares_by_weight(self) -> None:
        """None: the bonus of a repeated word is a matter of its row."""
        return None

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return super().describe() | {"band": list(self.band), "fade_from": self.fade_from}


class _BonusLottery(Lottery):
    """Tickets by id, and a quarter of a weight of 1 more for repeated words, up to a bound."""

    def __init__(self, table: Ids, ids: Ids, repeated: Flags, bound: int) -> None:
        super().__init__(table, ids, bound)
        self._repeated = repeated.reshape(-1)

    def __getitem__(self, places: Ids) -> Ids:
        own = super().__getitem__(places)
        return np.where(own > 0, np.minimum(own + self._repeated[places] * (ONE // 4), self.bound), 0)
