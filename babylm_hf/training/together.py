"""The processes of a run find together, and agree before its first step on the checkpoint and that it is one run.

Machines may have disks of their own. Then one of them may lack a checkpoint, or hold other text; without a word about
it they would average the gradients of two runs.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate.utils import gather_object
from transformers import TrainingArguments

from ..errors import OptionError, ResumeError
from ..lines import parse_json
from . import checkpoints
from .integrity import FILES

_WEIGHTS = "model.safetensors"


def processes_started() -> int:
    """How many processes a launcher (`accelerate launch`, torchrun) says that it started; 1 without one."""
    launched = {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys()
    return int(os.environ["WORLD_SIZE"]) if launched else 1


def join_on_cpu(args: TrainingArguments) -> None:
    """Form the group of processes where there is no accelerator; called before the stock arguments look for one.

    They would leave every process alone unless told `--use_cpu`, and if told, forget `--ddp_timeout`: a machine that
    goes away without a word, its cable pulled, would be waited for half an hour whatever was asked for.
    """
    if processes_started() == 1:
        return
    args.use_cpu = args.use_cpu or not torch.accelerator.is_available()
    if args.use_cpu and args.ddp_backend in (None, "gloo") and not dist.is_initialized():
        dist.init_process_group("gloo", timeout=timedelta(seconds=args.ddp_timeout))


def check_joined(args: TrainingArguments) -> None:
    """Raise OptionError if a launcher started several processes that then did not find together."""
    if 1 < processes_started() != args.world_size:
        raise OptionError(
            f"{processes_started()} processes were started, but accelerate sees {args.world_size}; on processors pass "
            "--use_cpu true, on GPUs give the launcher one of recipes/accelerate"
        )


@contextlib.contextmanager
def once_a_machine(args: TrainingArguments, what: str) -> Iterator[None]:
    """Within it the main process comes first, then one of every other machine, then the rest.

    So what the first leaves in a cache is there for all who see its disk, and is made once where they do not.

    Args:
        args: of the run; they know the processes.
        what: is done, for the debug log.
    """
    with args.main_process_first(local=False, desc=what), args.main_process_first(local=True, desc=what):
        yield


def agree_on_checkpoint(output_dir: Path, found: Path | None, world_size: int) -> Path | None:
    """The newest checkpoint that all processes have, each where it sees the output folder.

    Args:
        output_dir: of the run.
        found: the newest that this process has, or the one that was named; None for a run from the start.
        world_size: number of processes.

    Raises:
        ResumeError: some process has none to go on from.
    """
    while world_size > 1:
        everyone = gather_object([(-1 if found is None else checkpoints.step_of(found), socket.gethostname())])
        steps = [step for step, _ in everyone]
        if len(set(steps)) == 1:
            break
        if min(steps) < 0:
            process, best = steps.index(min(steps)), max(steps)
            raise ResumeError(
                f"process {process} on {everyone[process][1]} sees no checkpoint in {output_dir} to go on from, and "
                f"another one sees checkpoint-{best}; --output_dir must lie where all machines see it, or be kept on "
                "each from the start with --save_on_each_node true"
            )
        found = checkpoints.newest_checkpoint(output_dir, at_most=min(steps))
    return found


def require_one_run(identity: Mapping[str, Any], checkpoint: Path | None, world_size: int) -> None:
    """Raise OptionError unless all processes have the same run before them.

    Args:
        identity: what must be equal for two runs to be the same (`ResumableTrainer.identity`).
        checkpoint: that the run goes on from.
        world_size: number of processes.
    """
    if world_size == 1:
        return
    mine = {**identity, "weights of the checkpoint": _weights_digest(checkpoint)}
    everyone = gather_object([(mine, socket.gethostname())])
    for process, (theirs, host) in enumerate(everyone):
        if changed := checkpoints.differences(everyone[0][0], theirs):
            raise OptionError(
                f"process {process} on {host} has another run before it than process 0: {'; '.join(changed)}. Give all "
                "machines the same text, tokenizer and options"
            )


def _weights_digest(checkpoint: Path | None) -> str | None:
    """sha256 of the weights of a checkpoint as its list has it; its other files may differ between machines."""
    if checkpoint is None:
        return None
    facts = parse_json((checkpoint / FILES).read_text(encoding="utf-8"))
    digest: str | None = facts.get(_WEIGHTS, {}).get("sha256")
    return digest
