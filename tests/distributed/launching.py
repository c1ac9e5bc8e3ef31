"""Starts the scripts beside it on one process or, by `torch.distributed.run` or another launcher, on several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def by_torchrun(processes: int) -> list[str]:
    """The launcher of so many processes; none for one."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return launcher if processes > 1 else []


def launch(script: str, folder: Path, *options: str, launcher: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a script into a folder to its end, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, *launcher, str(HERE / script), str(folder), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        timeout=280,
    )


def result_of(script: str, folder: Path, *options: str, launcher: Sequence[str] = ()) -> dict[str, Any]:
    """What a script that must succeed has left in `result.json`."""
    done = launch(script, folder, *options, launcher=launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result
