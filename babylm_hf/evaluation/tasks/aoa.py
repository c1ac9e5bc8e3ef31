"""Age of acquisition (Chang & Bergen 2022): does a model learn words in the order in which children do?

The surprisal of 504 words in contexts, at every checkpoint; each word's curve over training gives the number of words
at which the model knew it, which is correlated with the age at which half of the children did. A single checkpoint has
surprisals only; the score needs at least three, and children's data (`cdi_human.csv` beside the contexts).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CorpusError
from ...lines import parse_json
from ..scoring_plan import AnyRequest, Request
from .base import State, Task, TaskResult, TaskSpec, Ties

AGES = tuple(range(16, 31))
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}
_P25_CEILING = float(np.log2(300_000))  # in bits, although surprisals are in nats: as published


class AoaTask(Task):
    """Surprisals of words in context.

    Args:
        contexts: (word, number of the context, context) in file order.
        path: where they were read from.
        state: whose formula gives the score.
    """

    def __init__(self, contexts: list[tuple[str, int, str]], path: Path, state: State) -> None:
        self.name, self.folder, self.contexts, self.path, self.state = "aoa", path.stem, contexts, path, state

    def requests(self, tokenizer: Any, backend: str) -> list[AnyRequest]:
        """The context and a space before the word, of which the word is scored."""
        found: list[AnyRequest] = []
        for word, _, context in self.contexts:
            before, word = context.strip() + " ", word.strip()
            found.append(Request(before + word, len(before), before if backend == "enc_dec_prefix" else None))
        return found

    def source(self, request: int) -> str:
        """File, word and number of its context."""
        word, number, _ = self.contexts[request]
        return f"{self.path}, word {word}, context {number}"

    def result(self, values: Sequence[np.ndarray], ties: Ties) -> TaskResult:
        """Surprisals at one checkpoint; `aoa_score` puts those of several together."""
        surprisal = [float(-value.sum()) for value in values]
        mean = float(np.nanmean(surprisal))
        return TaskResult(
            task=self.name,
            metric="mean surprisal (nats)",
            score=mean,
            rows=(),
            metrics={"mean_surprisal": mean, "items": len(surprisal)},
            records=tuple(
                {"target_word": word, "context_id": number, "context": context, "surprisal": value}
                for (word, number, context), value in zip(self.contexts, surprisal, strict=True)
            ),
        )

    def human(self) -> Path | None:
        """The children's data, where they lie beside the contexts."""
        beside = self.path.parent / "cdi_human.csv"
        return beside if beside.is_file() else None


