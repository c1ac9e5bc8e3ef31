"""A run that is killed at any moment ends where the uninterrupted one ends. `kills.py` does it as often as wanted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_killed_and_resumed_runs_end_bit_for_bit_where_the_whole_one_does(tmp_path):
    # A process of its own: forking one that has run threads, as a test process has, is asking for a deadlock.
    command = [sys.executable, str(SCRIPT), "--runs", "2", "--kills", "4", "--publish"]
    command += ["--folder", str(tmp_path / "kills")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    runs, kills = map(int, re.match(r"(\d+) runs, (\d+) kills", done.stdout).groups())
    assert runs >= 2
    assert kills >= 4
