"""What `babylm-hf doctor` looks at: versions, devices, disk, caches, token. It changes nothing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from .arguments import default_cache_dir
from .sizes import free_space, readable_size

_ROOM = 5 * 10**9
"""Free bytes under which a run of the published size does not fit: milestones, checkpoints, tokenised text."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        state: `ok`, `note` (works, but worth knowing) or `fail` (runs will not work).
        found: what is there.
        advice: what to do about it; empty if nothing.
    """

    name: str
    state: Literal["ok", "note", "fail"]
    found: str
    advice: str = ""


def diagnose(*, online: bool = False) -> list[Check]:
    """All checks, in the order a person would make them.

    Args:
        online: also ask the Hub whether it answers and whom the token belongs to.
    """
    checks: list[Check] = []
    for look in (_python, _packages, _extras, _torch, _processor, _gpu, _disk, _caches, _hub_settings, _token):
        checks += _guarded(look)
    return checks + (_guarded(_online) if online else [])


def _guarded(look: Callable[[], list[Check]]) -> list[Check]:
    """A check that itself breaks is a finding, not the end of the others."""
    try:
        return look()
    except Exception as error:  # anything may be broken on a machine that is being examined
        return [Check(look.__name__.strip("_"), "fail", f"{type(error).__name__}: {error}")]


def _python() -> list[Check]:
    where = "virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    return [Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {where}")]


def _packages() -> list[Check]:
    """Every requirement of the package against what is installed."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("babylm_hf") or []]
    needed = [w for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]
    checks, good = [], []
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            checks.append(Check(requirement.name, "fail", "is not installed", f'pip install "{requirement}"'))
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            found = f"{version}, but {requirement.specifier} is needed"
            checks.append(Check(requirement.name, "fail", found, f'pip install --upgrade "{requirement}"'))
        elif requirement.name in ("transformers", "accelerate", "datasets", "huggingface_hub"):
            good.append(f"{requirement.name} {version}")
    others = len(needed) - len(checks) - len(good)
    summary = f"babylm_hf {metadata.version('babylm_hf')}, {', '.join(good)}, {others} others"
    return [Check("packages", "ok", summary), *checks]


def _extras() -> list[Check]:
    found = []
    for name in ("sentencepiece", "codecarbon"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return [Check("extras", "ok", ", ".join(found) + " (optional)")]


def _torch() -> list[Check]:
    try:
        import torch
    except Exception as error:  # a broken install raises OSError, ImportError, RuntimeError
        return [Check("torch", "fail", f"cannot be imported: {error}", "install it again")]
    threads = torch.get_num_threads()
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return [Check("torch", "ok", f"{torch.__version__}, {build}, {threads} thread{'s' * (threads > 1)}")]


def _processor() -> list[Check]:
    """Cores, memory, and whether the processor multiplies matrices in bfloat16."""
    model, flags = _cpuinfo()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fast = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {readable_size(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))} of memory"
    checks = [Check("processor", "ok", f"{model or platform.processor()}, {cores} core{'s' * (cores > 1)}{memory}")]
    if "amx_bf16" in flags or "avx512_bf16" in flags:
        advice = "--bf16 true may be faster than float32; babylm-hf inspect plan ... --measure 5 tells"
        checks.append(Check("instructions", "ok", ", ".join(fast), advice))
    else:
        checks.append(Check("instructions", "ok", f"{', '.join(fast) or 'unknown'}; no bfloat16: train in float32"))
    return checks


def _cpuinfo() -> tuple[str, set[str]]:
    """Name and flags of the first processor, empty where the system does not tell."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return "", set()
    fields: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields.get("model name", ""), set(fields.get("flags", fields.get("Features", "")).split())


def _gpu() -> list[Check]:
    import torch

    if not torch.cuda.is_available():
        other = "Apple's MPS is there" if torch.backends.mps.is_available() else "none that torch can use"
        advice = "the demonstrations need none; a model of the published size does"
        return [Check("GPU", "note", other, advice)]
    checks = []
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        bf16 = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no bfloat16"
        checks.append(Check(f"GPU {number}", "ok", f"{device.name}, {readable_size(device.total_memory)}, {bf16}"))
    return checks


def _disk() -> list[Check]:
    free = free_space(Path.cwd())
    advice = "babylm-hf inspect plan RECIPE says what a run needs" if free < _ROOM else ""
    return [Check("disk here", "note" if free < _ROOM else "ok", f"{readable_size(free)} free", advice)]


def _caches() -> list[Check]:
    """Whether the folders that are written to can be, and how much room they have."""
    from huggingface_hub import constants

    folders = {
        "our cache": (Path(default_cache_dir()), "set BABYLM_HF_CACHE to a folder that you may write to"),
        "Hub cache": (Path(constants.HF_HUB_CACHE), "set HF_HOME to a folder that you may write to"),
    }
    checks = []
    for name, (folder, advice) in folders.items():
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        shown = f"{_at_home(folder)}, {readable_size(free_space(folder))} free"
        good = os.access(there, os.W_OK)
        state: Literal["ok", "fail"] = "ok" if good else "fail"
        checks.append(Check(name, state, shown if good else f"{shown}, not writable", "" if good else advice))
    return checks


def _at_home(folder: Path) -> str:
    """The folder with `~` for the home directory."""
    try:
        return str(Path("~") / folder.relative_to(Path.home()))
    except ValueError:
        return str(folder)


def _hub_settings() -> list[Check]:
    from huggingface_hub import constants

    checks = []
    if constants.HF_HUB_OFFLINE:
        advice = "data sets and models come from the cache only; unset it to load or publish"
        checks.append(Check("Hub", "note", "HF_HUB_OFFLINE is set", advice))
    if constants.ENDPOINT != "https://huggingface.co":
        checks.append(Check("Hub", "note", "HF_ENDPOINT names another server than huggingface.co"))
    return checks


def _token() -> list[Check]:
    """Whether there is an access token; it is never shown."""
    from huggingface_hub import get_token

    if get_token() is None:
        advice = "needed for publishing and gated data only: hf auth login"
        return [Check("Hub token", "note", "none", advice)]
    where = "from HF_TOKEN" if os.environ.get("HF_TOKEN") else "from a file"
    return [Check("Hub token", "ok", f"there, {where} (not shown)")]


def _online() -> list[Check]:
    """Whether the Hub answers, and what the token may do."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        if get_token() is None:
            api.repo_exists("babylm_hf/no-such-repository")
            return [Check("Hub", "ok", "answers")]
        who = api.whoami()
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        advice = "log in again: hf auth login" if status in (401, 403) else "try later"
        return [Check("Hub", "fail", f"answers with {status}", advice)]
    except Exception as error:  # whatever the transport raises where there is no network
        reason = type(error).__name__
        advice = "recipes work without it: give --train_file and --tokenizer, or --demo"
        return [Check("Hub", "fail", f"cannot be reached ({reason})", advice)]
    role = ((who.get("auth") or {}).get("accessToken") or {}).get("role")
    state: Literal["ok", "note"] = "note" if role == "read" else "ok"
    advice = "publishing needs a token that may write" if role == "read" else ""
    return [Check("Hub", state, f"answers; logged in as {who.get('name')}, token: {role or 'fine-grained'}", advice)]
