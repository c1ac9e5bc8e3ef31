"""The small files beside a model say what the record says, and nothing private."""

from __future__ import annotations

import csv
import io
import json

import yaml
from synthetic_record import synthetic_record

from babylm_hf.publishing import export_artefacts
from babylm_hf.publishing.export import losses_csv


def test_three_files_in_the_record_or_elsewhere(tmp_path):
    record = synthetic_record(tmp_path / "record")
    names = ["losses.csv", "training_config.yaml", "metadata.json"]
    assert export_artefacts(record) == [record.folder / name for name in names]
    elsewhere = export_artefacts(record, tmp_path / "else")
    for path, name in zip(elsewhere, names, strict=True):
        assert path.read_bytes() == (record.folder / name).read_bytes()
        assert "hf_secret" not in path.read_text()
        assert "someone" not in path.read_text()


def test_losses_have_a_line_for_each_step(tmp_path):
    record = synthetic_record(tmp_path)
    record.append("log", step=130, words=2_600_000, loss=float("nan"))
    rows = list(csv.DictReader(io.StringIO(losses_csv(record))))
    assert [int(row["step"]) for row in rows] == [0, *range(10, 131, 10)]
    at_50 = rows[5]
    assert float(at_50["loss"]) == 7.6 - 4.2 * 50 / 120
    assert float(at_50["held_out_loss"]) == 7.5 - 4.0 * 50 / 120
    assert float(at_50["toy_pairs_accuracy"]) > 0.5
    assert rows[0]["loss"] == rows[-1]["loss"] == ""
    assert rows[1]["held_out_loss"] == ""


def test_config_and_metadata_are_the_manifests(tmp_path):
    record = synthetic_record(tmp_path)
    export_artefacts(record)
    config = yaml.safe_load((tmp_path / "training_config.yaml").read_text())
    assert config["seed"] == 7
    assert config["method"]["rate"] == {"name": "linear decay", "mlm_prob": 0.4, "mask_decay": 0.25}
    assert config["arguments"]["learning_rate"] == 0.005
    assert "hub_token" not in config["arguments"]
    described = json.loads((tmp_path / "metadata.json").read_text())
    assert described["seed"] == 7
    assert described["position"]["words"] == 2_400_000
    assert described["results"]["held_out"]["loss"] == 3.5
    assert described["milestones"]["chck_2M"] == {"words": 2_000_000, "step": 100}
