"""Scores of the fine-tuning tasks of BabyLM as an `evaluate` metric: accuracy, F1 and Matthews' correlation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import datasets
import evaluate
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

_DESCRIPTION = """\
Scores of the seven GLUE and SuperGLUE tasks of the BabyLM evaluation (boolq, mnli, mrpc, multirc, qqp, rte, wsc) from
predicted classes: accuracy, and for the tasks of two classes F1 of class 1 and Matthews' correlation. What counts as
the score of a task is F1 for mrpc and qqp and accuracy for the others.
"""

_INPUTS = """\
Args:
    predictions (list of int): predicted class of each example, counted from 0.
    references (list of int): the right one.
    task (str): name of the task.

Returns:
    accuracy: share of right predictions, 0 to 1.
    f1: F1 of class 1, 0 to 1; not for mnli.
    mcc: Matthews' correlation, -1 to 1; not for mnli.
    score: what is reported of the task.

Examples:
    >>> metric = evaluate.load("babylm_glue")
    >>> metric.compute(predictions=[1, 1, 0, 0], references=[1, 0, 0, 0], task="rte")["score"]
    0.75
    >>> round(metric.compute(predictions=[1, 1, 0, 0], references=[1, 0, 0, 0], task="mrpc")["score"], 4)
    0.6667
"""

_CITATION = """\
@inproceedings{wang2019superglue,
  title = {{SuperGLUE}: A Stickier Benchmark for General-Purpose Language Understanding Systems},
  author = {Wang, Alex and Pruksachatkun, Yada and Nangia, Nikita and Singh, Amanpreet and Michael, Julian and
            Hill, Felix and Levy, Omer and Bowman, Samuel R.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2019},
}
"""

_REPORTED = {
    "boolq": "accuracy",
    "mnli": "accuracy",
    "mrpc": "f1",
    "multirc": "accuracy",
    "qqp": "f1",
    "rte": "accuracy",
    "wsc": "accuracy",
}


class BabylmGlue(evaluate.Metric):
    """The metric; its description stands above."""

    def _info(self) -> evaluate.MetricInfo:
        label = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            inputs_description=_INPUTS,
            citation=_CITATION,
            features=datasets.Features({"predictions": label, "references": label}),
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int], task: str) -> dict[str, float]:
        if task not in _REPORTED:
            raise ValueError(f"task={task!r}: the tasks are {', '.join(_REPORTED)}.")
        scores = {"accuracy": float(accuracy_score(references, predictions))}
        if task != "mnli":
            # scikit-learn warns where all predictions are of one class, which a small model's often are.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores["f1"] = float(f1_score(references, predictions, zero_division=0.0))
                scores["mcc"] = float(matthews_corrcoef(references, predictions))
        return {**scores, "score": scores[_REPORTED[task]]}
