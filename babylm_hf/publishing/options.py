"""Options of a run as anybody may read them: no secrets, no folders of the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

# Options that say where, how comfortably and on what a run is made; what comes out of it they cannot change.
_AROUND = re.compile(
    r"^(accelerator_config|ddp_\w+|dataloader_\w+|debug|disable_tqdm|do_\w+|hub_\w+|local_rank|log_\w+|logging_\w+"
    r"|report_to|resume_from_checkpoint|run_name|save_\w+|skip_memory_metrics|track_carbon|use_cpu|\w+_dir|\w+_path)$"
)
_SECRET = re.compile(r"(^|_)(token|secret|password|api_key)$")
_ABSOLUTE = re.compile(r"^(~?/|[A-Za-z]:[\\/])")


def without_folders(value: Any) -> Any:
    """A value of an option without folders of this machine: absolute paths are cut to their last part."""
    if isinstance(value, str) and _ABSOLUTE.match(value):
        path = PureWindowsPath(value) if "\\" in value else PurePosixPath(value)
        return path.name
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    return value


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without tokens and passwords, and without folders of this machine."""
    return {name: without_folders(value) for name, value in options.items() if not _SECRET.search(name)}


def decides(name: str) -> bool:
    """Whether an option has a say in what comes out of a run."""
    return _AROUND.match(name) is None


def hyperparameters(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that differ from their defaults as (name, value, default), and all of them."""
    arguments = dict(sorted(public_options(manifest.get("arguments") or {}).items()))
    defaults = manifest.get("defaults") or {}
    differing = [
        (name, value, without_folders(defaults[name]))
        for name, value in arguments.items()
        if name in defaults and _off(value) != _off(without_folders(defaults[name])) and decides(name)
    ]
    return {"differing": differing, "all": arguments}


def _off(value: Any) -> Any:
    """The Trainer writes "not used" in several ways, and changes one into another when it starts."""
    return None if value in (None, False, "", [], {}) else value
