"""Minimal-pair accuracy as an `evaluate` metric: is the good sentence more probable than the bad one?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Accuracy on minimal pairs, as BLiMP and the BabyLM evaluation report it: a pair counts as right if the model finds the
grammatical sentence more probable than the ungrammatical one. The score of a benchmark is the unweighted mean of the
accuracies of its paradigms. Ties are counted by a policy that is named, because the official pipeline has had two.
"""

_INPUTS = """\
Args:
    good (list of float): summed log-probability of each grammatical sentence, for masked models a
        pseudo-log-likelihood.
    bad (list of float): that of its ungrammatical partner.
    uids (list of str, optional): paradigm of each pair; one paradigm without it.
    ties (str, optional): what a tie earns. "half" (the default): one half, the expected value of the coin that the
        BabyLM pipeline tosses since 2026, a score that is not a number being the worst of all; "first": everything, as
        in the pipeline of 2025, where a good score that is not a number wins.

Returns:
    accuracy: mean over paradigms of the share of pairs that are right, 0 to 1.
    accuracy_over_pairs: the same over all pairs.
    by_uid: accuracy of each paradigm.
    ties: pairs of exactly equal scores.
    near_ties: pairs whose scores differ by less than 0.0001, ties included.

Examples:
    >>> metric = evaluate.load("minimal_pair_accuracy")
    >>> found = metric.compute(good=[-10.0, -12.0, -9.0], bad=[-11.0, -11.5, -9.0], uids=["a", "a", "b"])
    >>> found["accuracy"], found["by_uid"]["a"], found["ties"]
    (0.5, 0.5, 1)
"""

_CITATION = """\
@article{warstadt-etal-2020-blimp,
  title = {{BLiMP}: The Benchmark of Linguistic Minimal Pairs for {English}},
  author = {Warstadt, Alex and Parrish, Alicia and Liu, Haokun and Mohananey, Anhad and Peng, Wei and Wang, Sheng-Fu
            and Bowman, Samuel R.},
  journal = {Transactions of the Association for Computational Linguistics},
  volume = {8},
  year = {2020},
}
"""

_NEAR_TIE = 1e-4


class MinimalPairAccuracy(evaluate.Metric):
    """The metric; its description stands above."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            inputs_description=_INPUTS,
            citation=_CITATION,
            features=datasets.Features({"good": number, "bad": number}),
        )

    def _compute(
        self, good: Sequence[float], bad: Sequence[float], uids: Sequence[str] | None = None, ties: str = "half"
    ) -> dict[str, Any]:
        first, second = np.asarray(good, dtype=np.float64), np.asarray(bad, dtype=np.float64)
        names = ["all"] * len(first) if uids is None else list(uids)
        if len(names) != len(first):
            raise ValueError(f"{len(names)} uids for {len(first)} pairs: there must be one for each.")
        credit = _credit(first, second, ties)
        by_uid: dict[str, list[float]] = {}
        for name, earned in zip(names, credit, strict=True):
            by_uid.setdefault(name, []).append(float(earned))
        accuracies = {name: float(np.mean(earned)) for name, earned in by_uid.items()}
        return {
            "accuracy": float(np.mean(list(accuracies.values()))),
            "accuracy_over_pairs": float(credit.mean()),
            "by_uid": accuracies,
            "ties": int(np.sum(first == second)),
            "near_ties": int(np.sum(np.abs(first - second) < _NEAR_TIE)),
        }


def _credit(good: np.ndarray, bad: np.ndarray, ties: str) -> np.ndarray:
    """What each pair earns, 0 to 1."""
    if ties == "first":
        return np.where(np.isnan(good), True, good >= bad).astype(np.float64)
    if ties != "half":
        raise ValueError(f"ties={ties!r}: the policies are 'half' and 'first'.")
    good, bad = (np.where(np.isnan(scores), -np.inf, scores) for scores in (good, bad))
    return np.where(good == bad, 0.5, good > bad).astype(np.float64)
