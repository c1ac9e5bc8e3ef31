"""Whether the code files of a model folder are ours, so that running them asks for no more trust than this package.

Models of our own architectures carry their code, which transformers runs only if told to trust it. Where every Python
file of a folder is byte for byte one that this package ships, and nothing in it points to code elsewhere, that is no
question.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import OptionError


def trusts(folder: str | Path) -> bool:
    """Whether a folder's code is this package's own.

    Args:
        folder: of a model. False for anything else, such as a Hub id: what is there can change.

    Returns:
        True if the folder names code of its own (`auto_map`), every Python file in it equals the file of the same name
        in this package, and all names in `auto_map` lead to those files. False where there is no code to trust.
    """
    folder = Path(folder)
    modules = code_modules(folder)
    if not modules:
        return False
    files = sorted(folder.rglob("*.py"))
    if any(_ours().get(path.name) != path.read_bytes() for path in files):
        return False
    present = {path.relative_to(folder).as_posix() for path in files}
    return all(f"{module}.py" in present for module in modules)


def code_modules(folder: str | Path) -> set[str]:
    """The modules that the JSON files of a model folder name in `auto_map`; empty where it needs no code of its own.

    A module of another repository is `namespace/name--module`.
    """
    modules: set[str] = set()
    for path in sorted(Path(folder).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # transformers will say what it thinks of the file
        for reference in _references(content.get("auto_map") if isinstance(content, dict) else None):
            modules.add(reference.rpartition(".")[0])
    return modules


def trust_option(name: str | Path, asked: bool) -> bool:
    """What to pass to `from_pretrained` as `trust_remote_code`.

    Args:
        name: folder or Hub id.
        asked: whether the user said so.

    Raises:
        OptionError: a folder has code that is not ours and the user did not ask for it to be run. (Of a Hub id that
            shows when it is loaded; see `refused_code`.)
    """
    if asked:
        return True
    if code_modules(name) and not trusts(name):
        raise refused_code(name)
    return trusts(name)


def refused_code(name: str | Path) -> OptionError:
    """The error of a model whose code the user did not ask to be run."""
    return OptionError(
        f"{name} brings code of its own that differs from this package's: read it, and pass --trust_remote_code if you "
        "want it to run"
    )


def _references(auto_map: Any) -> list[str]:
    """All class references of an `auto_map`, whose values are names or lists of names."""
    if isinstance(auto_map, str):
        return [auto_map]
    if isinstance(auto_map, dict):
        return [reference for value in auto_map.values() for reference in _references(value)]
    return [reference for value in auto_map for reference in _references(value)] if isinstance(auto_map, list) else []


@cache
def _ours() -> dict[str, bytes]:
    """The package's files that travel with weights, by name: those of the architectures under `models`."""
    folder = Path(__file__).parent
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*/*.py")) if path.name != "__init__.py"}
