"""Minimal pairs in BLiMP's format: does the model find the good sentence more probable than the bad one?

The score of a benchmark is the plain mean of the accuracies of its paradigms (BLiMP: Warstadt et al. 2020). The
official pipeline has counted ties in two ways: in its state `p25` (2025) every tie is correct, in `p26` (2026) a coin
is tossed. Of the coin the expected value is reported here, one half, so that a model always gets the same number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import nn

from ..errors import CorpusError, OptionError
from ..lines import json_lines
from .outcomes import item_outcomes
from .scoring import score_sentences
from .scoring_plan import Backend

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Scoring = Literal["p25", "p26"]

NEAR_TIE = 1e-4  # margins in nats below which another order of summation may decide


@dataclass(frozen=True)
class MinimalPair:
    """A good and a bad sentence; `uid` names their paradigm, `term` its phenomenon, `field` that of linguistics."""

    good: str
    bad: str
    uid: str
    term: str = ""
    field: str = ""


@dataclass(frozen=True)
class PairResults:
    """Scores of minimal pairs.

    Attributes:
        pairs: what was scored.
        good: summed log-probabilities of the good sentences, natural logarithm, float64 `[n]`.
        bad: those of the bad ones.
        backend: how they were scored.
    """

    pairs: tuple[MinimalPair, ...]
    good: np.ndarray
    bad: np.ndarray
    backend: Backend

    @property
    def margins(self) -> np.ndarray:
        """Good minus bad, float64 `[n]`."""
        margins: np.ndarray = self.good - self.bad
        return margins

    def credit(self, scoring: Scoring = "p26") -> np.ndarray:
        """What each pair earns, 0 to 1, float64 `[n]`.

        `p25`: the first best candidate wins, the good one being the first, and a score that is not a number beats every
        number. `p26`: not a number counts as minus infinity, and a tie earns one half.
        """
        if scoring == "p25":
            return np.where(np.isnan(self.good), True, self.good >= self.bad).astype(np.float64)
        good, bad = (np.where(np.isnan(scores), -np.inf, scores) for scores in (self.good, self.bad))
        return np.where(good == bad, 0.5, good > bad).astype(np.float64)

    def by_paradigm(self, scoring: Scoring = "p26") -> dict[str, float]:
        """Accuracy of each paradigm, 0 to 1."""
        return self._means(lambda pair: pair.uid, scoring)

    def by_phenomenon(self, scoring: Scoring = "p26") -> dict[str, float]:
        """Accuracy over all pairs of each linguistic term."""
        return self._means(lambda pair: pair.term, scoring)

    def by_field(self, scoring: Scoring = "p26") -> dict[str, float]:
        """Accuracy over all pairs of each field."""
        return self._means(lambda pair: pair.field, scoring)

    def accuracy(self, scoring: Scoring = "p26") -> float:
        """The benchmark's score, 0 to 1: the unweighted mean over paradigms."""
        return float(np.mean(list(self.by_paradigm(scoring).values())))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single scores, ready for JSON. Accuracies are fractions, by `p26` unless named `p25`."""
        return {
            "backend": self.backend,
            "pairs": len(self.pairs),
            "accuracy": self.accuracy(),
            "accuracy_p25": self.accuracy("p25"),
            "accuracy_over_pairs": float(self.credit().mean()),
            "ties": int(np.sum(self.good == self.bad)),
            "near_ties": int(np.sum(np.abs(self.margins) < NEAR_TIE)),
            "not_a_number": int(np.sum(np.isnan(self.margins))),
            "paradigms": self.by_paradigm(),
            "phenomena": self.by_phenomenon(),
            "phenomenon_pairs": dict(sorted(Counter(pair.term for pair in self.pairs if pair.term).items())),
            "fields": self.by_field(),
        }

    def outcomes(self) -> dict[str, Any]:
        """The outcome of every pair, for a comparison item by item."""
        return item_outcomes(
            [pair.uid for pair in self.pairs],
            [pair.term for pair in self.pairs],
            self.credit(),
            (text for pair in self.pairs for text in (pair.good, pair.bad)),
            lambda accuracy: float(np.mean(list(accuracy.values()))),
        )

    def _means(self, key: Callable[[MinimalPair], str], scoring: Scoring) -> dict[str, float]:
        groups: dict[str, list[float]] = {}
        for pair, credit in zip(self.pairs, self.credit(scoring), strict=True):
            groups.setdefault(key(pair), []).append(float(credit))
        return {name: float(np.mean(credits)) for name, credits in sorted(groups.items()) if name}


def load_pairs(path: str | Path, limit: int = 0) -> list[MinimalPair]:
    """Read pairs from a `.jsonl` file or from all those of a folder, in the order of their names.

    A line needs `sentence_good` and `sentence_bad`; `UID` defaults to the file's stem (as in the BLiMP supplement),
    `linguistics_term` and `field` to nothing.

    Args:
        path: file or folder.
        limit: only so many from the start of each file; 0 for all.

    Raises:
        CorpusError: nothing there, or a line that is no such pair; the message names the file and the line.
    """
    path = Path(path)
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not path.exists():
        raise CorpusError(f"{path}: no such file or folder of minimal pairs.")
    if not files:
        raise CorpusError(f"{path}: the folder has no .jsonl file with minimal pairs.")
    pairs: list[MinimalPair] = []
    for file in files:
        before = len(pairs)
        for row, place in json_lines(file):
            if limit and len(pairs) - before >= limit:
                break
            pairs.append(_parse(row, place, file))
        if len(pairs) == before:
            raise CorpusError(f"{file}: the file has no minimal pairs.")
    return pairs


def _parse(row: Any, place: str, file: Path) -> MinimalPair:
    for name in ("sentence_good", "sentence_bad"):
        if not isinstance(row, dict) or not isinstance(row.get(name), str):
            raise CorpusError(f"{place}: a minimal pair needs the text field {name}.")
    field = str(row.get("field", "")).replace("syntax_semantics", "syntax/semantics")  # the files use both spellings
    return MinimalPair(
        good=row["sentence_good"],
        bad=row["sentence_bad"],
        uid=str(row.get("UID", file.stem)),
        term=str(row.get("linguistics_term", "")),
        field=field,
    )


def backend_of(model: nn.Module) -> Backend:
    """How a model is scored, from the name of its class.

    Raises:
        OptionError: the name does not tell.
    """
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return "mlm"
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal"
    raise OptionError(f"{name} does not say whether it is a masked or a causal model: pass --backend mlm or causal.")


def evaluate_pairs(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[MinimalPair],
    backend: Backend | Literal["auto"] = "auto",
    *,
    batch_tokens: int = 8192,
    progress: str | None = None,
) -> PairResults:
    """Score both sentences of every pair.

    Args:
        model: a masked or causal language model on any device; it is left in the mode it was in.
        tokenizer: a fast one.
        pairs: at least one.
        backend: `auto` goes by the model's class.
        batch_tokens: tokens in a batch.
        progress: label of a progress bar.

    Raises:
        OptionError: no pairs, an unusable tokenizer, or a model that `auto` cannot place.
    """
    if not pairs:
        raise OptionError("There are no minimal pairs to score.")
    chosen = backend_of(model) if backend == "auto" else backend
    sentences = [sentence for pair in pairs for sentence in (pair.good, pair.bad)]
    scores = score_sentences(
        model, tokenizer, sentences, backend=chosen, batch_tokens=batch_tokens, progress=progress
    ).reshape(-1, 2)
    return PairResults(tuple(pairs), scores[:, 0], scores[:, 1], chosen)
