"""The collated submission of the BabyLM challenge, in the schemas of 2025 (`p25`) and 2026 (`p26`).

Full results go in as predictions, to be scored on the leaderboard's server; those of checkpoints as scores, computed
here against the data in `fast_eval`. Sizes are checked before anything is written: in `p25` a task that is missing or
of a wrong size is an error, in `p26` it becomes None and is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BabyLMError, CorpusError
from . import official_sizes as sizes
from .folders import load_task
from .official import model_stem, zero_shot_folder
from .tasks.base import State
from .tasks.choice import ChoiceTask
from .tasks.reading import BASELINE as READING_BASELINE
from .tasks.reading import EYE_TRACKING, SELF_PACED, SPILLOVER, ReadingTask, explained
from .tasks.wug import WugTask

_SMALL = (*(f"chck_{i}M" for i in range(1, 10)), *(f"chck_{i}M" for i in range(10, 101, 10)))
TRACKS = {
    "strict-small": _SMALL,
    "strict": (*_SMALL, *(f"chck_{i}M" for i in range(200, 1001, 100))),
    "interaction": (*_SMALL, *(f"chck_{i}M" for i in range(200, 1001, 100))),
}
"""The checkpoints each track expects."""

_GLUE = tuple(sizes.GLUE)


@dataclass(frozen=True)
class _Part:
    """One task of a submission: its key, its file, its size and, at checkpoints, the name of the task and its size."""

    key: str
    file: str
    size: Any
    fast_file: str | None = None
    fast_size: Any = None
    task: str | None = None


def _parts(state: State) -> list[_Part]:
    entity = sizes.ENTITY_TRACKING[state]
    regular = {name: size for name, size in entity.items() if name.startswith("regular")}
    parts = [
        _Part("blimp", "blimp/blimp_filtered", sizes.BLIMP, "blimp/blimp_fast", sizes.BLIMP_FAST, "blimp"),
        _Part("blimp_supplement", "blimp/supplement_filtered", sizes.SUPPLEMENT, "blimp/supplement_fast",
              sizes.SUPPLEMENT_FAST, "supplement"),
        _Part("ewok", "ewok/ewok_filtered", sizes.EWOK, "ewok/ewok_fast", sizes.EWOK_FAST, "ewok"),
        _Part("entity_tracking" + ("_filtered" if state == "p26" else ""), "entity_tracking/entity_tracking", entity,
              "entity_tracking/entity_tracking_fast", regular, "entity_tracking"),
    ]  # fmt: skip
    if state == "p25":
        for name, folder in (("wug_adj", "wug_adj_nominalization"), ("wug_past", "wug_past_tense")):
            file = f"{name}/{folder}"
            parts.append(_Part(name, file, sizes.WUG[name], file, sizes.WUG[name], name))
    parts.append(_Part("comps", "comps/comps", sizes.COMPS))
    if state == "p26":
        for name in sizes.GLOBAL_PIQA:
            parts.append(_Part(name, f"{name}/{name}", None, f"{name}/{name}", None, name))
    return [*parts, _Part("reading", "reading", sizes.READING, "reading", sizes.READING, "reading")]


@dataclass
class Submission:
    """A collated submission.

    Attributes:
        content: what is written.
        problems: what is missing or of a wrong size, in `p26`.
    """

    content: dict[str, Any]
    problems: list[str] = field(default_factory=list)


def collate(
    model: str | Path,
    results: str | Path,
    *,
    backend: str,
    track: str = "strict-small",
    state: State = "p26",
    revision: str = "main",
    fast_data: str | Path | None = None,
) -> Submission:
    """Put the files of the official result tree together.

    Args:
        model: its name or folder, of which the stem counts.
        results: the folder with the tree.
        backend: that of the results.
        track: `strict-small`, `strict` or `interaction`: which checkpoints are expected.
        state: whose schema.
        revision: of the final model.
        fast_data: the evaluation data with `fast_eval`, to score checkpoints with; without it they are left out.

    Raises:
        CorpusError: in `p25`, something is missing or of a wrong size; the message names the file.
    """
    folder = Path(results)
    made = Submission({})
    main = zero_shot_folder(folder, model, revision, backend)
    take = _Taker(made, strict=state == "p25")
    for part in _parts(state):
        made.content[part.key] = take(
            main / part.file / "predictions.json", partial(_check, part=part, expected=part.size)
        )
    surprisals = take(main / "AoA_word" / "surprisal.json", partial(_check_aoa, checkpoints=TRACKS[track]))
    if state == "p25":
        made.content["aoa"] = surprisals
    else:
        made.content["aoa_surprisals"] = surprisals
        made.content["aoa"] = take(main / "AoA_word" / "aoa_score.json", lambda _: None)
    made.content["glue"] = {}
    for name in _GLUE:
        file = folder / model_stem(model) / revision / "finetune" / name / "predictions.json"
        found = take(file, partial(_check, part=_Part(name, name, None), expected=sizes.GLUE[name]))
        made.content["glue"] |= found or {}
    if fast_data is not None:
        made.content["fast_eval_results"] = _fast(model, folder, backend, track, state, Path(fast_data), take)
    return made


def write_submission(
    model: str | Path, results: str | Path, *, backend: str, output: str | Path | None = None, **options: Any
) -> tuple[Path, list[str]]:
    """Collate and write; without `output` under the official name. Returns the file and what is missing (`p26`).

    Other arguments and errors are those of `collate`.
    """
    made = collate(model, results, backend=backend, **options)
    name = f"all_full_preds_and_fast_scores_{backend}.json"
    file = Path(output) if output is not None else Path(results) / model_stem(model) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(made.content), encoding="utf-8")
    return file, made.problems


class _Taker:
    """Reads a file if it is there and sound; else notes or raises what is wrong."""

    def __init__(self, made: Submission, *, strict: bool) -> None:
        self.made, self.strict = made, strict

    def __call__(self, file: Path, check: Callable[[Any], str | None]) -> Any:
        problem = None
        content = None
        if not file.is_file():
            problem = f"{file}: the predictions are missing; evaluate this task first."
        else:
            try:
                content = json.loads(file.read_text(encoding="utf-8"))
                wrong = check(content)
            except (ValueError, TypeError, KeyError, AttributeError):
                wrong = "the file does not have the form of predictions"
            problem = None if wrong is None else f"{file}: {wrong}."
        if problem is None:
            return content
        if self.strict:
            raise CorpusError(problem)
        self.made.problems.append(problem)
        return None


def _check(predictions: Mapping[str, Any], part: _Part, expected: Any) -> str | None:
    """What is wrong with the sizes, if anything."""
    counts = {name.lower(): len(found["predictions"]) for name, found in predictions.items()}
    if part.key in sizes.GLOBAL_PIQA:
        size = sizes.GLOBAL_PIQA[part.key]
        if len(counts) != size or set(counts.values()) != {1}:
            return f"{sum(counts.values())} predictions of {len(counts)} items, there should be {size} of {size}"
        return None
    if isinstance(expected, Mapping):
        if missing := sorted(set(expected) ^ set(counts)):
            return f"the parts differ from the official ones by {', '.join(missing[:5])}"
    else:
        expected = dict.fromkeys(counts, expected)
    for name, count in counts.items():
        if count != expected[name]:
            return f"{count} predictions of {name}, there should be {expected[name]}"
    return None


def _check_aoa(content: Mapping[str, Any], checkpoints: tuple[str, ...]) -> str | None:
    counts: dict[str, int] = {}
    for record in content["results"]:
        counts[record["step"]] = counts.get(record["step"], 0) + 1
    if differing := sorted(set(counts) ^ set(checkpoints)):
        return f"the checkpoints differ from the track's by {', '.join(differing[:5])}"
    wrong = [name for name, count in counts.items() if count != sizes.AOA]
    return f"{counts[wrong[0]]} surprisals of {wrong[0]}, there should be {sizes.AOA}" if wrong else None


# -- checkpoints -----------------------------------------------------------------------------------------------------


def _fast(
    model: str | Path, folder: Path, backend: str, track: str, state: State, data: Path, take: _Taker
) -> dict[str, list[Any]]:
    """For each task the scores of every checkpoint in order, None where there are no sound predictions."""
    found: dict[str, list[Any]] = {}
    for part in _parts(state):
        if part.fast_file is None or part.task is None:
            continue
        try:
            task = load_task(part.task, data, fast=True, state=state)
        except BabyLMError as error:
            if take.strict:
                raise
            take.made.problems.append(str(error))
            found[part.key] = [None] * len(TRACKS[track])
            continue
        found[part.key] = []
        for checkpoint in TRACKS[track]:
            file = zero_shot_folder(folder, model, checkpoint, backend) / part.fast_file / "predictions.json"
            predictions = take(file, partial(_check, part=part, expected=part.fast_size))
            found[part.key].append(None if predictions is None else fast_scores(task, predictions))
    return found


def fast_scores(task: Any, predictions: Mapping[str, Any]) -> dict[str, float]:
    """Scores of one checkpoint from its predictions and the data: accuracy by part, as a fraction.

    The official collator of 2026 compares whole sentences of EWoK with their last words, and finds none right; here
    they are compared with the right sentences.
    """
    if isinstance(task, ReadingTask):
        table = task.table.copy()
        listed = predictions["reading"]["predictions"]
        table["pred"], table["prev_pred"] = ([entry[name] for entry in listed] for name in ("pred", "prev_pred"))
        eye = np.mean([explained(table, measure, READING_BASELINE) for measure in EYE_TRACKING])
        return {"spr": explained(table, SELF_PACED, SPILLOVER), "rt": float(eye)}
    if isinstance(task, WugTask):
        from scipy.stats import spearmanr

        model = [entry["prob"] for entry in predictions[task.name]["predictions"]]
        return {task.name: float(spearmanr(model, task.human)[0])}
    assert isinstance(task, ChoiceTask)
    gold: dict[str, list[str]] = {}
    for item in task.items:
        texts = item.sentences if task.whole_predictions else item.completions
        gold.setdefault(item.uid, []).append(texts[item.label].strip())
    right = {
        uid: [entry["pred"].strip() == text for entry, text in zip(found["predictions"], gold[uid], strict=False)]
        for uid, found in predictions.items()
    }
    if task.name in sizes.GLOBAL_PIQA:
        return {task.name: float(np.mean([verdict for verdicts in right.values() for verdict in verdicts]))}
    return {uid: float(np.mean(verdicts)) for uid, verdicts in right.items()}
