"""Adaptive masking: every token id has a weight that follows how badly the model does on it.

Edman & Fraser 2025, "Mask and You Shall Receive" (BabyLM workshop). *hard* follows the smoothed error rate of an id,
*soft* its min-max-normalised loss, both measured in the training forward pass. Two profiles: the project's (default),
and the reference's, which reproduces what the published code does where that is a choice (budget, specials, floor,
window), not where it is a defect of arithmetic (16-bit counters, NaN weights).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, ResumeError
from .policies import IndependentPolicy, Positions, Probabilities, per_row, water_fill
from .rows import Flags, Floats, Ids, RateValue

Totals = Mapping[str, npt.NDArray[Any]]

REFERENCE_FLOOR = 0.005
"""Floor of the published code: an absolute weight."""

PROJECT_FLOOR = 1 / 30
"""Our floor, a share of the mask rate: equal to the reference's at its constant rate of .15, whatever the rate."""

_SAME_LOSS = 1e-8


class StatisticsSource(Protocol):
    """Where an update finds what the model did: a `TokenStatistics`."""

    def reduce(self) -> dict[str, npt.NDArray[Any]]:
        """Totals of all processes: `correct`, `wrong`, `count` int64 `[V]`, `loss` float64 `[V]` (nats)."""

    def reset(self) -> None:
        """Begins a new window."""


