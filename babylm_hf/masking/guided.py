"""Accuracy-Morph: part of every row's budget goes to tokens and character trigrams that the model gets wrong.

BabyLM 2026 submission (github.com/alonsopg/BabyLM-2026-submission). For every masked target the model's best guess is
right or wrong; lifetime counts of both are kept by token string and by character trigram. After a warm-up at random, of
a row's 15 % about 15 in 100 targets are drawn in proportion to the smoothed error rate of their token, 5 in 100 in
proportion to the mean of their trigrams', and the rest evenly. The tilt is mild: nearly every token is a candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, ResumeError
from .adaptive import StatisticsSource
from .budget import BudgetPolicy, Stage
from .counting import Counter, Counting, ExactCounter, SketchCounter, SketchShape
from .features import TokenFeatures
from .policies import Positions
from .rows import Floats, Ids, MaskRows
from .sampling import Lottery, Rounding, tickets

Shares = tuple[float, float, float]

ACCURACY_MORPH_SHARES: Shares = (0.80, 0.15, 0.05)
"""Even, by token, by trigram."""

EVALUATION_FLUSH = 500
"""The published code also moves its counts when it evaluates: at step 1 and at every 500th."""


class FeaturePolicy(BudgetPolicy):
    """What the policies guided by token strings share: features, shares of the budget, a warm-up, tables of scores.

    Args:
        features: of the tokenizer.
        shares: of the budget that go to an even choice and to the two guided stages; they sum to 1.
        warmup: steps without guidance; below 1 a share of the run.
        rounding: of a row's budget, see `row_budgets`.
        positions: the targets that are counted, "all" or "mask" (those shown as the mask token).
    """

    needs_feedback = True

    def __init__(
        self,
        features: TokenFeatures,
        shares: Shares,
        warmup: float,
        rounding: Rounding = "half_even",
        positions: Positions = "all",
    ) -> None:
        super().__init__(rounding)
        if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise OptionError(
                f"--guided_shares are {', '.join(map(str, shares))}; they must be three numbers, none negative, "
                "that sum to 1"
            )
        if warmup < 0:
            raise OptionError(f"--guided_warmup is {warmup}; it must not be negative")
        if positions not in ("all", "mask"):
            raise OptionError(f"positions {positions!r} are unknown; choose all or mask")
        self.features = features
        self.shares = shares
        self.warmup = warmup
        self.positions = positions
        self.token_scores = self.gram_scores = np.zeros(features.size)
        self.token_tickets = self.gram_tickets = np.zeros(features.size, np.int64)
        self.bound = 1
        self.updates = 0

    def warmup_steps(self, total_steps: int | None = None) -> int:
        """Optimizer steps without guidance."""
        return steps_of(self.warmup, total_steps or self.total_steps, "--guided_warmup")

    def guided_counts(self, budgets: Ids, step: int, total_steps: int | None) -> tuple[Ids, Ids]:
        """Of each row's budget `[n]`, how many the first and the second stage choose.

        The share of the even choice is rounded and the second stage gets the rest, as in the published code.
        """
        even, first, _ = self.shares
        firsts = np.rint(first * budgets).astype(np.int64)
        return firsts, np.maximum(budgets - firsts - np.rint(even * budgets).astype(np.int64), 0)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The identity of the features and the number of updates; what a policy counts it adds itself."""
        return {"features": self.features.digest(), "updates": np.array([self.updates], np.int64)}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Checks that the counts are of the same strings.

        Raises:
            ResumeError: they are of another tokenizer.
        """
        if not np.array_equal(state["features"], self.features.digest()):
            raise ResumeError("the checkpoint's counts are of another tokenizer; resume with the tokenizer of the run")
        self.updates = int(np.asarray(state["updates"]).reshape(-1)[0])

    def set_scores(self, tokens: Floats, grams: Floats) -> None:
        """Takes the weights by id `[V]` of the token and the trigram stage."""
        self.token_scores, self.gram_scores = tokens, grams
        self.token_tickets, self.gram_tickets = tickets(tokens), tickets(grams)
        self.bound = int(max(self.token_tickets.max(), self.gram_tickets.max(), 1))

    def token_weights(self) -> npt.NDArray[np.float32]:
        """What the token stage draws by, float32 `[V]`."""
        return self.token_scores.astype(np.float32)

    def summary(self, size: int = 10) -> dict[str, Any]:
        """Sources of the targets since the report before, the share of tokens with a weight, and the extreme ones."""
        weights = self.token_weights().astype(np.float64)
        weighed = np.flatnonzero(weights)
        ranked = weighed[np.argsort(weights[weighed], kind="stable")]
        values = weights[weighed] if len(weighed) else np.zeros(1)
        return super().summary() | {
            "updates": self.updates,
            "weighed": len(weighed) / self.features.size,
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
            "top": [[int(i), float(weights[i])] for i in ranked[::-1][:size]],
            "bottom": [[int(i), float(weights[i])] for i in ranked[:size]],
        }

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        own = {"guided_shares": list(self.shares), "guided_warmup": self.warmup, "positions": self.positions}
        return super().describe() | own


class AccuracyMorphPolicy(FeaturePolicy):
    """The budget's guided parts follow the error rates of tokens and of trigrams.

    Args:
        features, shares, warmup, rounding, positions: see `FeaturePolicy`; a warm-up of 30 % as published.
        update_steps: optimizer steps between updates of the scores.
        smoothing: a in the error rate (wrong + a) / (seen + 2 a).
        min_seen: what has been a target less often has no error rate and is not drawn by the guided stages.
        score_cap: no error rate is higher.
        count_decay: what a count is multiplied by at every update; 1 forgets nothing.
        counting: "exact", or "sketch" as published.
        sketch: shape of the sketches.
        seed: of the sketches' hash functions.
        evaluation_flush: also update after step 1 and every this many steps, as the published code does when it
            evaluates.
    """

    name = "accuracy_morph"
    seed_factor = 19

    def __init__(
        self,
        features: TokenFeatures,
        shares: Shares = ACCURACY_MORPH_SHARES,
        warmup: float = 0.30,
        rounding: Rounding = "half_even",
        positions: Positions = "all",
        *,
        update_steps: int = 200,
        smoothing: float = 1.0,
        min_seen: float = 3.0,
        score_cap: float = 0.9,
        count_decay: float = 1.0,
        counting: Counting = "exact",
        sketch: SketchShape | None = None,
        seed: int = 0,
        evaluation_flush: int | None = None,
    ) -> None:
        super().__init__(features, shares, warmup, rounding, positions)
        for holds, message in (
            (update_steps >= 1, f"--mask_update_steps is {update_steps}; it must be at least 1"),
            (smoothing > 0, f"--smoothing is {smoothing}; it must be positive"),
            (min_seen >= 0, f"--min_seen is {min_seen}; it must not be negative"),
            (0 < score_cap <= 1, f"--score_cap is {score_cap}; it must lie in (0, 1]"),
            (0 < count_decay <= 1, f"--count_decay is {count_decay}; it must lie in (0, 1]"),
            (counting in ("exact", "sketch"), f"--counting {counting!r} is unknown; choose exact or sketch"),
            (counting == "exact" or count_decay == 1, "--count_decay needs --counting exact"),
        ):
            if not holds:
                raise OptionError(message)
        self.update_steps = update_steps
        self.smoothing = smoothing
        self.min_seen = min_seen
        self.score_cap = score_cap
        self.count_decay = count_decay
        self.counting = counting
        self.evaluation_flush = evaluation_flush
        shape, base = sketch or SketchShape(), self.seed_factor * seed
        self.seen, self.wrong = (
            ExactCounter(features)
            if counting == "exact"
            else SketchCounter(features, base + first, base + first + 2, shape)
            for first in (1, 2)
        )

    # ---- selection

    def stages(self, rows: MaskRows, budgets: Ids) -> Iterable[Stage]:
        """Nothing in the warm-up, then tokens and trigrams by their scores."""
        if rows.step < self.warmup_steps(rows.total_steps):
            return
        tokens, grams = self.guided_counts(budgets, rows.step, rows.total_steps)
        yield Stage("token", tokens, self.token_lottery(rows))
        yield Stage("trigram", grams, Lottery(self.gram_tickets, rows.input_ids, self.bound))

    def shares_by_weight(self) -> list[tuple[float, Floats | None]] | None:
        """The even part, the tokens' and the trigrams'."""
        even, first, second = self.shares
        return [(even, None), (first, self.token_scores), (second, self.gram_scores)]

    def token_lottery(self, rows: MaskRows) -> Lottery:
        """What the token stage draws by."""
        return Lottery(self.token_tickets, rows.input_ids, self.bound)

    # ---- feedback

    def due(self, step: int) -> bool:
        """Whether the scores are updated after step `step` (0-based)."""
        done = step + 1
        extra = self.evaluation_flush is not None and (done == 1 or done % self.evaluation_flush == 0)
        return done % self.update_steps == 0 or extra

    def update(self, statistics: StatisticsSource, step: int, rate: float) -> bool:
        """Moves the window's counts into the lifetime counts, in the warm-up too; see `Policy.update`."""
        if not self.due(step):
            return False
        totals = statistics.reduce()
        statistics.reset()
        self.learn(totals["count"], totals["wrong"])
        self.report_sources()
        return True

    def learn(self, seen: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]) -> None:
        """Adds the targets of a window and those that were wrong, int64 `[V]` each, and makes the scores anew."""
        self.seen.add(seen, self.count_decay)
        self.wrong.add(wrong, self.count_decay)
        self.updates += 1
        self._rescore()

    def _rescore(self) -> None:
        keys = self.error_rate(self.wrong.keys(), self.seen.keys())
        grams = self.error_rate(self.wrong.grams(), self.seen.grams())
        self.set_scores(*self.scores(keys, grams))

    def error_rate(self, wrong: Floats, seen: Floats) -> Floats:
        """Smoothed error rates, 0 where too little was seen."""
        rates = np.minimum((wrong + self.smoothing) / (seen + 2 * self.smoothing), self.score_cap)
        return np.where(seen >= self.min_seen, rates, 0.0)

    def scores(self, keys: Floats, grams: Floats) -> tuple[Floats, Floats]:
        """Token and trigram scores by id, from the error rates of all keys and trigrams."""
        return self.features.of_keys(keys), np.minimum(self.mean_of_grams(grams, grams > 0), self.score_cap)

    def mean_of_grams(self, values: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
        """The mean over the counted trigrams of each id, repeats included; 0 where it has none."""
        total = self.features.gram_sums(np.where(counted, values, 0.0))
        number = self.features.gram_sums(counted.astype(np.float64))
        return np.divide(total, number, out=np.zeros_like(total), where=number > 0)

    # ---- persistence and reports

    def _counters(self) -> dict[str, Counter]:
        return {"seen": self.seen, "wrong": self.wrong}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Lifetime counts; those of the window that is going on are the statistics' to keep."""
        counts = {
            f"{name}.{part}": values
            for name, counter in self._counters().items()
            for part, values in counter.state().items()
        }
        return super().state() | counts

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave.

        Raises:
            ResumeError: the counts are of another tokenizer or another way of counting.
        """
        super().load_state(state)
        for name, counter in self._counters().items():
            prefix = f"{name}."
            counter.load_state({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
        self._rescore()

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        names = ("update_steps", "smoothing", "min_seen", "score_cap", "count_decay", "counting", "evaluation_flush")
        return super().describe() | {name: getattr(self, name) for name in names}


Formula = Literal["code", "paper"]
PAPER_FORMULA = (0.5, 0.0, 1.0)
"""Smoothing, min_seen and score_cap of the error rate as both papers print it: (wrong + .5) / (seen + 1) from the first
sight on."""


def steps_of(value: float, total_steps: int | None, option: str) -> int:
    """A number of steps given as such, or below 1 as a share of the run (rounded down).

    Raises:
        OptionError: it is a share and the length of the run is not known.
    """
    if value >= 1 or value == 0:
        return int(value)
    if total_steps is None:
        raise OptionError(
            f"{option} {value} is a share of the run, whose length is not known: pass total_steps, add the collator's "
            "callback() to the trainer, or give a number of steps"
        )
    return int(value * total_steps)
