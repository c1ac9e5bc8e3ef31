"""Accuracy, F1 and Matthews' correlation of predicted classes, as the official pipeline reports them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

_SCORES = {
    "accuracy": accuracy_score,
    # The class 1 counts as found: a paraphrase, a duplicate, a yes.
    "f1": lambda labels, predictions: f1_score(labels, predictions, zero_division=0.0),
    "mcc": matthews_corrcoef,
}


def classification_scores(
    predictions: Sequence[int], labels: Sequence[int], metrics: Sequence[str] = ("accuracy",)
) -> dict[str, float]:
    """The scores of predicted classes against the right ones, fractions; F1 of class 1 and `mcc` need two classes."""
    # scikit-learn warns where all predictions or labels are of one class, which a small model's often are.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: float(_SCORES[name](labels, predictions)) for name in metrics}


def constant_score(labels: Sequence[int], metric: str) -> float:
    """The best score of who always gives the same answer: what guessing is worth on these labels."""
    answers = np.unique(np.asarray(labels))
    return max(classification_scores([int(answer)] * len(labels), labels, [metric])[metric] for answer in answers)
