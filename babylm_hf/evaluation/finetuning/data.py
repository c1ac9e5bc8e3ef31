"""The task files of the official folder: reading, checking, encoding, and holding out a slice of the training set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CorpusError, OptionError
from ...lines import json_lines
from .tasks import FinetuningTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Where the files lie below what a user may have unpacked.
_PLACES = ("", "glue_filtered", "full_eval/glue_filtered", "evaluation_data/full_eval/glue_filtered")
_HELD_OUT_FOLDS = 10


@dataclass(frozen=True)
class Example:
    """Two texts, the class they belong to, and the text that this example shares with others."""

    first: str
    second: str
    label: int
    context: str


@dataclass(frozen=True)
class TaskData:
    """The examples of one task.

    Attributes:
        task: which.
        train: to learn from.
        selection: to choose the epoch on; empty where it is chosen on `valid`.
        valid: what is predicted and scored, in the order of its file.
        digest: sha256 of the two files.
    """

    task: FinetuningTask
    train: tuple[Example, ...]
    selection: tuple[Example, ...]
    valid: tuple[Example, ...]
    digest: str


def find_data(folder: str | Path) -> Path:
    """The folder of the `<task>.train.jsonl` files, which may be given or be a folder of the official layout above it.

    Raises:
        CorpusError: none is there.
    """
    for place in _PLACES:
        candidate = Path(folder) / place
        if any(candidate.glob("*.valid.jsonl")):
            return candidate
    raise CorpusError(
        f"{folder}: no fine-tuning data (files such as rte.train.jsonl) here or in full_eval/glue_filtered."
    )


def load_task(
    task: FinetuningTask, folder: str | Path, *, max_train_examples: int = 0, held_out: bool = False, seed: int = 0
) -> TaskData:
    """Read a task's training and validation file.

    Args:
        task: which.
        folder: as `find_data` takes it.
        max_train_examples: only so many from the start of the training file; 0 for all.
        held_out: set a tenth of the training examples aside for choosing the epoch.
        seed: of that choice.

    Raises:
        CorpusError: a file is missing or a line is no example of the task; the message names file and line.
        OptionError: too few examples to hold any out.
    """
    files = [find_data(folder) / f"{task.name}.{part}.jsonl" for part in ("train", "valid")]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CorpusError(f"{files[0].parent}: {' and '.join(missing)} missing; {task.name} needs both of its files.")
    train, valid = (_read(file, task) for file in files)
    data = TaskData(task, tuple(train), (), tuple(valid), _digest(files))
    if max_train_examples:
        data = replace(data, train=data.train[:max_train_examples])
    return _hold_out(data, seed) if held_out else data


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int
) -> list[dict[str, list[int]]]:
    """Token ids and attention mask of each pair with the tokenizer's own special tokens, cut but not padded."""
    if not examples:
        return []
    encoded = tokenizer(
        [example.first for example in examples],
        [example.second for example in examples],
        truncation=True,
        max_length=max_length,
        return_token_type_ids=False,
    )
    return [
        {"input_ids": ids, "attention_mask": mask}
        for ids, mask in zip(encoded["input_ids"], encoded["attention_mask"], strict=True)
    ]


def _read(file: Path, task: FinetuningTask) -> list[Example]:
    examples = []
    for row, place in json_lines(file):
        examples.append(_parse(row, place, task))
    if not examples:
        raise CorpusError(f"{file}: the file has no examples.")
    return examples


def _parse(row: Any, where: str, task: FinetuningTask) -> Example:
    if not isinstance(row, dict):
        raise CorpusError(f"{where}: an example is a JSON object with fields, not a {type(row).__name__}.")
    try:
        first, second, context = (text.format_map(row) for text in (task.first, task.second, f"{{{task.context}}}"))
    except KeyError as error:
        raise CorpusError(f"{where}: an example of {task.name} needs the field {error.args[0]}.") from error
    return Example(first, second, _label(row, where, task), context)


def _label(row: dict[str, Any], where: str, task: FinetuningTask) -> int:
    label = row.get("label")
    # A bool is an int in Python, and SuperGLUE writes true and false.
    if not isinstance(label, int) or not 0 <= label < task.labels:
        raise CorpusError(f"{where}: the label of {task.name} must be a number from 0 to {task.labels - 1}.")
    return int(label)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _hold_out(data: TaskData, seed: int) -> TaskData:
    """Set a tenth of the training examples aside: classes as in the whole, no shared context with what remains."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels = [example.label for example in data.train]
    contexts = [example.context for example in data.train]
    if len(set(contexts)) < _HELD_OUT_FOLDS or max(labels.count(label) for label in set(labels)) < _HELD_OUT_FOLDS:
        raise OptionError(
            f"--selection held_out: {len(labels)} training examples of {data.task.name} are too few to hold a tenth "
            "out: raise --max_train_examples or choose --selection official."
        )
    folds = StratifiedGroupKFold(_HELD_OUT_FOLDS, shuffle=True, random_state=seed)
    kept, held = next(iter(folds.split(labels, labels, contexts)))
    return replace(
        data,
        train=tuple(data.train[index] for index in kept),
        selection=tuple(data.train[index] for index in held),
    )
