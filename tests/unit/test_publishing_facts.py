"""A card states the schedule of this run, or none, never another one's formula."""

from __future__ import annotations

import copy

import pytest
from synthetic_record import MANIFEST, synthetic_record

from babylm_hf.masking import CosineDecayRate, NoiseRate, StepRate, make_noise
from babylm_hf.publishing import ModelCardRenderer
from babylm_hf.publishing.facts import facts_of

OTHERS = [CosineDecayRate(0.4, 0.25), StepRate.parse("0:0.4,0.5:0.15"), NoiseRate(make_noise("cosine"))]


def _card(folder, rate):
    method = copy.deepcopy(MANIFEST["method"])
    method["parameters"]["rate"] = rate
    return ModelCardRenderer(synthetic_record(folder / "record", method=method)).render()


@pytest.mark.parametrize("rate", OTHERS, ids=lambda rate: type(rate).__name__)
def test_another_schedule_is_not_given_the_linear_formula(tmp_path, rate):
    assert r"\frac{k}{T}" not in _card(tmp_path, rate.describe())


def test_a_schedule_nobody_here_knows_is_named_and_given_no_formula(tmp_path):
    card = _card(tmp_path, {"name": "a new one", "pace": 3})
    assert 'follows the schedule "a new one"' in card
    assert r"\frac{k}{T}" not in card


def test_linear_and_constant_rates_have_their_own_words(tmp_path):
    linear = _card(tmp_path / "a", {"name": "linear decay", "mlm_prob": 0.4, "mask_decay": 0.25})
    constant = _card(tmp_path / "b", {"name": "constant", "mlm_prob": 0.15})
    assert r"\frac{k}{T}" in linear
    assert r"\frac{k}{T}" not in constant
    assert "At every step 15.0 %" in constant


@pytest.mark.parametrize(("step", "name", "sessions"), [(49, "chck_1M", 2), (50, "chck_1M", 1), (50, "chck_2M", 2)])
def test_a_milestone_knows_of_the_resumes_before_it_was_saved(tmp_path, step, name, sessions):
    record = synthetic_record(tmp_path / "record")
    events = record.events()
    again = [event for event in events if event.get("step", 0) > step or event["kind"] == "end"]
    record.append("resume", step=step, checkpoint=f"checkpoint-{step}")
    for event in again:
        record.append(**{key: value for key, value in event.items() if key != "time"})
    assert facts_of(record, name)["environment"]["sessions"] == sessions
