"""Energy and carbon dioxide: measured through codecarbon's offline tracker, summed over sessions, told on the card."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from huggingface_hub import ModelCard
from synthetic_record import CARBON, synthetic_record
from tiny import tiny_stream, tiny_trainer

from babylm_hf.errors import OptionError
from babylm_hf.publishing import ModelCardRenderer, RunRecord
from babylm_hf.training import BabyLMTrainingArguments, RecordCallback


class Tracker:
    """What `codecarbon.OfflineEmissionsTracker` does as far as we use it: hands growing totals to its outputs."""

    made: ClassVar[list[Tracker]] = []

    def __init__(self, **options):
        self.options, self.energy = options, 0.0
        Tracker.made.append(self)

    def start(self):
        self.energy = 0.001

    def flush(self):
        self.energy += 0.001
        total = SimpleNamespace(
            energy_consumed=self.energy, emissions=self.energy / 2, country_iso_code=self.options["country_iso_code"],
            country_name="Germany", cpu_energy=self.energy, gpu_energy=0.0, ram_energy=0.0, codecarbon_version="9",
        )  # fmt: skip
        for output in self.options["output_handlers"]:
            output.out(total, total)

    stop = flush


@pytest.fixture
def codecarbon(monkeypatch):
    """A codecarbon that measures nothing."""
    package, data = ModuleType("codecarbon"), ModuleType("codecarbon.input")
    package.OfflineEmissionsTracker = Tracker
    data.DataSource = lambda: SimpleNamespace(get_global_energy_mix_data=lambda: {"DEU": {}, "USA": {}})
    monkeypatch.setitem(sys.modules, "codecarbon", package)
    monkeypatch.setitem(sys.modules, "codecarbon.input", data)
    monkeypatch.setattr(Tracker, "made", [])


def test_a_session_tells_at_checkpoints_and_at_its_end(codecarbon, tmp_path):
    rows = tiny_stream(tmp_path, 1500)
    trainer = tiny_trainer(
        tmp_path, rows, callbacks=[RecordCallback()], track_carbon="deu", save_strategy="steps", save_steps=5,
        milestones="none", num_train_epochs=2,
    )  # fmt: skip
    trainer.train()
    (tracker,) = Tracker.made
    asked = tracker.options
    assert asked["country_iso_code"] == "DEU"
    assert (asked["save_to_file"], asked["save_to_api"], asked["electricitymaps_api_token"]) == (False, False, None)
    events = RunRecord.open(tmp_path / "run" / "record").events("carbon")
    assert len(events) >= 2
    assert [event["energy_kwh"] for event in events] == pytest.approx([0.001 * (2 + i) for i in range(len(events))])
    assert events[-1]["step"] == trainer.plan.total_steps
    carbon = RunRecord.open(tmp_path / "run" / "record").carbon()
    assert carbon["energy_kwh"] == events[-1]["energy_kwh"]
    assert (carbon["sessions"], carbon["measured"], carbon["country_name"]) == (1, 1, "Germany")


def test_sessions_are_summed_and_the_card_says_how_many_were_measured(tmp_path):
    record = synthetic_record(tmp_path / "record")
    record.append("carbon", step=120, words=1, **CARBON)
    assert record.carbon()["energy_kwh"] == CARBON["energy_kwh"]
    card = ModelCardRenderer(record).render()
    assert "It used 0.0125 kWh" in card
    assert "stands for 4.6 g of carbon dioxide with the electricity of Germany" in card
    assert "an estimate by codecarbon 3.3.2 for the whole machine of the main process." in card
    shown = ModelCard(card).data.to_dict()["co2_eq_emissions"]
    assert shown["emissions"] == pytest.approx(4.6)
    assert (shown["source"], shown["geographical_location"], shown["training_type"]) == (
        "codecarbon", "Germany", "pre-training",
    )  # fmt: skip
    record.append("resume", step=100, checkpoint="checkpoint-100")
    record.append("log", step=120, words=1, seconds=1.0)
    record.append("end", step=120, words=1, seconds=1.0, reason="the plan is done")
    assert "in 1 of its 2 sessions." in ModelCardRenderer(record).render()
    record.append("carbon", step=120, words=1, **CARBON)
    assert record.carbon()["energy_kwh"] == 2 * CARBON["energy_kwh"]
    assert "It used 0.025 kWh" in ModelCardRenderer(record).render()
    assert "kWh" not in ModelCardRenderer(record).render("chck_1M")


def test_without_the_package_or_for_an_unknown_country_one_sentence_says_so(codecarbon, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"--track_carbon XXX: codecarbon does not know .* such as DEU or USA"):
        BabyLMTrainingArguments(output_dir=str(tmp_path), track_carbon="XXX", use_cpu=True)
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    monkeypatch.setitem(sys.modules, "codecarbon.input", None)
    with pytest.raises(OptionError, match=r"needs the package codecarbon; install it with `pip install 'babylm_hf\[c"):
        BabyLMTrainingArguments(output_dir=str(tmp_path), track_carbon="DEU", use_cpu=True)
    assert BabyLMTrainingArguments(output_dir=str(tmp_path), use_cpu=True).track_carbon is None


@pytest.mark.slow
def test_the_real_package_measures_without_a_network(tmp_path, monkeypatch):
    """Needs the extra `carbon`, which `babylm_hf[dev]` has."""
    called = []
    monkeypatch.setattr("socket.socket.connect", lambda self, address: called.append(address))
    rows = tiny_stream(tmp_path, 1500)
    trainer = tiny_trainer(
        tmp_path, rows, callbacks=[RecordCallback()], track_carbon="DEU", milestones="none", num_train_epochs=2
    )
    trainer.train()
    carbon = RunRecord.open(tmp_path / "run" / "record").carbon()
    assert 0 < carbon["energy_kwh"] < 0.1
    assert 0 < carbon["emissions_kg"] < carbon["energy_kwh"]
    assert carbon["country_name"] == "Germany"
    assert called == []
