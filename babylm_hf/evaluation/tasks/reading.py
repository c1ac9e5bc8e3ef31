"""Reading times (de Varda et al. 2023): how much of people's reading does the model's surprisal explain?

For every row the surprisal of a word after its context, in nats. Causal models read the context with the tokenizer's
own special tokens and answer at its last position; masked models read it with three mask tokens appended and answer at
the first (`mntp`: one to the left). The word is encoded alone, without a space in front; of a word of several pieces
each is asked in turn, with the text of those before it appended to the context and encoded anew, as published.

Scores are partial shares of variance: how far surprisal reduces what a baseline of frequency, length, position and
their interactions leaves unexplained, as the mean over four eye-tracking measures, and for self-paced reading with the
length and surprisal of the word before added to the baseline. An untrained model does not score 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CorpusError, OptionError
from ..score_rows import ScoreRow
from ..scoring_plan import AnyRequest, RowRequest
from .base import State, Task, TaskResult, TaskSpec, Ties
from .reading_report import official_files
from .regression import design, r_squared

EYE_TRACKING = ("RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound")
SELF_PACED = "self_paced_reading_time"
MEASURES = (*EYE_TRACKING, SELF_PACED, "ELAN", "LAN", "N400", "P600", "EPNP", "PNP")
BASELINE = ("Subtlex_log10", "length", "context_length")
SPILLOVER = (*BASELINE, "prev_length", "prev_pred")
_MASKS = 3
_NEEDED = ("item", "word", "prev_item", "prev_word", *BASELINE, "prev_length", *EYE_TRACKING, SELF_PACED)


class ReadingTask(Task):
    """Surprisal of words in context against reading times.

    Args:
        table: the data, a pandas DataFrame.
        path: where they were read from.
    """

    def __init__(self, table: Any, path: Path) -> None:
        self.name, self.folder, self.table, self.path = "reading", path.stem, table, path
        before = [isinstance(item, str) for item in table["prev_item"]]
        self.words = list(zip(table["item"], table["word"], table.index, strict=True))
        rows = zip(table["prev_item"], table["prev_word"], table.index, before, strict=True)
        self.previous = [(item, word, index) for item, word, index, known in rows if known]
        self.has_previous = np.array(before)

    def requests(self, tokenizer: Any, backend: str) -> list[AnyRequest]:
        """One request for each piece of each word, those of the words before at the end.

        Raises:
            OptionError: a backend that cannot read a word after a context.
            CorpusError: a word that the tokenizer cannot encode.
        """
        if backend.startswith("enc_dec"):
            raise OptionError(f"reading cannot be scored by --backend {backend}: leave the task out.")
        self._note = _closed(tokenizer) if backend == "causal" else ""
        self._pieces: list[int] = []
        self._rows: list[int] = []
        found: list[AnyRequest] = []
        for context, word, index in [*self.words, *self.previous]:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            if not pieces:
                raise CorpusError(f"{self.path}, row {index}: the tokenizer makes nothing of the word {word!r}.")
            text, targets = context, [pieces[0]]
            contexts = [text]
            for earlier, piece in pairwise(pieces):
                text += tokenizer.decode(earlier)
                contexts.append(text)
                again = tokenizer(tokenizer.decode(piece), add_special_tokens=False)["input_ids"]
                targets.append(again[0] if again else piece)
            self._pieces.append(len(pieces))
            self._rows += [index] * len(pieces)
            found += [_asked(tokenizer, backend, text, target) for text, target in zip(contexts, targets, strict=True)]
        return found

    def source(self, request: int) -> str:
        """File and row."""
        return f"{self.path}, row {self._rows[request]}"

    def result(self, values: Sequence[np.ndarray], ties: Ties) -> TaskResult:
        """Explained variance of eye-tracking and self-paced reading, and the surprisals."""
        flat = np.array([float(value.sum()) for value in values])
        starts = np.concatenate([[0], np.cumsum(self._pieces)[:-1]])
        surprisal = -np.add.reduceat(flat, starts)
        table = self.table.copy()
        table["pred"], table["prev_pred"] = surprisal[: len(table)], np.nan
        table.loc[self.has_previous, "prev_pred"] = surprisal[len(table) :]
        eye = float(np.mean([explained(table, measure, BASELINE) for measure in EYE_TRACKING]))
        paced = explained(table, SELF_PACED, SPILLOVER)
        both = (("eye_tracking", eye), ("self_paced_reading", paced))
        overall = (eye + paced) / 2
        predictions = [
            {"id": int(index), "pred": float(row.pred), "prev_pred": float(row.prev_pred)}
            for index, row in zip(table.index, table.itertuples(), strict=True)
        ]
        names = {"Sentence": "item", "Word": "word", "Logprob": "pred", "Prev_Logprob": "prev_pred"}
        records = tuple(
            {"Index": int(index), **{name: row[column] for name, column in names.items()}}
            for index, row in table.iterrows()
        )
        return TaskResult(
            task=self.name,
            metric="explained variance",
            score=overall,
            rows=tuple(
                ScoreRow(self.name, "", name, score, len(table), None, metric="explained variance", note=self._note)
                for name, score in (("", overall), *both)
            ),
            metrics={**dict(both), "mean": overall, "items": len(table)},
            predictions={"reading": {"predictions": predictions}},
            records=records,
            files={
                "prediction.jsonl": "".join(json.dumps(record) + "\n" for record in records),
                **official_files(table, MEASURES, BASELINE, SPILLOVER, eye, paced),
            },
        )


def _asked(tokenizer: Any, backend: str, text: str, target: int) -> RowRequest:
    if backend == "causal":
        ids = tokenizer(text)["input_ids"]
        return RowRequest(tuple(ids), (len(ids) - 1,), (target,))
    ids = tokenizer(text + tokenizer.mask_token * _MASKS)["input_ids"]
    # One special token may follow the masks, as published.
    first = len(ids) - _MASKS - (ids[-1] != tokenizer.mask_token_id)
    return RowRequest(tuple(ids), (first - (backend == "mntp"),), (target,))


def _closed(tokenizer: Any) -> str:
    """A warning for causal models whose tokenizer ends every text: the word is then asked for behind the end."""
    ids = tokenizer("a")["input_ids"]
    if ids and ids[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        return "the tokenizer puts an end token behind every text, after which surprisal of a word means little"
    return ""


def explained(table: Any, measure: str, baseline: Sequence[str]) -> float:
    """Share of what the baseline leaves unexplained that surprisal explains, 0 to 1 (it may fall below by rounding)."""
    known = table[[measure, *baseline, "pred"]].dropna()
    without = r_squared(known[measure].to_numpy(), design(known, baseline))
    beside = r_squared(known[measure].to_numpy(), design(known, baseline, "pred"))
    return float((beside - without) / (1 - without))


def load_reading(path: Path, state: State) -> ReadingTask:
    """The data of `reading_data.csv`; both states read them alike.

    Raises:
        CorpusError: no such file, or a column is missing.
    """
    import pandas  # type: ignore[import-untyped]

    file = path / "reading_data.csv" if path.is_dir() else path
    if not file.is_file():
        raise CorpusError(f"{file}: no such file of reading times.")
    try:
        table = pandas.read_csv(file, dtype={"item": str})
    except ValueError as error:  # every error of the parser is one
        raise CorpusError(f"{file}: not a table of commas and lines ({' '.join(str(error).split())}).") from error
    if missing := [name for name in _NEEDED if name not in table.columns]:
        raise CorpusError(f"{file}, line 1: the reading data need the columns {', '.join(missing)}.")
    table["item"] = table["item"].fillna("None")  # as published: one context is empty and is read as this word
    for place, word in enumerate(table["word"]):
        if not isinstance(word, str):
            raise CorpusError(f"{file}, line {place + 2}: the row has no word.")
    return ReadingTask(table, file)


SPECS = {
    "reading": TaskSpec(
        "reading",
        "Reading times",
        None,
        load_reading,
        full="reading",
        fast="reading",
        official="reading",
        same_data=True,
        floor="an untrained GPT-2 was measured at 2.2 for eye-tracking and 0.4 for self-paced reading",
    )
}
