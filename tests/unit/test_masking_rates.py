"""Mask rates: their values at the steps the specification lists, and what they refuse."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.errors import OptionError
from babylm_hf.masking import ConstantRate, CosineDecayRate, LinearDecayRate, StepRate, make_rate


def test_the_papers_schedule_at_the_first_the_warm_up_and_the_last_step():
    # Specification, section 2.2: p_k = p0 - k D / T, last used value p0 - D (T-1)/T. T = 8325, W = 83.
    rate = LinearDecayRate(0.40, 0.25)
    assert rate.at(0, 8325) == 0.40
    assert rate.at(83, 8325) == pytest.approx(0.40 - 0.25 * 83 / 8325, abs=1e-15)
    assert rate.at(8324, 8325) == pytest.approx(0.40 - 0.25 * 8324 / 8325, abs=1e-15)
    assert rate.at(8324, 8325) == pytest.approx(0.15003, abs=1e-6)
    rate.validate(8325)


def test_a_constant_rate():
    assert [ConstantRate(0.15).at(k) for k in (0, 10**6)] == [0.15, 0.15]
    assert isinstance(make_rate(0.15, 0.0), ConstantRate)
    assert isinstance(make_rate(0.4, 0.25), LinearDecayRate)
    assert json.loads(json.dumps(make_rate(0.4, 0.25).describe())) == {
        "name": "linear decay",
        "mlm_prob": 0.4,
        "mask_decay": 0.25,
    }


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_first_rate_outside_the_open_interval_is_refused(rate):
    with pytest.raises(OptionError, match="--mlm_prob"):
        ConstantRate(rate)
    with pytest.raises(OptionError, match="--mlm_prob"):
        LinearDecayRate(rate, 0.1)


@pytest.mark.parametrize("decay", [0.41, 1, -0.61, float("nan"), float("inf")])
def test_a_decay_that_leaves_the_interval_is_refused(decay):
    with pytest.raises(OptionError, match="--mask_decay"):
        LinearDecayRate(0.4, decay)


def test_a_decay_to_exactly_nothing_is_judged_by_the_steps_that_exist():
    rate = LinearDecayRate(0.4, 0.4)
    rate.validate(1000)  # the last step is used at 0.0004
    assert rate.at(999, 1000) > 0


def test_a_rate_that_needs_the_length_of_the_run_says_so():
    with pytest.raises(OptionError, match="how many steps"):
        LinearDecayRate(0.4, 0.25).at(0, None)


@given(st.floats(0.01, 0.99), st.floats(-1, 1), st.integers(1, 5000))
def test_validation_and_every_step_agree(initial, decay, total):
    try:
        rate = LinearDecayRate(initial, decay)
        rate.validate(total)
    except OptionError:
        return
    assert all(0 < rate.at(k, total) < 1 for k in range(0, total, max(1, total // 50)))
    assert 0 < rate.at(total - 1, total) < 1


def test_a_cosine_decay_begins_and_ends_where_the_linear_one_does():
    rate = make_rate(0.4, 0.25, "cosine")
    assert isinstance(rate, CosineDecayRate)
    assert rate.at(0, 1000) == 0.4
    assert rate.at(250, 1000) == pytest.approx(0.4 - 0.25 * (1 - math.sqrt(0.5)) / 2)
    assert rate.at(500, 1000) == pytest.approx(0.275)
    assert rate.at(999, 1000) == pytest.approx(0.15, abs=1e-6)
    rates = [rate.at(k, 1000) for k in range(1000)]
    assert rates == sorted(rates, reverse=True)
    assert sum(rates) / 1000 == pytest.approx(sum(make_rate(0.4, 0.25).at(k, 1000) for k in range(1000)) / 1000)


def test_a_rate_by_steps():
    rate = make_rate(0.15, 0.0, "0:0.4,0.5:0.3,0.8:0.15")
    assert isinstance(rate, StepRate)
    assert [rate.at(k, 10) for k in range(10)] == [0.4] * 5 + [0.3] * 3 + [0.15] * 2
    rate.validate(10)
    assert json.loads(json.dumps(rate.describe()))["mask_schedule"] == [[0, 0.4], [0.5, 0.3], [0.8, 0.15]]


@pytest.mark.parametrize(
    "text", ["0:0.4,0.5", "0:a", "0.1:0.4", "0:0.4,0.5:0.3,0.5:0.2", "0:0.4,1:0.2", "0:1.4", "0:0", "falling", ":"]
)
def test_schedules_that_cannot_be_read(text):
    with pytest.raises(OptionError, match="--mask_schedule"):
        make_rate(0.15, 0.1, text)


def test_every_moving_rate_asks_for_the_length_of_the_run():
    for rate in (CosineDecayRate(0.4, 0.25), StepRate.parse("0:0.4,0.5:0.3")):
        with pytest.raises(OptionError, match="how many steps"):
            rate.at(3, None)
