"""Ordinary least squares, with what the reading task reports of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fit:
    """A regression.

    Attributes:
        r_squared: share of the variance that is explained.
        coefficient: of the last column.
        t: coefficient over its standard error.
        p: two-sided probability of such a t.
        aic: Akaike's criterion for normal errors.
    """

    r_squared: float
    coefficient: float
    t: float
    p: float
    aic: float


def design(table: Any, variables: Sequence[str], *added: str) -> np.ndarray:
    """Intercept, the variables, all their pairwise products, and what is added; float64 `[n, k]`."""
    columns = {name: table[name].to_numpy(dtype=np.float64) for name in (*variables, *added)}
    products = [columns[a] * columns[b] for a, b in combinations(variables, 2)]
    first = [np.ones(len(table)), *(columns[name] for name in variables), *products]
    return np.stack([*first, *(columns[name] for name in added)], axis=1)


def r_squared(y: np.ndarray, x: np.ndarray) -> float:
    """Share of the variance of `y` that ordinary least squares on `x` explains."""
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - np.sum((y - x @ coefficients) ** 2) / np.sum((y - y.mean()) ** 2))


def ordinary_least_squares(y: np.ndarray, x: np.ndarray) -> Fit:
    """The regression of `y` `[n]` on the columns of `x` `[n, k]`, the first of which is the intercept."""
    from scipy.stats import t as student

    n, k = x.shape
    inverse = np.linalg.pinv(x)
    coefficients = inverse @ y
    left = float(np.sum((y - x @ coefficients) ** 2))
    error = float(np.sqrt(left / (n - k) * (inverse[-1] @ inverse[-1])))
    t = float(coefficients[-1] / error)
    likelihood = -n / 2 * (np.log(2 * np.pi * left / n) + 1)
    total = float(np.sum((y - y.mean()) ** 2))
    return Fit(
        1 - left / total, float(coefficients[-1]), t, float(2 * student.sf(abs(t), n - k)), 2 * k - 2 * likelihood
    )
