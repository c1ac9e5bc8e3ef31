"""`babylm-hf compare`: runs and their seeds side by side."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..comparing import Comparison

# What is at the beginning of a file that this command wrote; another one is not replaced.
_OURS = {"html": "babylm_hf", "markdown": "# Comparison", "latex": "% babylm-hf compare", "png": "\x89PNG"}
_LOOK = 1500


def add(commands: Any) -> None:
    """`babylm-hf compare`."""
    compare = commands.add_parser(
        "compare",
        help="compare runs: what differs, and which differences the data support",
        description="Compare runs from their records. Seeds of one configuration are gathered; the first is the "
        "baseline. Example: babylm-hf compare runs/hard/seed-* me/soft-0 hub:me/soft-1@main --html comparison.html",
    )
    compare.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of a run, or a repository with a published record: namespace/name, hub:namespace/name, both with "
        "@revision where it is not main",
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write a page that needs nothing else")
    compare.add_argument("--png", type=Path, metavar="FOLDER", help="write the figures, 80 mm wide, for a paper")
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown")
    compare.add_argument("--latex", type=Path, metavar="FILE", help="write tables of LaTeX (booktabs)")
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.set_defaults(action=compare_runs)


def compare_runs(options: argparse.Namespace) -> None:
    """Read, compare, print, and write the files asked for."""
    from ..comparing import compare, read_configurations
    from ..comparing.report import render_text

    for name in _OURS:
        if getattr(options, name) is not None:
            _check(name, getattr(options, name))
    found = compare(read_configurations(options.runs))
    for name, path, content in _files(found, options):
        _write(name, path, content)
    print(json.dumps(found.to_dict(), indent=1) if options.json else render_text(found), end="")


def _files(found: Comparison, options: argparse.Namespace) -> Iterator[tuple[str, Path, bytes]]:
    from ..comparing.figures import figures
    from ..comparing.page import render_html
    from ..comparing.report import render_latex, render_markdown

    renders: dict[str, Callable[[Comparison], str]] = {
        "html": render_html,
        "markdown": render_markdown,
        "latex": render_latex,
    }
    for name, render in renders.items():
        if (path := getattr(options, name)) is not None:
            yield name, path, render(found).encode("utf-8")
    if options.png is not None:
        for figure in figures(found):
            yield "png", options.png / f"{figure.name}.png", figure.draw("png")


def _check(name: str, path: Path) -> None:
    """Refuse before anything is computed what could not be written after."""
    from ..errors import OptionError

    if name == "png" and path.exists() and not path.is_dir():
        raise OptionError(f"--png {path} is a file; name a folder")
    if name != "png" and path.is_dir():
        raise OptionError(f"--{name} {path} is a folder; name a file")
    if name != "png" and not path.parent.is_dir():
        raise OptionError(f"--{name} {path}: there is no folder {path.parent}; make it, or name another file")
    if name != "png":
        _refuse_other(name, path)


def _refuse_other(name: str, path: Path) -> None:
    from ..errors import OptionError

    if path.is_file() and _OURS[name] not in path.read_bytes()[:_LOOK].decode("latin-1"):
        raise OptionError(f"--{name}: {path} is there and was not written by this command; name another file")


def _write(name: str, path: Path, content: bytes) -> None:
    from ..errors import OptionError
    from ..publishing.files import write_whole

    _refuse_other(name, path)
    try:
        write_whole(path, content)
    except OSError as error:
        raise OptionError(f"--{name} {path}: cannot be written ({error.strerror}); name another place") from error
