"""Where the data of a task lie: the official layout, found from whichever of its folders is given.

    evaluation_data/full_eval/{blimp_filtered, supplement_filtered, ewok_filtered, entity_tracking, comps, reading, ...}
    evaluation_data/fast_eval/{blimp_fast, supplement_fast, ewok_fast, entity_tracking_fast, reading, ...}

A name like `ns/name` that is no folder is a data set on the Hub with that layout.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CorpusError, OptionError
from .tasks import TASKS, task_spec
from .tasks.base import State, Task, TaskSpec
from .tasks.pairs import load_pair_task


def data_root(data: str | Path) -> Path:
    """The folder given, or a snapshot of the data set on the Hub that it names.

    Raises:
        CorpusError: neither is there.
    """
    folder = Path(data)
    if folder.exists():
        return folder
    if len(folder.parts) != 2 or folder.is_absolute():
        raise CorpusError(f"--data {data}: no such folder.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(data), repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CorpusError(f"--data {data}: neither a folder nor a data set that the Hub gives ({reason})") from error


def load_task(name: str, data: Path | None, *, fast: bool = False, state: State = "p26") -> Task:
    """A task with its data.

    Args:
        name: of a task, `NAME=PATH` for one whose data lie elsewhere, or the path of a folder in BLiMP's form. With an
            unknown NAME, the folder is in BLiMP's form too.
        data: the official layout, or any folder in it; may be None where every task names its own.
        fast: take the subsamples for checkpoints.
        state: whose reading of the data.

    Raises:
        OptionError: no such task, or it has no data for checkpoints.
        CorpusError: the data are not there, or an item lacks its fields.
    """
    label, _, given = name.partition("=")
    if not given and label not in TASKS and Path(label).exists():
        return load_pair_task(Path(label))
    if given and label not in TASKS:
        return load_pair_task(Path(given), label)
    spec = task_spec(label)
    if given:
        return spec.load(Path(given), state)
    if data is None:
        raise OptionError(f"--tasks {name} needs --data, the folder with the evaluation data.")
    task = spec.load(find_data(spec, data, fast=fast), state)
    task.folder = (spec.fast if fast else spec.full) or task.folder
    return task


def tasks_in(data: Path, *, fast: bool = False, state: State = "p26") -> list[str]:
    """The tasks whose data are there, in the order of reports; a folder of `.jsonl` files is one in BLiMP's form."""
    if data.is_file() or any(data.glob("*.jsonl")):
        return [str(data)]
    found = []
    for name in TASKS:
        spec = task_spec(name)
        wanted = not spec.states or state in spec.states
        if wanted and name != "aoa" and _candidates(spec, data, fast=fast):
            found.append(name)
    if not found:
        kind = "fast_eval" if fast else "full_eval"
        raise CorpusError(
            f"--data {data}: there is no task in it; it should hold {kind}/ with folders like blimp_fast."
        )
    return found


def find_data(spec: TaskSpec, data: Path, *, fast: bool) -> Path:
    """The folder of a task.

    Raises:
        OptionError: the task has no data for checkpoints.
        CorpusError: the folder is not there; the message says which.
    """
    if fast and spec.fast is None:
        raise OptionError(f"--fast: {spec.name} is scored for the final model only; leave it out or leave out --fast.")
    found = _candidates(spec, data, fast=fast)
    if not found:
        kind, name = ("fast_eval", spec.fast) if fast else ("full_eval", spec.full)
        raise CorpusError(
            f"{data}: the data of {spec.name} are missing; looked for {kind}/{name} and {name}. "
            f"Put them there, or pass --tasks {spec.name}=FOLDER."
        )
    return found[0]


def _candidates(spec: TaskSpec, data: Path, *, fast: bool) -> list[Path]:
    kinds = [("fast_eval", spec.fast)] if fast else [("full_eval", spec.full)]
    if spec.same_data:
        kinds.append(("full_eval", spec.full) if fast else ("fast_eval", spec.fast))
    places = []
    for kind, name in kinds:
        if name is not None:
            roots = (data / kind, data / "evaluation_data" / kind, data)
            places += [root / name for root in roots]
            if data.name == name:
                places.append(data)
    if fast and spec.name == "entity_tracking":  # at checkpoints only the regular set, which is the same in both
        full = (data / "full_eval", data / "evaluation_data" / "full_eval", data, data.parent / "full_eval")
        places += [root / "entity_tracking" / "regular.jsonl" for root in full]
    return [place for place in places if place.exists()]
