"""A metric as a Space on the Hub, from where `evaluate.load("namespace/name")` takes it.

The folder of a metric Space holds the metric's file under the repository's own name, a page to try it (`app.py`), what
it needs (`requirements.txt`) and a card (`README.md`) that is made from the metric's own description.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

from ..errors import OptionError
from .modules import METRICS, metric_path

# The page that `evaluate` makes uses an interface that later versions of gradio lack.
_GRADIO = "3.50.2"
_APP = '''"""A page on which the metric can be tried."""

from __future__ import annotations

import evaluate
from evaluate.utils import launch_gradio_widget

launch_gradio_widget(evaluate.load("./{name}.py"))
'''


def export_space(name: str, folder: str | Path) -> list[Path]:
    """Write the files of a metric's Space into a folder.

    Args:
        name: of the metric.
        folder: is made where it does not exist; files of these names in it are replaced.

    Returns:
        the four files.

    Raises:
        OptionError: there is no such metric.
    """
    script = Path(metric_path(name)) / f"{name}.py"
    source = script.read_text(encoding="utf-8")
    files = {
        script.name: source,
        "app.py": _APP.format(name=name),
        "requirements.txt": "\n".join(_requirements(source)) + "\n",
        "README.md": _card(name, source),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in files]


def push_space(name: str, repo_id: str, folder: str | Path, *, private: bool = False, token: str | None = None) -> str:
    """Write a metric's Space into a folder and upload it.

    Args:
        name: of the metric.
        repo_id: `namespace/name`, where `name` is the metric's own: `evaluate.load` looks for a file of that name.
        folder: where the files are written.
        private: make a Space that only its owners see.
        token: of the Hub; the one that was saved by logging in without it.

    Returns:
        the address of the commit.

    Raises:
        OptionError: another name, or the Hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if repo_id.count("/") != 1 or repo_id.rpartition("/")[2] != name:
        raise OptionError(f"{repo_id}: the Space of this metric must be called namespace/{name}.")
    export_space(name, folder)
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
        return api.upload_folder(
            folder_path=str(folder),
            repo_id=repo_id,
            repo_type="space",
            allow_patterns=[f"{name}.py", "app.py", "requirements.txt", "README.md"],
            commit_message=f"Metric {name}",
        ).commit_url
    except HfHubHTTPError as error:
        raise OptionError(f"{repo_id}: the Hub refuses the Space ({error}).") from error


def _constants(source: str) -> dict[str, Any]:
    """The texts that the metric's file defines, without importing it."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _requirements(source: str) -> list[str]:
    """What the metric's file imports and Python does not bring along."""
    packages = {"datasets": "datasets", "numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn"}
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    return ["evaluate", *sorted(packages[name] for name in names & set(packages))]


def _card(name: str, source: str) -> str:
    texts = _constants(source)
    metadata = {
        "title": METRICS[name],
        "emoji": "📏",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": _GRADIO,
        "app_file": "app.py",
        "pinned": False,
        "license": "apache-2.0",
        "tags": ["evaluate", "metric", "babylm"],
        "description": " ".join(texts["_DESCRIPTION"].split()),
    }
    header = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=10_000)
    return (
        f"---\n{header}---\n\n# {METRICS[name]}\n\n{texts['_DESCRIPTION']}\n"
        f"## How to use\n\n```\n{texts['_INPUTS']}```\n\n"
        f"On the Hub the metric's name stands behind its owner's: `evaluate.load(\"namespace/{name}\")`.\n\n"
        f"## Citation\n\n```bibtex\n{texts['_CITATION']}```\n"
    )
