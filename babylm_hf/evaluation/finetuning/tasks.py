"""The seven tasks: which fields make the two texts, how many labels there are, what is reported, how long one trains.

Names, templates and hyper-parameters are those of the official pipeline, in 2025 and 2026 alike. CoLA, SST-2, QNLI and
the mismatched half of MNLI are no longer part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ...errors import OptionError


@dataclass(frozen=True)
class FinetuningTask:
    """One task.

    Attributes:
        name: as in the names of its files, `rte.train.jsonl` and `rte.valid.jsonl`.
        first: template of the first text over the fields of a line.
        second: template of the second one.
        context: the field whose text several examples share; a held-out slice never shares one with what is trained on.
        labels: number of classes, counted from 0.
        metric: what is reported, and what the best epoch is chosen by.
        batch_size: examples in an optimizer step.
        epochs: passes over the training set.
        items: lines of the official validation file.
    """

    name: str
    first: str
    second: str
    context: str
    items: int
    labels: int = 2
    metric: Literal["accuracy", "f1"] = "accuracy"
    batch_size: int = 32
    epochs: int = 10

    @property
    def metrics(self) -> tuple[str, ...]:
        """Everything that is measured; F1 and Matthews' correlation are those of two classes."""
        return ("accuracy", "f1", "mcc") if self.labels == 2 else ("accuracy",)


TASKS: dict[str, FinetuningTask] = {
    task.name: task
    for task in (
        FinetuningTask("boolq", "{question}", "{passage}", "passage", items=1635, batch_size=16),
        FinetuningTask("mnli", "{premise}", "{hypothesis}", "premise", items=4908, labels=3),
        FinetuningTask("mrpc", "{sentence1}", "{sentence2}", "sentence1", items=204, metric="f1"),
        FinetuningTask(
            "multirc",
            "Question: {question} Answer: {answer}",
            "{paragraph}",
            "paragraph",
            items=2424,
            batch_size=16,
        ),
        FinetuningTask("qqp", "{question1}", "{question2}", "question1", items=20215, metric="f1"),
        FinetuningTask("rte", "{sentence1}", "{sentence2}", "sentence1", items=139),
        FinetuningTask(
            "wsc",
            'Does "{span2_text}" refer to "{span1_text}" in this passage?',
            "{text}",
            "text",
            items=52,
            epochs=30,
        ),
    )
}
"""The tasks by name, in the order of the official result table."""


def tasks_named(names: Iterable[str]) -> list[FinetuningTask]:
    """The tasks of these names in this order, each once; `all` stands for the seven.

    Raises:
        OptionError: a name that is none.
    """
    found: dict[str, FinetuningTask] = {}
    for name in names:
        if name == "all":
            found |= TASKS
        elif name in TASKS:
            found[name] = TASKS[name]
        else:
            raise OptionError(f"--tasks {name}: no such task; there are {', '.join(TASKS)}, or all.")
    return list(found.values())
