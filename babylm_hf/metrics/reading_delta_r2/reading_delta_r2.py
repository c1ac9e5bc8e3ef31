"""What surprisal explains of reading times as an `evaluate` metric: a partial share of variance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
How much of people's reading times a model's surprisal explains beyond a baseline (the reading task of the BabyLM
evaluation). The baseline is ordinary least squares on the frequency and length of a word, its position and their
pairwise products; the score is the share of the variance left by it that surprisal explains,
(R2 with surprisal - R2) / (1 - R2). An untrained model does not score 0: report its score beside that of a trained one.
"""

_INPUTS = """\
Args:
    surprisals (list of float): of each word after its context, in nats.
    times (list of float): what is explained, such as first-fixation durations. Rows that are not a number are left out.
    frequencies (list of float): logarithm of the frequency of each word.
    lengths (list of float): letters of each word.
    positions (list of float): words before each word.
    previous_lengths (list of float, optional): letters of the word before, for self-paced reading.
    previous_surprisals (list of float, optional): surprisal of the word before, for self-paced reading; rows where
        either is not a number are left out.

Returns:
    delta_r2: the share of the left variance that surprisal explains, 0 to 1.
    r2_baseline: R2 without surprisal.
    r2: R2 with it.
    rows: rows that were used.

Examples:
    >>> metric = evaluate.load("reading_delta_r2")
    >>> surprisals = [1.0, 3.0, 2.0, 5.0, 4.0, 8.0, 6.0, 7.0, 9.0, 2.5]
    >>> times = [200 + 10 * surprisal for surprisal in surprisals]
    >>> lengths = [3, 5, 2, 7, 4, 6, 3, 8, 5, 4]
    >>> frequencies = [4.1, 3.2, 4.8, 2.0, 3.9, 2.2, 4.4, 1.8, 3.0, 3.7]
    >>> baseline = {"frequencies": frequencies, "lengths": lengths, "positions": list(range(10))}
    >>> round(metric.compute(surprisals=surprisals, times=times, **baseline)["delta_r2"], 6)
    1.0
"""

_CITATION = """\
@article{devarda2023cloze,
  title = {Cloze probability, predictability ratings, and computational estimates for 205 {English} sentences,
           aligned with existing {EEG} and reading time data},
  author = {de Varda, Andrea Gregor and Marelli, Marco and Amenta, Simona},
  journal = {Behavior Research Methods},
  year = {2023},
}
"""


class ReadingDeltaR2(evaluate.Metric):
    """The metric; its description stands above."""

    def _info(self) -> evaluate.MetricInfo:
        names = ("surprisals", "times", "frequencies", "lengths", "positions")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            inputs_description=_INPUTS,
            citation=_CITATION,
            features=datasets.Features({name: datasets.Value("float64") for name in names}),
        )

    def _compute(
        self,
        surprisals: Sequence[float],
        times: Sequence[float],
        frequencies: Sequence[float],
        lengths: Sequence[float],
        positions: Sequence[float],
        previous_lengths: Sequence[float] | None = None,
        previous_surprisals: Sequence[float] | None = None,
    ) -> dict[str, float]:
        if (previous_lengths is None) != (previous_surprisals is None):
            raise ValueError("previous_lengths and previous_surprisals are given together or not at all.")
        baseline = [frequencies, lengths, positions]
        if previous_lengths is not None and previous_surprisals is not None:
            baseline += [previous_lengths, previous_surprisals]
        table = np.array([times, surprisals, *baseline], dtype=np.float64).T
        table = table[~np.isnan(table).any(axis=1)]
        products = 1 + len(baseline) + len(baseline) * (len(baseline) - 1) // 2
        if len(table) <= products + 1:
            raise ValueError(f"{len(table)} complete rows are too few for a regression on {products} variables.")
        without = _design(table[:, 2:])
        base, full = _r2(table[:, 0], without), _r2(table[:, 0], np.column_stack([without, table[:, 1]]))
        return {"delta_r2": (full - base) / (1 - base), "r2_baseline": base, "r2": full, "rows": len(table)}


def _design(variables: np.ndarray) -> np.ndarray:
    """Intercept, variables and their pairwise products."""
    products = [variables[:, a] * variables[:, b] for a, b in combinations(range(variables.shape[1]), 2)]
    return np.column_stack([np.ones(len(variables)), variables, *products])


def _r2(times: np.ndarray, design: np.ndarray) -> float:
    """Share of the variance that ordinary least squares explains."""
    left = times - design @ np.linalg.lstsq(design, times, rcond=None)[0]
    return float(1 - left @ left / np.sum((times - times.mean()) ** 2))
