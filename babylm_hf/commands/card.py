"""`babylm-hf card`: render the cards of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """`babylm-hf card`."""
    card = commands.add_parser("card", help="render the model card of a run again")
    card.add_argument("run", type=Path, help="the output folder of a recipe")
    card.set_defaults(action=render_card)


def render_card(options: argparse.Namespace) -> None:
    """Render the cards of the final model and of every milestone from the record."""
    from ..publishing import RunRecord, write_card

    record = RunRecord.open(options.run / "record")
    folders = {
        None: options.run,
        **{event["name"]: options.run / event["name"] for event in record.events("milestone")},
    }
    written = [write_card(record, folder, milestone=name) for name, folder in folders.items() if folder.is_dir()]
    print(f"{len(written)} cards rendered; the final one is {options.run / 'README.md'}")
