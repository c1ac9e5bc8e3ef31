"""Where a run was made: versions, code, machine, command. Facts only, and none that name a person's folders."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

# A path from the root or home: a word, or in it after an equals sign or comma, as in --train_file=a or wiki=a,b.
_ABSOLUTE = re.compile(r"(?:^|(?<=[=,]))[/~][^=,]*")
PACKAGES = ("babylm_hf", "torch", "transformers", "accelerate", "datasets", "tokenizers", "huggingface_hub", "numpy")


def versions() -> dict[str, str]:
    """Python and the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code() -> dict[str, Any]:
    """Version of this package, and its commit where it runs from a checkout."""
    from .. import __version__

    here = Path(__file__).resolve().parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # A checkout of something else around an installed package is not our commit.
    ours = (here.parents[1] / "pyproject.toml").is_file()
    commit = git("rev-parse", "HEAD") if ours else None
    modified = bool(git("status", "--porcelain")) if commit else None
    return {"version": __version__, "commit": commit, "modified": modified}


def hardware(num_processes: int = 1, device: str = "cpu") -> dict[str, Any]:
    """Processor, memory and accelerators as the run uses them."""
    facts: dict[str, Any] = {
        "platform": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processes": num_processes,
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        facts["accelerators"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return facts


def _processor() -> str | None:
    """What the processor calls itself."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or None


def command(argv: list[str] | None = None) -> str:
    """The command that repeats the run, typed in the project's folder; absolute paths lose their folders."""
    script, *arguments = argv if argv is not None else sys.argv
    path = Path(script)
    shown = f"{path.parent.name}/{path.name}" if path.parent.name == "recipes" else path.name
    words = [_ABSOLUTE.sub(lambda found: Path(found[0]).name, word) for word in arguments]
    return shlex.join(["accelerate", "launch", shown, *words])
