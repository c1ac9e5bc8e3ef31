"""Every fault of the list: the user reads one sentence, and what was whole before it is whole after it."""

from __future__ import annotations

import logging
import re

import pytest
from faults.table import FAULTS
from tiny import REPOSITORY

from babylm_hf.errors import BabyLMError


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault, stage, caplog):
    stage.before = stage.digest("checkpoint-2")
    ended, error = False, ""
    with caplog.at_level(logging.WARNING):
        try:
            fault.make(stage)
        except BabyLMError as raised:
            ended, error = True, str(raised)
            assert "\n" not in error, "one sentence"
    said = error if ended else caplog.text
    assert ended == fault.ends, said
    if fault.said:
        assert re.search(fault.said, said), said
    else:
        assert not said
    if (stage.run / "checkpoint-2").exists():  # else the run went on and rotated it away
        assert stage.digest("checkpoint-2") == stage.before
    left = [path.name for path in stage.run.iterdir() if path.name.endswith((".partial", ".old", ".lock", ".saving"))]
    assert not left


def test_the_list_for_people_has_the_same_faults():
    text = (REPOSITORY / "docs" / "cluster.md").read_text()
    told = re.findall(r"^\| ([^|]+?) \|", text.split("## What may go wrong")[1].split("\n## ")[0], re.MULTILINE)
    assert told[1:] == [fault.name for fault in FAULTS]
