"""What a resumable checkpoint holds beyond the stock files, and how a run folder is told from another run's.

Beside the stock files each `checkpoint-STEP` has two sidecars: `babylm_state.safetensors` (mask weights, statistics)
and `babylm_state.json` (step, words, and the identity of the run). No generator state is needed: randomness is
counter-based.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ResumeError, RunFolderError
from ..lines import parse_json
from .disk import disk_trouble_named
from .integrity import damage, require_whole, write_checksums

logger = logging.getLogger(__name__)

STATE_ARRAYS = "babylm_state.safetensors"
STATE_FACTS = "babylm_state.json"
# How a model is stored or used, and ids that the stock Trainer takes from the tokenizer when training begins.
_NOT_OF_THE_MODEL = {"_name_or_path", "architectures", "auto_map", "dtype", "transformers_version", "use_cache"}
_NOT_OF_THE_MODEL |= {"bos_token_id", "eos_token_id", "pad_token_id"}
_CHECKPOINT = re.compile(r"checkpoint-(\d+)$")


def write_sidecars(folder: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write both sidecars into a checkpoint folder that is still under its temporary name."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.asarray(values, order="C") for name, values in arrays.items()}, folder / STATE_ARRAYS)
    (folder / STATE_FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_sidecars(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and facts of a checkpoint.

    Raises:
        ResumeError: a sidecar is missing or cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts = parse_json((folder / STATE_FACTS).read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or not isinstance(facts.get("identity", {}), dict):
            raise ValueError(f"{STATE_FACTS} does not describe a run")
        return load_file(folder / STATE_ARRAYS), facts
    except (OSError, ValueError, SafetensorError) as error:
        raise ResumeError(
            f"{folder} is not a complete checkpoint of this trainer ({error}); resume from another one"
        ) from error


def newest_checkpoint(output_dir: Path, at_most: float = math.inf) -> Path | None:
    """The newest checkpoint whose files are as they were written, or None; damaged ones are named and passed over.

    Args:
        output_dir: of the run.
        at_most: the last step that it may be of.
    """
    if not output_dir.is_dir():
        return None
    numbered = [(step_of(path), path) for path in output_dir.iterdir() if _CHECKPOINT.match(path.name)]
    for _, path in sorted(entry for entry in numbered if entry[0] <= at_most)[::-1]:
        found = damage(path)
        if found is None:
            return path
        logger.warning("%s is damaged and passed over: %s", path.name, found)
    return None


def step_of(checkpoint: Path) -> int:
    """The step that a folder `checkpoint-STEP` is of; -1 for one of another name."""
    found = _CHECKPOINT.match(checkpoint.name)
    return int(found.group(1)) if found else -1


def resolve_resume(output_dir: Path, request: str | bool | None) -> Path | None:
    """The checkpoint meant by `--resume_from_checkpoint`: a path, or `auto` for the newest complete one, if any.

    Raises:
        RunFolderError: nothing was asked for, but the folder holds a run already; or the path is no folder.
    """
    if request in (None, False, "", "no", "false", "False"):
        refuse_foreign_run(output_dir)
        return None
    if request in (True, "auto", "True", "true"):
        found = newest_checkpoint(output_dir)
        if found is None and any(output_dir.glob("chck_*")):
            raise RunFolderError(
                f"{output_dir} holds milestones but no complete checkpoint to resume from; choose another --output_dir"
            )
        return found
    path = Path(str(request))
    if not path.is_dir():
        raise RunFolderError(f"--resume_from_checkpoint {path} is not a folder; use 'auto' for the newest checkpoint")
    require_whole(path)
    return path


def refuse_foreign_run(output_dir: Path) -> None:
    """Raise RunFolderError if the folder holds a run, so that nothing of it is overwritten."""
    traces = [output_dir / "record" / "run.json", *output_dir.glob("checkpoint-*"), *output_dir.glob("chck_*")]
    if output_dir.exists() and not output_dir.is_dir():
        raise RunFolderError(f"--output_dir {output_dir} is a file; give a folder")
    if any(trace.exists() for trace in traces):
        raise RunFolderError(
            f"{output_dir} already holds a run; continue it with --resume_from_checkpoint auto, "
            "or choose another --output_dir"
        )


def differences(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """The facts in which two runs differ, as 'name (was A, is B)'."""
    plain = json.loads(json.dumps(current))
    names = sorted(set(saved) | set(plain))
    return [f"{n} (was {saved.get(n)!r}, is {plain.get(n)!r})" for n in names if saved.get(n) != plain.get(n)]


def model_facts(config: Any) -> dict[str, Any]:
    """What a model's configuration says of the model, so that two can be compared; not how it is stored or used.

    It is read as from a file: some configurations drop or rename what they were made with when they are saved.
    """
    read = type(config).from_dict(json.loads(config.to_json_string()))
    values = json.loads(read.to_json_string(use_diff=False))
    return {f"model {name}": value for name, value in values.items() if name not in _NOT_OF_THE_MODEL}


def check_identity(saved: Mapping[str, Any], current: Mapping[str, Any], checkpoint: Path) -> None:
    """Raise ResumeError naming what differs between the run of a checkpoint and the one that wants to go on from it."""
    if changed := differences(saved, current):
        raise ResumeError(
            f"cannot resume from {checkpoint}: this run differs in {'; '.join(changed)}. "
            "Use the options of the first run, or start anew in another --output_dir"
        )


def this_machine() -> str:
    """A mark of this machine and user that tells neither's name."""
    who = f"{socket.gethostname()} {getattr(os, 'getuid', lambda: '')()}"
    return hashlib.sha256(who.encode()).hexdigest()[:16]


