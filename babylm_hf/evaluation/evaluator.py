"""Evaluating checkpoints on tasks: everything is loaded once, and only weights change from one to the next."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from ..errors import BabyLMError, OptionError
from .folders import data_root, tasks_in
from .minimal_pairs import backend_of
from .models import CheckpointLoader, backend_of_config, check_revision
from .scoring_plan import Backend
from .suite import ModelResults, TaskSuite
from .tasks.base import State, Ties

FLOOR = "untrained"


def evaluate_tasks(
    model: Any,
    tasks: Sequence[str] = (),
    data: str | Path | None = None,
    *,
    revisions: Sequence[str | None] = (None,),
    milestones: Sequence[str] | None = None,
    tokenizer: Any = None,
    backend: Backend | Literal["auto"] = "auto",
    fast: bool = False,
    state: State = "p26",
    ties: Ties | None = None,
    bf16: bool = False,
    floor: bool = False,
    trust_remote_code: bool = False,
    batch_tokens: int = 8192,
    progress: bool = False,
) -> list[ModelResults]:
    """Score checkpoints of a model on tasks; `iter_evaluations` gives them one by one. See there for the arguments."""
    found = iter_evaluations(
        model, tasks, data, revisions=revisions, milestones=milestones, tokenizer=tokenizer, backend=backend, fast=fast,
        state=state, ties=ties, bf16=bf16, floor=floor, trust_remote_code=trust_remote_code, batch_tokens=batch_tokens,
        progress=progress,
    )  # fmt: skip
    return list(found)


def iter_evaluations(
    model: Any,
    tasks: Sequence[str] = (),
    data: str | Path | None = None,
    *,
    revisions: Sequence[str | None] = (None,),
    milestones: Sequence[str] | None = None,
    tokenizer: Any = None,
    backend: Backend | Literal["auto"] = "auto",
    fast: bool = False,
    state: State = "p26",
    ties: Ties | None = None,
    bf16: bool = False,
    floor: bool = False,
    trust_remote_code: bool = False,
    batch_tokens: int = 8192,
    progress: bool = False,
) -> Iterator[ModelResults]:
    """The results of one checkpoint after the other.

    Args:
        model: folder, Hub id, or a model object with its `tokenizer`.
        tasks: names of `babylm_hf.evaluation.tasks.TASKS`, `NAME=FOLDER`, or folders in BLiMP's form; without any, all
            that are found in `data`.
        data: the official evaluation data, a folder or a data set on the Hub.
        revisions: branches on the Hub to be scored; None is the default branch.
        milestones: names of folders in the folder `model` to be scored instead, each under its name; without names (an
            empty list) all that are called `chck_...`, in the order of their words.
        tokenizer: for a model object.
        backend: how to score; `auto` goes by the architecture.
        fast: score the subsamples for checkpoints.
        state: whose reading of the tasks, `p25` or `p26`.
        ties: `first`, `coin` or `half`; without it the state's own.
        bf16: compute in bfloat16, for monitoring only: near-ties fall otherwise.
        floor: first score the same architecture with random weights, under the revision `untrained`.
        trust_remote_code: run code that the model brings along.
        batch_tokens: tokens in a batch.
        progress: show progress bars.

    Raises:
        OptionError, CorpusError: no task can be scored, or a checkpoint cannot be loaded. A task that fails while
            others do not is reported in `ModelResults.failures`.
    """
    root = None if data is None else data_root(data)
    if not tasks and root is None:
        raise OptionError("Nothing to score: pass --data, the folder with the evaluation data, or --tasks NAME=FOLDER.")
    checkpoints = _checkpoints(model, revisions, milestones)
    names = tasks or (tasks_in(root, fast=fast, state=state) if root is not None else ())
    suite = TaskSuite(names, root, fast=fast, state=state, ties=ties, batch_tokens=batch_tokens)
    dtype = torch.bfloat16 if bf16 else torch.float32
    loader = CheckpointLoader(backend=backend, trust_remote_code=trust_remote_code, dtype=dtype)
    label = str(model) if isinstance(model, str | Path) else type(model).__name__
    for place, revision in checkpoints:
        loaded, its_tokenizer = (
            (model, tokenizer) if place is None else loader.load(place, _branch(place, model, revision))
        )
        if its_tokenizer is None:
            raise OptionError("A model that is given as an object needs its tokenizer.")
        chosen = _backend(loaded) if backend == "auto" else backend
        if floor:
            floor = False
            random = untrained(loaded)
            yield suite.run(random, its_tokenizer, chosen, name=label, revision=FLOOR, progress=_bar(progress, FLOOR))
        yield suite.run(
            loaded, its_tokenizer, chosen, name=label, revision=revision, progress=_bar(progress, revision or "main")
        )


def _backend(model: Any) -> Backend:
    """By the class of the model, or else by the classes that its configuration names."""
    try:
        return backend_of(model)
    except OptionError:
        return backend_of_config(getattr(model, "config", None), type(model).__name__)


def _bar(progress: bool, label: str) -> str | None:
    return label if progress else None


def _branch(place: Any, model: Any, revision: str | None) -> str | None:
    """The branch to load: a milestone's own folder has none."""
    return revision if place == model else None


def _checkpoints(
    model: Any, revisions: Sequence[str | None], milestones: Sequence[str] | None
) -> list[tuple[str | Path | None, str | None]]:
    """What to load, and under which name its results go; None to load where the model is an object already."""
    if not isinstance(model, str | Path):
        return [(None, revisions[0] if revisions else None)]
    if milestones is None:
        for revision in revisions:
            check_revision(model, revision)
        return [(model, revision) for revision in revisions or (None,)]
    folder = Path(model)
    names = list(milestones) or sorted((found.name for found in folder.glob("chck_*")), key=_words)
    if not names:
        raise OptionError(f"--milestones: {model} has no folders called chck_...; it should be the folder of a run.")
    for name in names:
        if not (folder / name / "config.json").is_file():
            raise OptionError(f"--milestones {name}: {folder / name} holds no model.")
    return [(folder / name, name) for name in names]


def _words(name: str) -> tuple[float, str]:
    from .tasks.aoa import words_of

    try:
        return words_of(name), name
    except ValueError:
        return float("inf"), name


def untrained(model: torch.nn.Module) -> torch.nn.Module:
    """The same architecture with random weights, seed 0: what it scores is the floor for every trained one."""
    parameter = next(model.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            fresh = type(model)(copy.deepcopy(model.config))
        except (TypeError, AttributeError) as error:
            raise BabyLMError(f"--floor: {type(model).__name__} cannot be made anew from its configuration.") from error
    return fresh.to(device=parameter.device, dtype=parameter.dtype).eval()
