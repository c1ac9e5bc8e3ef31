"""Figures: drawn from the record alone, always the same, for every run that has something to draw."""

from __future__ import annotations

import struct

import pytest
import synthetic_record

from babylm_hf.publishing import RunRecord
from babylm_hf.publishing.figures import drawings
from babylm_hf.publishing.measurements import curves, measurement

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def events(tmp_path):
    return synthetic_record.synthetic_record(tmp_path).events()


def test_the_same_record_gives_the_same_bytes(events):
    first, second = ([(d.name, d.draw()) for d in drawings(curves(events, {"unigram model": 5.4}))] for _ in range(2))
    assert first == second
    assert [name for name, _ in first] == ["learning_curve", "masking"]
    for _, data in first:
        assert data.startswith(PNG)
        width, height = struct.unpack(">II", data[16:24])
        assert width == 1152
        assert 800 < height < 1000
        assert b"atplotlib" not in data, "the version of the library is no fact of the run"


def test_curves_are_what_the_events_say(events):
    found = curves(events, {"unigram model": 5.4})
    assert (found.unit, found.total) == ("words", 2_400_000)
    assert found.milestones == [("chck_1M", 1_000_000), ("chck_2M", 2_000_000)]
    held_out = found.held_out["Held-out text"]
    assert held_out.x == [0, 1_000_000, 2_000_000, 2_400_000]
    assert held_out.y == pytest.approx([7.5, 7.5 - 4 * 50 / 120, 7.5 - 4 * 100 / 120, 3.5])
    pairs = found.pairs["Minimal pairs of the toy language"]
    assert pairs.y[-1] == pytest.approx(0.65)
    assert set(found.phenomena["Minimal pairs of the toy language"]) == set(synthetic_record.PHENOMENA)
    assert found.weights["highest"].y[-1] == pytest.approx(1.5)
    assert found.weights["top"].y[-1] == pytest.approx(1.25), "mean of the listed pieces, over the mean weight"
    assert len(found.rate) == 12


def test_alternative_texts_tell_the_numbers(events):
    learning, masking = drawings(curves(events))
    assert "loss from 7.5 to 3.5 nats per target" in learning.alt
    assert "accuracy from 50.0 % to 65.0 %" in learning.alt
    assert "38.1 % at first, 15.2 % at last" in masking.alt


def test_milestones_far_apart_and_close_together_can_be_drawn(tmp_path):
    record = RunRecord.create(tmp_path, {})
    for step in range(1, 101):
        record.append("milestone", step=step, words=step * 10**6, name=f"chck_{step}M")
        record.append("evaluation", step=step, words=step * 10**6, task="held_out", metrics={"eval_loss": 9 / step})
    (drawing,) = drawings(curves(record.events()))
    assert drawing.draw().startswith(PNG)


def test_a_run_without_word_counts_is_drawn_over_steps(tmp_path):
    record = RunRecord.create(tmp_path, {})
    for step in (1, 2, 3):
        record.append("log", step=step, words=0, loss=None if step == 2 else 4.0 - step)
    found = curves(record.events())
    assert (found.unit, found.training.x) == ("steps", [1, 3])
    (drawing,) = drawings(found)
    assert "over 3 steps" in drawing.alt
    assert drawing.draw().startswith(PNG)


def test_nothing_to_draw(tmp_path):
    record = RunRecord.create(tmp_path, {})
    assert drawings(curves(record.events())) == []
    record.append("log", step=1, words=1, loss=1.0)
    assert drawings(curves(record.events())) == []


def test_parts_of_the_held_out_text_have_curves_of_their_own():
    event = {
        "kind": "evaluation",
        "step": 1,
        "task": "held_out",
        "metrics": {"eval_childes_loss": 2.0, "eval_childes_n": 1},
    }
    found = measurement(event)
    assert (found.task, found.title) == ("held_out_childes", "Held-out text (childes)")
    assert found.scores == {"loss": 2.0, "n": 1}
    assert not found.is_pairs
