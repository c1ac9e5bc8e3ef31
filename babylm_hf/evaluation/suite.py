"""Tasks scored together: one plan, one pass over a model for all of them, and no task lost for another's failure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..errors import BabyLMError, OptionError
from .folders import load_task
from .models import position_limit
from .scoring import score_plan, score_requests
from .scoring_plan import AnyRequest, Backend, Request, ScoringPlan
from .tasks.base import State, Task, TaskResult, Ties, default_ties


@dataclass(frozen=True)
class ModelResults:
    """What one checkpoint scored.

    Attributes:
        model: folder or Hub id.
        revision: branch or milestone; None for the final model.
        backend: how it was scored.
        state: `p25` or `p26`, whose reading of the tasks.
        ties: what equal scores earned.
        precision: `fp32`, or `bf16`, in which near-ties fall otherwise.
        fast: whether the subsamples for checkpoints were scored.
        results: by task.
        failures: by task, why it has no result.
        seconds: spent on scoring.
    """

    model: str
    revision: str | None
    backend: str
    state: State
    ties: Ties
    precision: str
    fast: bool
    results: dict[str, TaskResult]
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single candidates' scores, ready for JSON; scores as fractions."""
        names = ("model", "revision", "backend", "state", "ties", "precision", "fast", "seconds", "failures")
        tasks = {
            name: {"metric": found.metric, "score": found.score, **found.metrics}
            for name, found in self.results.items()
        }
        return {**{name: getattr(self, name) for name in names}, "tasks": tasks}


