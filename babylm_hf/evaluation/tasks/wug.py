"""Wug tests: nominalised adjectives (Hofmann et al. 2025) and past tenses of made-up words. `p25` only.

Two sentences stand for two forms; the model's probability of the first, from the softmax of the two summed
log-probabilities, is correlated with the share of people who chose it (Spearman). Guessing gives 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CorpusError, OptionError
from ..score_rows import ScoreRow
from ..scoring_plan import AnyRequest
from .base import NEAR_TIE, State, Task, TaskResult, TaskSpec, Ties, read_rows
from .choice import ChoiceTask, Item, choices, right_margins

_NAMES = {"wug_adj": "wug_adj_nominalization", "wug_past": "wug_past_tense"}


class WugTask(Task):
    """Agreement with people's choices between two forms.

    Args:
        name: of the task.
        folder: of its data.
        items: the two sentences of each.
        human: share of people who chose the first.
    """

    def __init__(self, name: str, folder: str, items: list[Item], human: list[float]) -> None:
        self.name, self.folder, self.human = name, folder, human
        self.pairs = ChoiceTask(name, folder, items, 0.5)

    def requests(self, tokenizer: Any, backend: str) -> list[AnyRequest]:
        """Both sentences of every item.

        Raises:
            OptionError: for `enc_dec_prefix`, which the pipeline lets see the first sentence only.
        """
        if backend == "enc_dec_prefix":
            raise OptionError(f"{self.name} has no prefix: it cannot be scored by --backend enc_dec_prefix.")
        return self.pairs.requests(tokenizer, backend)

    def source(self, request: int) -> str:
        """File and line."""
        return self.pairs.source(request)

    def result(self, values: Sequence[np.ndarray], ties: Ties) -> TaskResult:
        """Spearman's rank correlation with people; a model that always says the same has none, and scores 0."""
        from scipy.stats import spearmanr

        scores = self.pairs.candidate_scores(values)
        # In float32 as published: there, probabilities near 1 fall together, and ranks notice.
        logits = scores.astype(np.float32)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        model = (share / share.sum(axis=1, keepdims=True))[:, 0]
        constant = len(np.unique(model)) < 2 or len(np.unique(self.human)) < 2
        correlation = 0.0 if constant else float(spearmanr(model, self.human)[0])
        margins = right_margins(scores, np.zeros(len(scores), dtype=np.int64))
        predictions = [
            {
                "id": f"{self.name}_{number}",
                "pred": self.pairs.items[number].completions[chosen],
                "prob": float(model[number]),
            }
            for number, chosen in enumerate(choices(scores, ties))
        ]
        return TaskResult(
            task=self.name,
            metric="Spearman's rho",
            score=correlation,
            rows=(ScoreRow(self.name, "", "", correlation, len(scores), 0.0, metric="Spearman's rho"),),
            metrics={
                "correlation": correlation,
                "chance": 0.0,
                "items": len(scores),
                "ties": int(np.sum(margins == 0)),
                "near_ties": int(np.sum(np.abs(margins) < NEAR_TIE)),
                "not_a_number": int(np.isnan(scores).any(axis=1).sum()),
            },
            predictions={self.name: {"predictions": predictions}},
            scores=scores,
        )


def load_wug(name: str, path: Path, state: State) -> WugTask:
    """One of the two wug tests.

    Raises:
        CorpusError: nothing there, a line without its fields, or not two sentences in it.
    """
    items, human = [], []
    for row, place, _ in read_rows(path, "the wug test", {"sentences": str, "ratio": (int, float)}):
        both = tuple(row["sentences"].split("\t"))
        if len(both) != 2:
            raise CorpusError(f"{place}: the field sentences needs two sentences with a tab between them.")
        items.append(Item(both, both, 0, name, (None, None), {}, place))
        human.append(float(row["ratio"]))
    return WugTask(name, path.stem, items, human)


SPECS = {
    name: TaskSpec(
        name,
        "Wug test, " + ("adjective nominalisation" if name == "wug_adj" else "past tense"),
        0.0,
        partial(load_wug, name),
        full=folder,
        fast=folder,
        official=name,
        states=("p25",),
        same_data=True,
    )
    for name, folder in _NAMES.items()
}
