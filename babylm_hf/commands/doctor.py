"""`babylm-hf doctor`: is this machine ready?"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from ..terminal import paint

if TYPE_CHECKING:
    from ..diagnosis import Check

_WIDTH = 80
_MARKS: dict[str, Any] = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "fail": ("FAIL", "red")}


def add(commands: Any) -> None:
    """`babylm-hf doctor`."""
    doctor = commands.add_parser(
        "doctor",
        help="is this machine ready? versions, devices, disk, caches, token",
        description="Look at versions, devices, disk, caches and access token, and say what to do about what is "
        "amiss. Nothing is changed, and nothing is asked of the network without --online. Exit status 1 if something "
        "keeps runs from working, 0 otherwise.",
    )
    doctor.add_argument("--online", action="store_true", help="also ask the Hub who the token belongs to")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(action=examine)


def examine(options: argparse.Namespace) -> None:
    """Print the checks; end with 1 if one has failed."""
    from ..diagnosis import diagnose

    checks = diagnose(online=options.online)
    failed = [check for check in checks if check.state == "fail"]
    if options.json:
        print(json.dumps({"ready": not failed, "checks": [vars(check) for check in checks]}, indent=1))
    else:
        print("\n".join(line for check in checks for line in _lines(check)))
        notes = sum(check.state == "note" for check in checks)
        said = f"{len(failed)} to mend" if failed else "ready"
        print(f"\n{paint(said, 'red' if failed else 'green')}" + (f", {notes} to know of" if notes else ""))
    if failed:
        sys.exit(1)


def _lines(check: Check) -> list[str]:
    """One check, at most 80 columns wide."""
    mark, colour = _MARKS[check.state]
    first = f"{check.name:<14} {check.found}"
    told = textwrap.wrap(first, _WIDTH - 6, subsequent_indent=" " * 15, break_on_hyphens=False, break_long_words=False)
    if check.advice:
        told += textwrap.wrap("-> " + check.advice, _WIDTH - 6, initial_indent=" " * 15, subsequent_indent=" " * 18)
    return [f"{paint(mark, colour)}  {told[0]}", *(f"      {line}" for line in told[1:])]