class TaskSuite:
    """Tasks with their data, ready to score any number of checkpoints.

    Args:
        names: tasks, as `babylm_hf.evaluation.folders.load_task` takes them.
        data: the folder with the official layout.
        fast: take the subsamples for checkpoints.
        state: `p25` or `p26`.
        ties: what equal scores earn; the state's own policy without it.
        batch_tokens: tokens in a batch.

    Attributes:
        tasks: those whose data could be read, by name.
        failures: those that could not, and why.
    """

    def __init__(
        self,
        names: Iterable[str],
        data: Path | None,
        *,
        fast: bool = False,
        state: State = "p26",
        ties: Ties | None = None,
        batch_tokens: int = 8192,
    ) -> None:
        self.fast, self.state, self.batch_tokens = fast, state, batch_tokens
        self.ties: Ties = ties or default_ties(state)
        self.tasks: dict[str, Task] = {}
        self.failures: dict[str, str] = {}
        for name in dict.fromkeys(names):
            try:
                task = load_task(name, data, fast=fast, state=state)
                self.tasks[task.name] = task
            except BabyLMError as error:
                self.failures[name.partition("=")[0]] = str(error)
        if not self.tasks:
            raise OptionError("No task can be scored. " + " ".join(self.failures.values()))
        self._planned: tuple[Any, ...] = ()

    def score(
        self, model: nn.Module, tokenizer: Any, backend: Backend, progress: str | None = None
    ) -> tuple[dict[str, TaskResult], dict[str, str], float]:
        """Results and failures by task, and the seconds that scoring took.

        Args:
            model: with a vocabulary head; left as it was.
            tokenizer: the same object as last time saves planning anew.
            backend: how to score.
            progress: label of a progress bar.
        """
        start = time.perf_counter()
        failures = dict(self.failures)
        requests, refused = self._requests(tokenizer, backend)
        failures.update(refused)
        if backend.startswith("enc_dec"):
            values = self._one_by_one(model, tokenizer, backend, requests, failures, progress)
        else:
            plan, kept = self._plan(model, tokenizer, backend, requests, failures)
            values = self._together(model, plan, kept, failures, progress) if plan is not None else {}
        results = {
            name: replace(self.tasks[name].result(found, self.ties), folder=self.tasks[name].folder)
            for name, found in values.items()
        }
        return results, failures, time.perf_counter() - start

    def run(
        self,
        model: nn.Module,
        tokenizer: Any,
        backend: Backend,
        *,
        name: str = "",
        revision: str | None = None,
        progress: str | None = None,
    ) -> ModelResults:
        """As `score`, with everything that says what the scores are of."""
        results, failures, seconds = self.score(model, tokenizer, backend, progress)
        kinds = {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16", "torch.float64": "fp64"}
        dtype = str(next(model.parameters()).dtype)
        return ModelResults(
            name,
            revision,
            backend,
            self.state,
            self.ties,
            kinds.get(dtype, dtype),
            self.fast,
            results,
            failures,
            seconds,
        )

    # ------------------------------------------------------------------ parts

    def _requests(self, tokenizer: Any, backend: str) -> tuple[dict[str, list[AnyRequest]], dict[str, str]]:
        key = (id(tokenizer), backend)
        if self._planned[:1] != (key,):
            found: dict[str, list[AnyRequest]] = {}
            failures: dict[str, str] = {}
            for name, task in self.tasks.items():
                try:
                    found[name] = task.requests(tokenizer, backend)
                except BabyLMError as error:
                    failures[name] = str(error)
            # The tokenizer is kept so that its id cannot pass to another one.
            self._planned = (key, tokenizer, found, failures)
            self._plans: dict[tuple[str, ...], ScoringPlan] = {}
        return self._planned[2], self._planned[3]

    def _plan(
        self, model: nn.Module, tokenizer: Any, backend: Backend, requests: dict[str, list[AnyRequest]],
        failures: dict[str, str],
    ) -> tuple[ScoringPlan | None, dict[str, list[AnyRequest]]]:  # fmt: skip
        """One plan for all tasks whose rows fit the model."""
        plan = self._plan_of(tokenizer, backend, requests)
        limit = position_limit(model)
        if limit is None or not len(plan) or plan.lengths().max() <= limit:
            return plan, requests
        kept, start = {}, 0
        for name, asked in requests.items():
            lengths = plan.lengths()[start : start + len(asked)]
            start += len(asked)
            if len(lengths) and lengths.max() > limit:
                failures[name] = self._too_long(name, asked, lengths, limit)
            else:
                kept[name] = asked
        return (self._plan_of(tokenizer, backend, kept) if kept else None), kept

    def _plan_of(self, tokenizer: Any, backend: Backend, requests: dict[str, list[AnyRequest]]) -> ScoringPlan:
        key = tuple(requests)
        if key not in self._plans:
            together = [request for asked in requests.values() for request in asked]
            self._plans[key] = ScoringPlan(tokenizer, backend, together)
        return self._plans[key]

    def _too_long(self, name: str, asked: Sequence[AnyRequest], lengths: np.ndarray, limit: int) -> str:
        longest = int(lengths.argmax())
        request = asked[longest]
        text = f" ({request.text[:40]!r}...)" if isinstance(request, Request) else ""
        count = int((lengths > limit).sum())
        return (
            f"{name}: {count:,} of {len(lengths):,} texts are longer than the model's {limit} positions, the longest "
            f"with {int(lengths[longest])} tokens: {self.tasks[name].source(longest)}{text}. Nothing was cut; score a "
            "model with more positions."
        )

    def _together(
        self, model: nn.Module, plan: ScoringPlan, requests: dict[str, list[AnyRequest]], failures: dict[str, str],
        progress: str | None,
    ) -> dict[str, list[np.ndarray]]:  # fmt: skip
        """All tasks in one pass; where that breaks, each on its own, so that one loses only itself."""
        try:
            values = score_plan(model, plan, batch_tokens=self.batch_tokens, progress=progress)
        except Exception as error:  # out of memory, an id the model has not, a bug in a model's own code
            if len(requests) == 1:
                failures[next(iter(requests))] = _said(error)
                return {}
            found = {}
            for name, asked in requests.items():
                part = ScoringPlan(self._planned[1], plan.backend, asked)
                found.update(self._together(model, part, {name: asked}, failures, progress))
            return found
        parts, start = {}, 0
        for name, asked in requests.items():
            parts[name] = values[start : start + len(asked)]
            start += len(asked)
        return parts

    def _one_by_one(
        self, model: nn.Module, tokenizer: Any, backend: Backend, requests: dict[str, list[AnyRequest]],
        failures: dict[str, str], progress: str | None,
    ) -> dict[str, list[np.ndarray]]:  # fmt: skip
        found = {}
        for name, asked in requests.items():
            try:
                found[name] = score_requests(
                    model, tokenizer, asked, backend=backend, batch_tokens=self.batch_tokens, progress=progress
                )
            except Exception as error:
                failures[name] = _said(error)
        return found


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, BabyLMError) else f"{type(error).__name__}: {text[:300]}"
