"""The further files that the official reading task writes: correlations, regressions, and its two scores in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .regression import design, ordinary_least_squares


def official_files(
    table: Any, measures: Sequence[str], baseline: Sequence[str], spillover: Sequence[str], eye: float, paced: float
) -> dict[str, str]:
    """Name -> text of each file.

    Args:
        table: the data with the columns `pred` and `prev_pred`.
        measures: what is predicted; those that are not in the table are left out.
        baseline: variables of the first set of regressions.
        spillover: those of the second.
        eye: eye-tracking score, a fraction.
        paced: score of self-paced reading.
    """
    known = [name for name in measures if name in table.columns]
    correlations = table[["pred", *known]].corr()["pred"]
    return {
        "correlations.txt": "".join(f"{name}\t{correlations[name]:.4f}\n" for name in known),
        "predictive_power.jsonl": "".join(_line(table, name, baseline) for name in known),
        "predictive_power_spillover.jsonl": "".join(_line(table, name, spillover) for name in known),
        "report.txt": f"EYE TRACKING SCORE: {100 * eye:.2f}\nSELF-PACED READING SCORE: {100 * paced:.2f}\n",
    }


def _line(table: Any, measure: str, baseline: Sequence[str]) -> str:
    rows = table[[measure, *baseline, "pred"]].dropna()
    y = rows[measure].to_numpy(dtype=np.float64)
    without = ordinary_least_squares(y, design(rows, baseline))
    beside = ordinary_least_squares(y, design(rows, baseline, "pred"))
    facts = {
        "Predicted variable": measure,
        "Coefficient": beside.coefficient,
        "Number of standard deviations": beside.t,
        "P-value": beside.p,
        "R2": beside.r_squared,
        "Change in R2 from baseline": beside.r_squared - without.r_squared,
        "AIC": beside.aic,
        "Change in AIC from baseline": beside.aic - without.aic,
    }
    return json.dumps(facts) + "\n"
