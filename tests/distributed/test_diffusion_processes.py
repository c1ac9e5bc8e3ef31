"""A diffusion run has the same times, masks, losses and average on one process, on two, and with steps in parts."""

from __future__ import annotations

import numpy as np
import pytest
from distributed.launching import by_torchrun, result_of


def run(folder, processes, *options):
    result = result_of("train_diffusion.py", folder, *options, launcher=by_torchrun(processes))
    return result, np.load(folder / "average.npy")


def test_neither_processes_nor_accumulation_change_a_run(tmp_path):
    expected, average = run(tmp_path / "1", 1)
    assert len({round(loss, 6) for loss in expected["loss"]}) == 6
    for name, processes, options in (("2", 2, ()), ("2x2", 2, ("--accumulation", "2"))):
        found, other = run(tmp_path / name, processes, *options)
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, rel=1e-5), (name, key)
        assert np.abs(other - average).max() < 1e-5, name
