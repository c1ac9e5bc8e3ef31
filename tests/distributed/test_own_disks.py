"""Two machines with disks of their own, played by two launchers on one: each keeps the run, or it is said."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from babylm_hf.training.integrity import damage, sha256_of

SCRIPT = Path(__file__).with_name("train_tiny.py")


def launch(folders, *options):
    """Exit codes and outputs of one launcher for each folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for number, folder in enumerate(folders):
        folder.mkdir(exist_ok=True)
        launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
        launcher += ["--node_rank", str(number), "--master_addr", "127.0.0.1", "--master_port", port]
        started.append(
            subprocess.Popen(
                [sys.executable, *launcher, str(SCRIPT), str(folder), *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            )
        )
    outputs = [process.communicate(timeout=280)[0] for process in started]
    return [process.returncode for process in started], outputs


@pytest.mark.slow
def test_every_machine_keeps_the_run_on_its_own_disk_or_is_told_that_it_does_not(tmp_path):
    folders = [tmp_path / "disk0", tmp_path / "disk1"]
    codes, outputs = launch(folders, "--each_node", "--stop", "4")
    assert codes == [0, 0], outputs
    kept = [{p.name for p in (folder / "run").iterdir() if p.name.startswith("ch")} for folder in folders]
    assert kept[0] == kept[1] >= {"chck_500", "checkpoint-4"}
    for name in kept[0]:
        places = [folder / "run" / name for folder in folders]
        assert [damage(place) for place in places] == [None, None]
        assert len({sha256_of(place / "model.safetensors") for place in places}) == 1

    codes, outputs = launch(folders, "--each_node", "--resume")
    assert codes == [0, 0], outputs
    assert np.array_equal(np.load(folders[0] / "weights-0.npy"), np.load(folders[1] / "weights-1.npy"))
    assert (folders[1] / "run" / "chck_1K" / "model.safetensors").is_file()

    codes, outputs = launch([folders[0], tmp_path / "empty"], "--each_node", "--resume")
    assert 0 not in codes
    for output in outputs:
        assert "process 1 on" in output
        assert "sees no checkpoint in" in output