class AdaptivePolicy(IndependentPolicy):
    """Selection in proportion to a weight per token id, renormalised in every row.

    A position is a target with probability rate x (eligible tokens of the row) x w / (sum of w over the row).

    Args:
        vocab_size: number of ids, V.
        special_ids: ids that are never targets; frozen, and outside all means (reference profile: ordinary ids, but for
            padding).
        initial_rate: p0, the first weight of every id.
        kind: "hard" or "soft".
        update_steps: N, steps between updates.
        first_update: F, no update before this many steps are done.
        mask_lambda: share of the old weight that an update keeps.
        floor: smallest weight before renormalisation; a share of the rate, in the reference profile an absolute weight.
        renorm: "code" (floor, then mean weight = rate) or "paper" (equation 2 alone).
        positions: targets that are counted, "all" or "mask" (those shown as the mask token); default all for hard, mask
            for soft.
        water_filling: redistribute what a probability above 1 loses; default on, off in the reference profile.
        initial_weights: a prior instead of p0 for every id, `[V]`, positive.
        reference: the reference profile.

    Raises:
        OptionError: an option cannot work.
    """

    needs_feedback = True

    def __init__(
        self,
        vocab_size: int,
        special_ids: npt.ArrayLike,
        initial_rate: float,
        kind: Literal["hard", "soft"] = "hard",
        *,
        update_steps: int = 200,
        first_update: int = 0,
        mask_lambda: float = 0.2,
        floor: float | None = None,
        renorm: Literal["code", "paper"] = "code",
        positions: Positions | None = None,
        water_filling: bool | None = None,
        initial_weights: npt.ArrayLike | None = None,
        reference: bool = False,
    ) -> None:
        _check(kind in ("hard", "soft"), f"--masking {kind!r} is unknown; choose hard or soft")
        _check(update_steps >= 1, f"--mask_update_steps is {update_steps}; it must be at least 1")
        _check(first_update >= 0, f"--first_mask_update is {first_update}; it must not be negative")
        _check(0 <= mask_lambda < 1, f"--mask_lambda is {mask_lambda}; it must lie in [0, 1)")
        _check(renorm in ("code", "paper"), f"renorm {renorm!r} is unknown; choose code or paper")
        _check(positions in (None, "all", "mask"), f"positions {positions!r} are unknown; choose all or mask")
        default_floor = REFERENCE_FLOOR if reference else PROJECT_FLOOR
        self.floor = default_floor if floor is None else float(floor)
        _check(0 <= self.floor < 1, f"--mask_floor is {floor}; it must lie in [0, 1)")
        self.kind = kind
        self.vocab_size = vocab_size
        self.special_ids = np.unique(np.asarray(special_ids, np.int64))
        self.update_steps = update_steps
        self.first_update = first_update
        self.mask_lambda = float(mask_lambda)
        self.renorm = renorm
        self.positions = positions or ("all" if kind == "hard" else "mask")
        self.water_filling = (not reference) if water_filling is None else water_filling
        self.reference = reference
        self.updates = 0
        self.weights = self._first_weights(initial_rate, initial_weights)
        self._learns = np.ones(vocab_size, bool)
        if not reference:
            self._learns[self.special_ids] = False

    def _first_weights(self, rate: float, prior: npt.ArrayLike | None) -> npt.NDArray[np.float32]:
        if prior is None:
            return np.full(self.vocab_size, rate, np.float32)
        weights = np.array(prior, np.float32)
        _check(
            weights.shape == (self.vocab_size,) and bool(np.isfinite(weights).all()) and bool((weights > 0).all()),
            f"initial mask weights must be {self.vocab_size} positive numbers, one a token id",
        )
        return weights

    # ---- selection

    def probabilities(self, input_ids: Ids, eligible: Flags, rate: RateValue) -> Probabilities:
        """See `Policy`; rows whose weights sum to 0 are uniform (reference profile: nothing is selected there)."""
        shown = self.weights[input_ids]
        shown *= eligible
        # float64 holds a sum of float32 weights exactly, so no order of summation and no padding can change a mask.
        weights = shown.astype(np.float64)
        total = weights.sum(axis=1)
        if self.reference:
            budget = per_row(rate, len(input_ids)) * eligible.shape[1]
        else:
            budget = per_row(rate, len(input_ids)) * np.add.reduce(eligible.view(np.uint8), axis=1, dtype=np.uint32)
            if not total.all():
                empty = total == 0
                weights[empty] = eligible[empty]
                total = weights.sum(axis=1)
        scale = np.divide(budget, total, out=np.zeros_like(total), where=total > 0)
        wanted: Probabilities = weights * scale[:, None]
        if self.water_filling:
            self.clipped += water_fill(wanted, weights, budget)
        else:
            self.clipped += int(np.count_nonzero(wanted > 1))
        return wanted

    # ---- feedback

    def due(self, step: int) -> bool:
        """Whether a window ends with step `step` (0-based).

        Project: every window is exactly N steps. Reference: at k = N, 2N, ..., so that the first window has N + 1.
        """
        if self.reference:
            return step > 0 and step % self.update_steps == 0 and step >= self.first_update
        return (step + 1) % self.update_steps == 0

    def update(self, statistics: StatisticsSource, step: int, rate: float) -> bool:
        """Moves the weights if a window ends here, and begins the next one.

        Args:
            statistics: counts of the window; with several processes every one must call this, as the counts are summed.
            step: the optimizer step that is just done, 0-based.
            rate: its mask rate.

        Returns:
            Whether the weights changed.
        """
        if not self.due(step):
            return False
        totals = statistics.reduce()
        statistics.reset()
        # With F > 0 the project drops the windows before the first update; the reference counts from step 0 (`due`).
        if step + 1 < self.first_update:
            return False
        moved = self.moved(totals, rate)
        if moved is None:
            return False
        self.weights = moved
        self.updates += 1
        return True

    def moved(self, totals: Totals, rate: float) -> npt.NDArray[np.float32] | None:
        """The weights after one update (section 2.6 of the specification; paper equations 2-5), or None for no change.

        w' = lambda w + (1 - lambda) rate difficulty; floor; then scaled so that their mean is the rate.

        Raises:
            FloatingPointError: a weight is not finite, which no input should be able to bring about.
        """
        learns = self._learns
        difficulty = self._difficulty({name: values[learns] for name, values in totals.items()})
        if difficulty is None:
            return None
        keep = self.mask_lambda
        mixed = keep * self.weights[learns].astype(np.float64) + (1 - keep) * rate * difficulty
        if self.renorm == "code":
            mixed = np.maximum(mixed, self.floor if self.reference else self.floor * rate)
            mixed *= rate * len(mixed) / mixed.sum()
        weights = self.weights.copy()
        weights[learns] = mixed
        if not np.isfinite(weights).all():
            raise FloatingPointError("the update of the mask weights gave a number that is not finite")
        return weights

    def _difficulty(self, totals: Totals) -> npt.NDArray[np.float64] | None:
        """How badly the model does on each id, in [0, 1]; None where the window says nothing."""
        seen = totals["count"].astype(np.float64)
        if self.kind == "hard":
            if not self.reference and not seen.any():
                return None
            return 1 - (totals["correct"] + 0.5) / (seen + 1)
        # One pseudo-observation at the loss of a uniform guess.
        loss = (math.log(self.vocab_size) + totals["loss"]) / (1 + seen)
        low, high = loss.min(), loss.max()
        return (loss - low) / (high - low) if high - low > _SAME_LOSS else None

    # ---- persistence and reports

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights float32 `[V]` and the number of updates."""
        return {"weights": self.weights.copy(), "updates": np.array([self.updates], np.int64)}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes what `state` gave.

        Raises:
            ResumeError: the weights are of another vocabulary or damaged.
        """
        weights = np.array(state["weights"], np.float32)
        if weights.shape != self.weights.shape or not np.isfinite(weights).all():
            raise ResumeError(
                f"the checkpoint's mask weights have shape {weights.shape}, but the tokenizer has {self.vocab_size} "
                "ids; resume with the tokenizer of the run"
            )
        self.weights = weights
        self.updates = int(np.asarray(state["updates"]).reshape(-1)[0])

    def token_weights(self) -> npt.NDArray[np.float32]:
        """The mask weights, float32 `[V]`."""
        return self.weights.copy()

    def shares_by_weight(self) -> list[tuple[float, Floats | None]]:
        """One part: all targets by the weights."""
        return [(1.0, self.weights.astype(np.float64))]

    def summary(self, size: int = 10) -> dict[str, Any]:
        """Spread of the weights, the ids with the `size` highest and lowest, and the weights of special ids."""
        ids = np.flatnonzero(self._learns)
        ranked = ids[np.argsort(self.weights[ids], kind="stable")]
        values = self.weights[ids].astype(np.float64)
        return {
            "updates": self.updates,
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
            "top": self._listed(ranked[::-1][:size]),
            "bottom": self._listed(ranked[:size]),
            "special": self._listed(self.special_ids),
        }

    def _listed(self, ids: npt.NDArray[np.int64]) -> list[list[float]]:
        return [[int(i), float(self.weights[i])] for i in ids]

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {
            "name": f"adaptive ({self.kind})",
            "mask_update_steps": self.update_steps,
            "first_mask_update": self.first_update,
            "mask_lambda": self.mask_lambda,
            "mask_floor": self.floor,
            "renorm": self.renorm,
            "positions": self.positions,
            "water_filling": self.water_filling,
            "reference": self.reference,
        }


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise OptionError(message)
