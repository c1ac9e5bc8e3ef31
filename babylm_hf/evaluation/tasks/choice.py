"""Tasks that let a model choose among candidates: which is the most probable, and is it the right one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from ...errors import CorpusError
from ..outcomes import item_outcomes
from ..score_rows import ScoreRow
from ..scoring_plan import AnyRequest, Request
from .base import NEAR_TIE, Counts, Task, TaskResult, Ties

_COIN_SEED = 2026  # the official coin is not seeded; ours always falls the same way


@dataclass(frozen=True)
class Item:
    """Candidates and which of them is right.

    Attributes:
        sentences: whole texts.
        completions: the suffix of each that is scored.
        label: index of the right one.
        uid: name of the paradigm, domain or set it counts under.
        prefixes: what the encoder reads by the backend `enc_dec_prefix`, None for nothing.
        groups: further names it counts under, such as `field` and `linguistics_term`.
        source: file and line.
    """

    sentences: tuple[str, ...]
    completions: tuple[str, ...]
    label: int
    uid: str
    prefixes: tuple[str | None, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass
class ChoiceTask(Task):
    """Items with candidates, scored by the share of right choices, averaged over `uid`s.

    Attributes:
        name: of the task.
        folder: of its data.
        items: in file order.
        chance: share that a guess gets right.
        phenomenon: the group that the table shows between the task and its `uid`s; None for none.
        mean_log_probability: candidates compete by mean instead of summed log-probability.
        whole_predictions: `predictions.json` holds the whole sentence instead of the completion.
    """

    name: str
    folder: str
    items: list[Item]
    chance: float
    phenomenon: str | None = None
    mean_log_probability: bool = False
    whole_predictions: bool = False

    def __post_init__(self) -> None:
        self.candidates = len(self.items[0].sentences)
        for item in self.items:
            if len(item.sentences) != self.candidates:
                raise CorpusError(
                    f"{item.source}: the item has {len(item.sentences)} candidates, those before it {self.candidates}."
                )

    def requests(self, tokenizer: Any, backend: str) -> list[AnyRequest]:
        """Every candidate of every item."""
        return [
            Request(sentence, len(sentence) - len(completion), prefix if backend == "enc_dec_prefix" else None)
            for item in self.items
            for sentence, completion, prefix in zip(item.sentences, item.completions, item.prefixes, strict=True)
        ]

    def source(self, request: int) -> str:
        """File and line of the item that a request belongs to."""
        return self.items[request // self.candidates].source

    def result(self, values: Sequence[np.ndarray], ties: Ties) -> TaskResult:
        """Accuracy by `uid` and by every group."""
        scores = self.candidate_scores(values)
        labels = np.array([item.label for item in self.items])
        verdicts = {policy: credit(scores, labels, policy) for policy in get_args(Ties)}
        accuracy = {policy: self.overall(self._by("", found)) for policy, found in verdicts.items()}
        by_uid = self._by("", verdicts[ties])
        margins = right_margins(scores, labels)
        return TaskResult(
            task=self.name,
            metric="accuracy",
            score=accuracy[ties],
            rows=tuple(self._rows(by_uid, accuracy[ties])),
            metrics={
                "accuracy": accuracy[ties],
                "chance": self.chance,
                "items": len(self.items),
                "ties": int(np.sum(margins == 0)),
                "near_ties": int(np.sum(np.abs(margins) < NEAR_TIE)),
                "not_a_number": int(np.isnan(scores).any(axis=1).sum()),
                "accuracy_by_ties": accuracy,
                "ties_count_as": ties,
                "paradigms": by_uid.accuracy(),
                "phenomena": self._phenomena(by_uid, verdicts[ties]),
                **{f"by_{name}": self._by(name, verdicts[ties]).accuracy() for name in self._group_names()},
            },
            predictions=self.predictions(scores, ties),
            scores=scores,
            outcomes=self._outcomes(verdicts[ties]),
        )

    def candidate_scores(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Score of every candidate, float64 `[items, candidates]`."""
        flat = [value.sum() / (max(len(value), 1) if self.mean_log_probability else 1) for value in values]
        return np.array(flat, dtype=np.float64).reshape(-1, self.candidates)

    def overall(self, by_uid: Counts) -> float:
        """The task's score: the unweighted mean over `uid`s."""
        return float(np.mean(list(by_uid.accuracy().values())))

    def predictions(self, scores: np.ndarray, ties: Ties) -> dict[str, Any]:
        """The official form: by `uid`, in file order, the text that was chosen."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for item, chosen in zip(self.items, choices(scores, ties), strict=True):
            listed = found.setdefault(item.uid, {"predictions": []})["predictions"]
            texts = item.sentences if self.whole_predictions else item.completions
            listed.append({"id": f"{item.uid}_{len(listed)}", "pred": texts[chosen]})
        return found

    # ------------------------------------------------------------------ parts

    def _outcomes(self, credits: np.ndarray) -> dict[str, Any]:
        def overall(accuracy: dict[str, float]) -> float:
            return self.overall(Counts(accuracy, dict.fromkeys(accuracy, 1)))

        texts = (text for item in self.items for text in (*item.sentences, *item.completions))
        uids = [item.uid for item in self.items]
        shown = [item.groups.get(self.phenomenon, "") for item in self.items] if self.phenomenon else uids
        return item_outcomes(uids, shown, credits, texts, overall)

    def _by(self, group: str, credits: np.ndarray) -> Counts:
        counts = Counts()
        for item, earned in zip(self.items, credits, strict=True):
            name = item.groups.get(group, "") if group else item.uid
            if name:
                counts.add(name, float(earned))
        return counts

    def _group_names(self) -> list[str]:
        return list(dict.fromkeys(name for item in self.items for name in item.groups))

    def _phenomena(self, by_uid: Counts, credits: np.ndarray) -> dict[str, float]:
        return (self._by(self.phenomenon, credits) if self.phenomenon else by_uid).accuracy()

    def _rows(self, by_uid: Counts, score: float) -> list[ScoreRow]:
        group_of = {item.uid: item.groups.get(self.phenomenon or "", "") for item in self.items}
        rows = [ScoreRow(self.name, "", "", score, len(self.items), self.chance)]
        for uid, accuracy in by_uid.accuracy().items():
            rows.append(ScoreRow(self.name, group_of[uid], uid, accuracy, by_uid.total[uid], self.chance))
        return rows


def credit(scores: np.ndarray, labels: np.ndarray, ties: Ties) -> np.ndarray:
    """What each item earns, 0 to 1, float64 `[n]`; arguments as in `choices`."""
    if ties == "half":
        tied = _tied(scores)
        shared: np.ndarray = tied[np.arange(len(labels)), labels] / tied.sum(1)
        return shared
    right: np.ndarray = choices(scores, ties) == labels
    return right.astype(np.float64)


def choices(scores: np.ndarray, ties: Ties) -> np.ndarray:
    """The candidate each item is decided for, int64 `[n]`.

    Args:
        scores: float64 `[n, k]`.
        ties: `first`: the first best wins, and not a number beats every number. Else: not a number counts as minus
            infinity, and a coin decides among the best; where a decision is needed, `half` uses the coin too.
    """
    if ties == "first":
        return np.asarray(scores.argmax(axis=1))  # numpy takes the first of equals and the first NaN, as torch does
    tied = _tied(scores)
    draws = np.random.default_rng(_COIN_SEED).random(tied.shape)
    return np.asarray(np.where(tied, draws, -1.0).argmax(axis=1))


def _tied(scores: np.ndarray) -> np.ndarray:
    """Which candidates share the best score; not a number counts as minus infinity."""
    finite = np.where(np.isnan(scores), -np.inf, scores)
    best: np.ndarray = finite == finite.max(axis=1, keepdims=True)
    return best


def right_margins(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By how much the right candidate beats the best other one, in nats, float64 `[n]`."""
    rows = np.arange(len(labels))
    others = np.where(np.isnan(scores), -np.inf, scores)
    right = others[rows, labels]
    others[rows, labels] = -np.inf
    best = others.max(axis=1)
    with np.errstate(invalid="ignore"):  # of two infinities; they are equal
        return np.where(right == best, 0.0, right - best)