def is_foreign(facts: Mapping[str, Any], checkpoint: Path) -> bool:
    """Whether a checkpoint was written by another user or on another machine."""
    owner = checkpoint.stat().st_uid if hasattr(os, "getuid") else None
    return facts.get("machine", this_machine()) != this_machine() or (owner is not None and owner != os.getuid())


def warn_of_origin(facts: Mapping[str, Any], checkpoint: Path) -> None:
    """Say it where a checkpoint was written by another user or on another machine.

    Nothing in it can run code: weights, masks and averages are safetensors, the optimizer's state is read by torch with
    `weights_only`. But who wrote it decides what the model becomes.
    """
    if is_foreign(facts, checkpoint):
        logger.warning(
            "%s was written on another machine or by another user; go on only if you know by whom", checkpoint.name
        )


def check_for_deepspeed(facts: Mapping[str, Any], checkpoint: Path, world_size: int) -> None:
    """Raise ResumeError unless DeepSpeed may and can read what it has written into a checkpoint.

    It unpickles without `weights_only` (its torch_checkpoint_engine.py), and does not divide the state anew.
    """
    if is_foreign(facts, checkpoint):
        raise ResumeError(
            f"{checkpoint} was written on another machine or by another user, and DeepSpeed would unpickle it, which "
            "may run code; go on there, or start anew"
        )
    if facts.get("world_size") != world_size:
        raise ResumeError(
            f"{checkpoint} was written by DeepSpeed with {facts.get('world_size')} processes and goes on only with as "
            f"many, not with {world_size}"
        )


@contextmanager
def written_whole(folder: Path, writes: bool = True) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name when the block ends well, replacing what stood there.

    Its checksums are written last. What a failure leaves under the temporary name is removed.

    Args:
        writes: whether this process renames; the others only learn the name.

    Raises:
        RunFolderError: the disk is full, or cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    if writes and temporary.exists():
        shutil.rmtree(temporary)
    try:
        with disk_trouble_named(folder):
            yield temporary
            if writes:
                write_checksums(temporary)
    except BaseException:
        if writes:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    if writes:
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            os.replace(folder, old)
        os.replace(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
