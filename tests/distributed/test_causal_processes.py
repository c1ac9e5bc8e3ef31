"""A causal run has the same losses, gradients and weights on one process, on two, and with steps in parts."""

from __future__ import annotations

import numpy as np
import pytest
from distributed.launching import by_torchrun, result_of


def run(folder, processes, *options):
    result = result_of("train_causal.py", folder, *options, launcher=by_torchrun(processes))
    return result, np.load(folder / "weights.npy")


def test_neither_processes_nor_accumulation_change_a_causal_run(tmp_path):
    expected, weights = run(tmp_path / "1", 1)
    assert len({round(loss, 6) for loss in expected["loss"]}) == 6
    found, other = run(tmp_path / "2", 2, "--accumulation", "2")
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key
    assert np.abs(other - weights).max() < 1e-5
