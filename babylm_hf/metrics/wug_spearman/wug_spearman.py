"""Agreement with people on made-up words as an `evaluate` metric: Spearman's correlation."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np
from scipy.stats import spearmanr

_DESCRIPTION = """\
Agreement with people's choices between two forms of a made-up word (the wug tests of the BabyLM evaluation of 2025):
Spearman's rank correlation of the model's probability of the first form, from the softmax of the two summed
log-probabilities, with the share of people who chose it. A model that always answers the same has no correlation and
scores 0.
"""

_INPUTS = """\
Args:
    first (list of float): summed log-probability of the sentence with the first form.
    second (list of float): that of the sentence with the second form.
    references (list of float): share of people who chose the first form.

Returns:
    spearman: the correlation, -1 to 1.

Examples:
    >>> metric = evaluate.load("wug_spearman")
    >>> found = metric.compute(first=[-9.0, -8.0, -7.0], second=[-8.0, -8.0, -8.0], references=[0.1, 0.5, 0.7])
    >>> round(found["spearman"], 6)
    1.0
"""

_CITATION = """\
@article{hofmann2025derivational,
  title = {Derivational Morphology Reveals Analogical Generalization in Large Language Models},
  author = {Hofmann, Valentin and Weissweiler, Leonie and Mortensen, David R. and Sch{\\"u}tze, Hinrich and
            Pierrehumbert, Janet B.},
  journal = {Proceedings of the National Academy of Sciences},
  year = {2025},
}
"""


class WugSpearman(evaluate.Metric):
    """The metric; its description stands above."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            inputs_description=_INPUTS,
            citation=_CITATION,
            features=datasets.Features({"first": number, "second": number, "references": number}),
        )

    def _compute(
        self, first: Sequence[float], second: Sequence[float], references: Sequence[float]
    ) -> dict[str, float]:
        # In float32 as published: there, probabilities near 1 fall together, and ranks notice.
        scores = np.stack([np.asarray(first), np.asarray(second)], axis=1).astype(np.float32)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        model = (shares / shares.sum(axis=1, keepdims=True))[:, 0]
        if len(np.unique(model)) < 2 or len(np.unique(references)) < 2:
            return {"spearman": 0.0}
        return {"spearman": float(spearmanr(model, references)[0])}