def load_aoa(path: Path, state: State) -> AoaTask:
    """Words and contexts of `cdi_childes.json`; words of one character are left out, as published.

    Raises:
        CorpusError: no such file, or it is not of that form.
    """
    file = path / "cdi_childes.json" if path.is_dir() else path
    if not file.is_file():
        raise CorpusError(f"{file}: no such file of words and contexts.")
    try:
        data = parse_json(file.read_text(encoding="utf-8"))
        contexts = [
            (word, number, entry["context"])
            for word, entries in data.items()
            if len(word) > 1
            for number, entry in enumerate(entries)
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorpusError(f"{file}: the file must map each word to a list of objects with a context.") from error
    if not contexts:
        raise CorpusError(f"{file}: the file holds no words.")
    return AoaTask(contexts, file, state)


# -- the score over checkpoints --------------------------------------------------------------------------------------


def words_of(step: str) -> float:
    """Words seen, from a checkpoint's name: `chck_10M` is 10,000,000.

    Raises:
        ValueError: the name holds no number.
    """
    found = re.search(r"(\d+(?:\.\d+)?)\s*([KMB]?)", step, re.IGNORECASE)
    if not found:
        raise ValueError(step)
    return float(found[1]) * _UNITS[found[2].upper()]


def aoa_score(records: Sequence[dict[str, Any]], human: Path, tokenizer: Any, state: State) -> dict[str, Any]:
    """Pearson's correlation of the model's and children's ages of acquisition.

    Args:
        records: `step`, `target_word` and `surprisal` (nats) of every context at every checkpoint.
        human: `cdi_human.csv`, with a column `word` and one for each month of age, 16 to 30.
        tokenizer: gives vocabulary size and pieces of a word (`p26`).
        state: `p25` fits all contexts, to a ceiling of log2(300000); `p26` fits their means, to the ceiling of a
            uniform guess, and gives 0 where the correlation has p > 0.1.

    Returns:
        `aoa` (0 with fewer than three words), `words` compared, and `p_value` where there is one.
    """
    import pandas  # type: ignore[import-untyped]
    from scipy.stats import pearsonr

    table = pandas.read_csv(human)
    ages = [age for age in AGES if str(age) in table.columns]
    if not ages or "word" not in table.columns:
        raise CorpusError(f"{human}, line 1: the file needs a column word and one for each month of age, 16 to 30.")
    children = table.drop_duplicates("word").set_index("word")[[str(age) for age in ages]]
    model_ages, child_ages = [], []
    for word, (steps, surprisals) in _by_word(records).items():
        if word not in children.index:
            continue
        child = child_age(np.array(ages), children.loc[word].to_numpy(dtype=np.float64))
        if child is None:
            continue
        ceiling = _P25_CEILING
        if state == "p26":
            ceiling = _pieces(tokenizer, word) * float(np.log(tokenizer.vocab_size))
            distinct = np.unique(steps)
            surprisals = np.array([surprisals[steps == step].mean() for step in distinct])
            steps = distinct
        model = model_age(steps, surprisals, ceiling, bounded=state == "p26")
        if model is not None:
            model_ages.append(model)
            child_ages.append(child)
    if len(model_ages) < 3:
        return {"aoa": 0.0, "words": len(model_ages)}
    correlation, p_value = pearsonr(model_ages, child_ages)
    counts = state == "p25" or p_value <= 0.1
    return {"aoa": float(correlation) if counts else 0.0, "words": len(model_ages), "p_value": float(p_value)}


def _by_word(records: Sequence[dict[str, Any]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        steps, surprisals = found.setdefault(record["target_word"], ([], []))
        steps.append(words_of(record["step"]))
        surprisals.append(float(record["surprisal"]))
    return {word: (np.array(steps), np.array(surprisals)) for word, (steps, surprisals) in found.items()}


def _pieces(tokenizer: Any, word: str) -> int:
    """Pieces of a word in running text."""
    with_word, without = (len(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in (f"The {word}", "The"))
    return max(1, with_word - without)


def child_age(ages: np.ndarray, shares: np.ndarray) -> float | None:
    """Months at which half of the children know a word, by a fitted sigmoid; None where it does not tell."""
    known = ~np.isnan(shares)
    ages, shares = ages[known], shares[known]
    if len(shares) < 3:
        return None
    bounds = ([0, 0, ages[0], -0.5], [2.0, 1.0, ages[-1], 0.5])
    fitted = _fit(ages, shares, [1.0, 0.1, float(np.mean(ages)), 0.0], bounds=bounds, maxfev=1000)
    age = None if fitted is None or fitted[0] <= 0 or fitted[1] <= 0 else _crossing(fitted, 0.5)
    return age if age is not None and ages[0] <= age <= ages[-1] else None


def model_age(steps: np.ndarray, surprisals: np.ndarray, ceiling: float, *, bounded: bool) -> float | None:
    """log10 of the words at which surprisal is half-way from `ceiling` to its minimum; None where it never is."""
    if len(surprisals) < 3:
        return None
    known = ~np.isnan(surprisals)
    if not known.any():
        return None
    steps, gains = steps[known], -surprisals[known]
    threshold = (-ceiling + gains.max()) / 2
    x = np.log10(steps + 1)
    span, low, high = float(np.ptp(gains)), float(gains.min()), float(gains.max())
    options: dict[str, Any] = {"maxfev": 1000}
    if bounded:
        lower = [0.0, 0.0, x.min() - 1, low - 2 * span - 1]
        options = {"maxfev": 20_000, "bounds": (lower, [10 * span + 1, 100.0, x.max() + 1, high + 1])}
    fitted = _fit(x, gains, [span, 1.0, float(np.mean(x)), low], **options)
    least = 1e-6 if bounded else 0.0
    if fitted is None or fitted[0] <= least or fitted[1] <= least:
        return None
    age = _crossing(fitted, threshold)
    return age if age is not None and steps[0] <= 10**age - 1 <= steps[-1] else None


def _fit(x: np.ndarray, y: np.ndarray, start: list[float], **options: Any) -> np.ndarray | None:
    """a, b, c, d of a / (1 + exp(-b (x - c))) + d; None where the fit fails."""
    from scipy.optimize import curve_fit

    def sigmoid(x: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
        return a / (1 + np.exp(-b * (x - c))) + d

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.asarray(curve_fit(sigmoid, x, y, p0=start, **options)[0])
    except (RuntimeError, ValueError, TypeError):  # no convergence, or a start outside the bounds
        return None


def _crossing(fitted: np.ndarray, level: float) -> float | None:
    a, b, c, d = (float(value) for value in fitted)
    if not d < level < a + d:
        return None
    return float(c - np.log(a / (level - d) - 1) / b)


SPECS = {
    "aoa": TaskSpec(
        "aoa",
        "Age of acquisition",
        0.0,
        load_aoa,
        full="cdi_childes",
        fast="cdi_childes",
        official="AoA_word",
        same_data=True,
    )
}
