"""A causal run has the same losses, gradients and weights on one process, on two, and with steps in parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("train_causal.py")


def run(folder, processes, *options):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"] if processes > 1 else []
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(folder), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text()), np.load(folder / "weights.npy")


def test_neither_processes_nor_accumulation_change_a_causal_run(tmp_path):
    expected, weights = run(tmp_path / "1", 1)
    assert len({round(loss, 6) for loss in expected["loss"]}) == 6
    found, other = run(tmp_path / "2", 2, "--accumulation", "2")
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key
    assert np.abs(other - weights).max() < 1e-5
