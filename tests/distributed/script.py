"""The beginning and the end of every script here that `torch.distributed.run` starts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tiny import gloo_threads

RANK = int(os.environ.get("RANK", "0"))


def parser() -> argparse.ArgumentParser:
    """The options that all have: OUTPUT_DIR and --accumulation."""
    made = argparse.ArgumentParser()
    made.add_argument("folder", type=Path)
    made.add_argument("--accumulation", type=int, default=1)
    return made


def leave(trainer: Any, folder: Path, values: Iterable[str], **more: Any) -> None:
    """Rank 0 writes `result.json`: these values of every logged step, and more."""
    if RANK == 0:
        steps = [line for line in trainer.state.log_history if "loss" in line]
        result = {name: [line[name] for line in steps] for name in values} | more
        (folder / "result.json").write_text(json.dumps(result))


def leave_weights(parameters: Iterable[Any], path: Path) -> None:
    """Rank 0 writes all weights as one row."""
    if RANK == 0:
        np.save(path, np.concatenate([parameter.detach().numpy().ravel() for parameter in parameters]))


def close(trainer: Any) -> None:
    """End the process group, and see that it has ended."""
    trainer.close()
    assert not gloo_threads(), "the process group outlives the trainer"
