"""`babylm-hf compare`: runs and their seeds side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf compare`."""
    compare = commands.add_parser(
        "compare",
        help="compare runs: what differs, and which differences the data support",
        description="Compare runs from their records. Seeds of one configuration are gathered; the first is the "
        "baseline. Example: babylm-hf compare runs/hard/seed-* runs/soft/seed-* --markdown comparison.md",
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, or a published repository")
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown")
    compare.add_argument("--latex", type=Path, metavar="FILE", help="write tables of LaTeX (booktabs)")
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.set_defaults(action=compare_runs)


def compare_runs(options: argparse.Namespace) -> None:
    """Read, compare, print, and write the files asked for."""
    from ..comparing import compare, read_configurations
    from ..comparing.report import render_latex, render_markdown, render_text
    from ..errors import OptionError

    found = compare(read_configurations(options.runs))
    for name, render in (("markdown", render_markdown), ("latex", render_latex)):
        path = getattr(options, name)
        if path is not None:
            try:
                path.write_text(render(found), encoding="utf-8")
            except OSError as error:
                raise OptionError(
                    f"--{name} {path}: cannot be written ({error.strerror}); name another file"
                ) from error
    print(json.dumps(found.to_dict(), indent=1) if options.json else render_text(found), end="")
