"""Noise schedules: the specification's tables, the exact and the published forms, strata, and finite weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.errors import OptionError
from babylm_hf.masking import MaskRows, NoiseRate, make_noise
from babylm_hf.masking.schedules import ndtri

PROFILES = pytest.mark.parametrize("reference", [False, True], ids=["project", "reference"])


def rows_of(n, places=None, step_rows=None, pass_index=0, step=0, total_steps=100, first=0):
    ids = np.zeros((n, 1), np.int64)
    example = np.arange(first, first + n)
    return MaskRows(ids, ids == 0, example, 0, pass_index, step, "", {}, total_steps, places, step_rows)


def spread(n, **options):
    """A step of n rows whose places are known."""
    return rows_of(n, np.arange(n), n, **options)


class At(NoiseRate):
    """A rate at given times."""

    def __init__(self, times, schedule, *arguments, **options):
        super().__init__(schedule, *arguments, **options)
        self.given = np.asarray(times, np.float64)

    def times(self, rows):
        return self.given


def values(times, name, softening=None, reference=False, share=0.0, parameters=None, **options):
    schedule = make_noise(name, reference=reference, **(parameters or {}))
    drawn = At(times, schedule, softening, reference=reference, **options).draw(
        rows_of(len(times), step=int(share * 100))
    )
    return drawn.rate, drawn.weight


# ---- section 7.1: closed forms


TABLE_7_1 = {
    "cosine": [
        (0.843566, 1.839166),
        (0.617317, 2.350863),
        (0.292893, 3.792238),
        (0.076120, 7.896926),
        (0.012312, 19.958860),
    ],
    "cosine_squared": [
        (0.975528, 0.497579),
        (0.853553, 1.301290),
        (0.5, 3.141593),
        (0.146447, 7.584476),
        (0.024472, 19.835235),
    ],
    "linear": [(0.1, 10), (0.25, 4), (0.5, 2), (0.75, 1.333333), (0.9, 1.111111)],
}


@PROFILES
@pytest.mark.parametrize("name", TABLE_7_1)
def test_table_of_closed_forms(name, reference):
    rate, weight = values([0.10, 0.25, 0.50, 0.75, 0.90], name, reference=reference)
    np.testing.assert_allclose(rate, [m for m, _ in TABLE_7_1[name]], atol=6e-7)
    # The published code adds 1e-8 to the rate in the denominator.
    np.testing.assert_allclose(weight, [w for _, w in TABLE_7_1[name]], rtol=2e-6 if reference else 1e-7, atol=6e-7)


def test_the_weight_as_a_function_of_the_rate():
    # Specification 2.3, last column.
    times = np.linspace(0.01, 0.99, 99)
    for name, formula in {
        "cosine": lambda m: np.pi / 2 * np.sqrt((2 - m) / m),
        "cosine_squared": lambda m: np.pi * np.sqrt((1 - m) / m),
        "linear": lambda m: 1 / m,
    }.items():
        rate, weight = values(times, name)
        np.testing.assert_allclose(weight, formula(rate), rtol=1e-9)


# ---- section 7.2: one mode


TABLE_7_2 = [
    (0.2, 0.12, 0.1, 0.353786, 0.683767, 1.932713, 2.721134, 2.826566),
    (0.2, 0.12, 0.5, 0.200000, 0.300795, 1.503977, 4.434015, 5.0),
    (0.2, 0.12, 0.9, 0.046214, 0.683767, 14.795732, 20.831427, 21.638552),
    (0.3, 0.10, 0.1, 0.428155, 0.569806, 1.330840, 2.207860, 2.335602),
    (0.3, 0.10, 0.5, 0.300000, 0.250663, 0.835543, 2.902604, 3.333333),
    (0.3, 0.10, 0.9, 0.171845, 0.569806, 3.315817, 5.500931, 5.819203),
]


@pytest.mark.parametrize("row", TABLE_7_2)
def test_table_of_one_mode_as_published(row):
    mean, deviation, time, rate, slope, *weights = row
    schedule = make_noise("gaussian", reference=True, mean=mean, deviation=deviation)
    found_rate, found_slope = schedule.at(np.array([time]))
    np.testing.assert_allclose([found_rate[0], found_slope[0]], [rate, slope], atol=6e-7)
    for softening, weight in zip((1.0, 0.1, 0.0), weights, strict=True):
        drawn = At([time], schedule, softening, reference=True).draw(rows_of(1))
        assert drawn.weight[0] == pytest.approx(weight, rel=5e-7)


def test_table_of_the_truncated_mode():
    # Specification 7.2, last lines: mu .3, sigma .1, eps 1e-3, Z = .998605.
    schedule = make_noise("gaussian", mean=0.3, deviation=0.1)
    assert schedule._mass[1] - schedule._mass[0] == pytest.approx(0.998605, abs=5e-7)
    rate, slope = schedule.at(np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(rate, [0.172557, 0.300175, 0.428235], atol=6e-7)
    np.testing.assert_allclose(slope, [0.563856, 0.250314, 0.569592], atol=6e-7)


# ---- section 7.3: two modes


def test_the_right_mode_and_the_mean_rate_over_the_run():
    schedule = make_noise("bimodal")
    shares = [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(
        [schedule.right_mean(s) for s in shares], [0.4, 0.4995, 0.5771, 0.6374, 0.6845], atol=5e-5
    )
    np.testing.assert_allclose(
        [schedule.mean_rate(s) for s in shares], [0.2320, 0.2718, 0.3028, 0.3270, 0.3458], atol=6e-5
    )
    whole = np.linspace(0, 1, 100_001)
    assert np.mean([schedule.right_mean(s) for s in whole[::100]]) == pytest.approx(0.5655, abs=1e-3)
    assert np.mean([schedule.mean_rate(s) for s in whole[::100]]) == pytest.approx(0.2982, abs=2e-4)
    assert schedule.right_mean(7.0) == schedule.right_mean(1.0)


@pytest.mark.parametrize(
    ("share", "rate", "inverse", "soft", "published", "published_soft"),
    [
        (0.0, 0.12, 0.0835238, 6.50129, 0.0501326, 6.17776),
        (0.0, 0.2, 10.9103, 6.34971, None, None),
        (0.0, 0.4, 0.501326, 2.33320, 0.200530, 2.12891),
        (1.0, 0.12, 0.0835543, None, None, None),
        (1.0, 0.4, 278.917, 4.39023, None, None),
        (1.0, 0.684454, 0.501326, 1.36354, None, None),
        (1.0, 0.8, 1.42267, 1.29485, None, None),
    ],
)
def test_table_of_mixture_weights(share, rate, inverse, soft, published, published_soft):
    schedule = make_noise("bimodal")
    found = 1 / schedule.density(np.array([rate]), share)[0]
    assert found == pytest.approx(inverse, rel=2e-5)
    if soft is not None:
        assert found**0.1 / rate == pytest.approx(soft, rel=3e-6)
    if published is not None:
        # The published weight is that of the mode drawn: at its centre, t = .5.
        reference = make_noise("bimodal", reference=True)
        coin = np.array([0.0 if rate == 0.12 else 0.9])
        found_rate, slope = reference.at(np.array([0.5]), share, coin)
        assert found_rate[0] == pytest.approx(rate)
        assert slope[0] == pytest.approx(published, rel=3e-6)
        assert slope[0] ** 0.1 / rate == pytest.approx(published_soft, rel=3e-6)


def test_the_mixture_is_drawn_by_its_quantiles():
    schedule = make_noise("bimodal")
    time = np.array([0.3, 0.6 + 0.2, 0.6 * 0.9, 0.6 + 0.4 * 0.1])
    rate, slope = schedule.at(time, 0.0)
    z = ndtri(np.array([0.5, 0.5, 0.9, 0.1]))
    np.testing.assert_allclose(rate, [0.12, 0.4, 0.12 + 0.02 * z[2], 0.4 + 0.08 * z[3]])
    np.testing.assert_allclose(slope, 1 / schedule.density(rate, 0.0))


# ---- acceptance tests


@pytest.mark.parametrize(
    ("name", "share", "mean"),
    [
        ("linear", 0.0, 0.5),
        ("cosine_squared", 0.0, 0.5),
        ("cosine", 0.0, 0.36338),
        ("bimodal", 0.0, 0.2320),
        ("bimodal", 0.5, 0.3028),
        ("bimodal", 0.99999, 0.3458),
    ],
)
@PROFILES
def test_mean_mask_rates(name, share, mean, reference):
    # Acceptance test 1, at 1e5 draws.
    rate = NoiseRate(make_noise(name, reference=reference), reference=reference)
    drawn = rate.draw(spread(100_000, step=int(share * 100_000), total_steps=100_000))
    assert drawn.rate.mean() == pytest.approx(mean, abs=0.003)
    assert rate.at(int(share * 100_000), 100_000) == pytest.approx(mean, abs=6e-5)


@pytest.mark.parametrize("name", ["linear", "cosine", "cosine_squared", "gaussian"])
@PROFILES
def test_slopes_are_derivatives(name, reference):
    # Acceptance test 2.
    schedule = make_noise(name, reference=reference)
    time, h = np.linspace(0.02, 0.98, 97), 1e-6
    rate, slope = schedule.at(time)
    inside = (rate > 0.002) & (rate < 0.998)
    difference = np.abs(schedule.at(time + h)[0] - schedule.at(time - h)[0]) / (2 * h)
    np.testing.assert_allclose(slope[inside], difference[inside], rtol=1e-6)


def test_the_slope_of_the_mixture_is_that_of_its_quantile():
    # The quantile of the mixture, inverted numerically on a fine grid.
    schedule = make_noise("bimodal")
    grid = np.linspace(0.001, 1, 400_001)
    q = schedule.density(grid, 0.5)
    cumulative = np.concatenate([[0], np.cumsum((q[1:] + q[:-1]) / 2 * np.diff(grid))])
    for rate in (0.1, 0.12, 0.15, 0.5, 0.6, 0.7):
        time, h = np.interp(rate, grid, cumulative), 1e-5
        quantile = np.interp([time - h, time + h], cumulative, grid)
        assert 1 / schedule.density(np.array([rate]), 0.5)[0] == pytest.approx(
            float(np.diff(quantile)[0]) / (2 * h), rel=2e-3
        )


@PROFILES
@pytest.mark.parametrize("name", ["linear", "cosine", "cosine_squared"])
def test_weight_times_rate_has_mean_1(name, reference):
    # Acceptance test 3, and the constant-logit model of 7: with a loss of c at every target, the expectation is c.
    drawn = NoiseRate(make_noise(name), reference=reference).draw(spread(82_000))
    assert np.mean(drawn.weight * drawn.rate) == pytest.approx(1, abs=1e-5)


def test_weight_times_rate_of_the_truncated_mode_has_mean_1_minus_eps():
    # Acceptance test 3. The slopes are huge where no draw ever comes, so the integral is taken on a grid that is fine
    # there: t = 1 / (1 + e^-x).
    x = np.linspace(-33, 33, 2_000_001)
    time = 1 / (1 + np.exp(-x))
    schedule = make_noise("gaussian", mean=0.5, deviation=0.2)
    _, slope = schedule.at(time)
    integral = np.trapezoid(slope * time * (1 - time), x)
    assert integral == pytest.approx(1 - 1e-3, abs=2e-4)


MIDDLES = (np.arange(82_000) + 0.5) / 82_000


@PROFILES
def test_a_narrow_mode_misses_much_of_the_objective(reference):
    # Specification 2.5: E[W m] was .71 for N(.3, .1) in 82k draws, although it should be 1: the far tails never come.
    # At the middles of as many strata it is .765. (Where the published code clamps a rate to 0, nothing is masked.)
    rate, slope = make_noise("gaussian", reference=reference).at(MIDDLES)
    clamped = rate < 1e-7
    assert np.where(clamped, 0, slope).mean() == pytest.approx(0.71, abs=0.06)
    assert clamped.mean() == pytest.approx(0.00135 if reference else 0, abs=1e-5)


def test_two_modes_as_published_and_as_a_mixture():
    # Specification 2.6: as published E[W m] is .37 to .39 at gamma 1 in 82k draws (.41 at the middles), per micro-batch
    # of 32 rows .25 in the median and 2.6 at the 99th percentile; at gamma .1 it is .828, as a mixture .887, and the
    # left mode's part .566 against .556.
    published, mixture = make_noise("bimodal", reference=True), make_noise("bimodal")
    left, right = (published.at(MIDDLES, 0.0, np.full(82_000, coin))[1] for coin in (0.0, 0.9))
    assert 0.6 * left.mean() + 0.4 * right.mean() == pytest.approx(0.38, abs=0.03)
    soft = 0.6 * (left**0.1).mean(), 0.4 * (right**0.1).mean()
    assert sum(soft) == pytest.approx(0.828, abs=6e-4)
    assert soft[0] / sum(soft) == pytest.approx(0.566, abs=6e-4)
    _, slope = mixture.at(MIDDLES, 0.0)
    assert (slope**0.1).mean() == pytest.approx(0.887, abs=2e-3)
    assert (slope**0.1)[MIDDLES < 0.6].sum() / (slope**0.1).sum() == pytest.approx(0.556, abs=8e-4)
    assert slope.mean() > 0.7
    random = np.random.default_rng(0)
    times = (np.arange(32) + random.random((20_000, 32))) / 32
    batches = published.at(times.reshape(-1), 0.0, random.random(times.size))[1].reshape(-1, 32).mean(axis=1)
    assert np.median(batches) == pytest.approx(0.25, abs=0.01)
    assert np.quantile(batches, 0.99) == pytest.approx(2.6, abs=0.3)


@pytest.mark.parametrize("name", ["linear", "cosine", "cosine_squared"])
def test_every_exact_schedule_has_the_same_objective(name):
    # Specification 2.4: the weight integrates Binomial(k; L, m) to 1 / k, whatever the schedule; L = 5.
    time = (np.arange(400_000) + 0.5) / 400_000
    rate, weight = values(time, name, time_margin=0.0)
    for k in range(1, 6):
        chance = math.comb(5, k) * rate**k * (1 - rate) ** (5 - k)
        assert np.mean(weight * chance) == pytest.approx(1 / k, rel=1e-4)
    # The toy check of 2.4: L = 5, a loss of 1 + .1 k at each of k targets: 6.5.
    total = sum(
        np.mean(weight * math.comb(5, k) * rate**k * (1 - rate) ** (5 - k)) * k * (1 + 0.1 * k) for k in range(1, 6)
    )
    assert total == pytest.approx(6.5, rel=1e-4)


@pytest.mark.parametrize(("name", "deviation"), [("cosine", 0.0374), ("cosine_squared", 0.0428), ("linear", 0.0551)])
def test_schedules_differ_in_their_variance(name, deviation):
    # Specification 2.4: the standard deviation of the loss of 32 rows of 64 tokens at a constant loss of 1.
    random = np.random.default_rng(0)
    batches = 20_000
    # Without a margin the variance of the linear schedule has no bound, and every sample of it another value.
    rate = NoiseRate(make_noise(name), stratify="batch")
    drawn = [rate.draw(rows_of(32, first=32 * i)) for i in range(batches)]
    rates = np.array([d.rate for d in drawn])
    weights = np.array([d.weight for d in drawn])
    loss = (weights * random.binomial(64, rates)).sum(axis=1) / (32 * 64)
    assert loss.mean() == pytest.approx(1, abs=0.002)
    assert loss.std() == pytest.approx(deviation, rel=0.08 if name == "linear" else 0.02)


ALL = [(n, r) for n in ("linear", "cosine", "cosine_squared", "gaussian", "bimodal") for r in (False, True)]


@pytest.mark.parametrize(("name", "reference"), ALL)
@pytest.mark.parametrize("softening", [1.0, None])
def test_every_draw_is_finite(name, reference, softening):
    # Acceptance test 5: the ends of time, and 1e6 draws of each (1e7 over all).
    ends = np.array([0.0, 1e-300, 1e-17, 1e-9, 0.6 - 1e-16, 0.6, 0.5, 1 - 1e-9, 1 - 1e-16, 1.0])
    for margin in (0.0, None):
        rate, weight = values(ends, name, softening, reference, time_margin=margin)
        assert np.isfinite(rate).all()
        assert np.isfinite(weight.astype(np.float32)).all()
        assert (rate >= 0).all()
        assert (rate <= 1).all()
    drawn = NoiseRate(make_noise(name, reference=reference), softening, reference=reference).draw(spread(10**6))
    assert np.isfinite(drawn.weight.astype(np.float32)).all()
    assert drawn.rate.min() >= 0
    assert drawn.rate.max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.floats(0.02, 0.98), st.floats(1e-3, 5), st.floats(0, 1), st.floats(0, 2))
def test_any_mode_is_finite(mean, deviation, time, softening):
    for reference in (False, True):
        parameters = {"mean": mean, "deviation": deviation}
        rate, weight = values([time, 0.0, 1.0], "gaussian", softening, reference, parameters=parameters)
        assert np.isfinite(weight).all()
        assert (rate >= 0).all()
        assert (rate <= 1).all()


# ---- strata


def test_times_are_spread_over_the_whole_step_however_it_is_cut():
    # Acceptance test 15.
    rate = NoiseRate(make_noise("linear"), time_margin=0.0)
    whole = rate.draw(spread(1024)).rate
    assert np.array_equal(np.floor(whole * 1024), np.arange(1024))
    for world, accumulation in [(1, 4), (2, 3), (8, 1)]:
        for rank in range(world):
            for part in np.array_split(np.arange(rank, 1024, world), accumulation):
                mine = MaskRows(np.zeros((len(part), 1), np.int64), np.ones((len(part), 1), bool), part, 0, 0, 0)
                mine = MaskRows(**{**vars(mine), "places": part, "step_rows": 1024})
                assert np.array_equal(rate.draw(mine).rate, whole[part])


def test_times_are_independent_where_places_are_not_known_or_not_wanted():
    for rate, rows in [
        (NoiseRate(make_noise("linear")), rows_of(4000)),
        (NoiseRate(make_noise("linear"), stratify="none"), spread(4000)),
    ]:
        times = rate.times(rows)
        assert not np.array_equal(np.floor(times * 4000), np.arange(4000))
        assert abs(times.mean() - 0.5) < 4 * 0.2887 / 4000**0.5
        assert 0.2 < np.abs(np.diff(times)).mean() < 0.45


def test_the_published_code_spreads_times_over_each_batch():
    times = NoiseRate(make_noise("linear"), reference=True).times(rows_of(32, np.arange(100, 132), 1024))
    assert np.array_equal(np.floor(times * 32), np.arange(32))


def test_times_are_fresh_in_every_pass():
    rate = NoiseRate(make_noise("cosine"))
    assert not np.array_equal(rate.draw(spread(64)).rate, rate.draw(spread(64, pass_index=1)).rate)
    assert np.array_equal(rate.draw(spread(64)).rate, rate.draw(spread(64)).rate)


# ---- options


def test_a_largest_weight():
    _, weight = values([0.001, 0.5], "linear", max_weight=50.0)
    np.testing.assert_allclose(weight, [50, 2])


def test_softening():
    time = [0.1, 0.5, 0.9]
    rate, exact = values(time, "cosine")
    _, flat = values(time, "cosine", 0.0)
    _, half = values(time, "cosine", 0.5)
    np.testing.assert_allclose(flat, 1 / rate)
    np.testing.assert_allclose(half, np.sqrt(exact * flat), rtol=1e-12)
    assert NoiseRate(make_noise("bimodal")).softening == 0.1
    assert NoiseRate(make_noise("cosine")).softening == 1.0


def test_a_moving_schedule_asks_for_the_length_of_the_run():
    with pytest.raises(OptionError, match="how many steps"):
        NoiseRate(make_noise("bimodal")).draw(rows_of(3, total_steps=None))
    NoiseRate(make_noise("cosine")).draw(rows_of(3, total_steps=None))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_noise("sine"), "--noise_schedule 'sine'"),
        (lambda: make_noise("cosine", mean=0.3), "no parameters"),
        (lambda: make_noise("gaussian", right_last=0.3), "does not have"),
        (lambda: make_noise("gaussian", mean=1.2), "--noise_mean"),
        (lambda: make_noise("gaussian", deviation=0.0), "--noise_std"),
        (lambda: make_noise("bimodal", left_share=1.0), "--left_share"),
        (lambda: make_noise("bimodal", right_last=1.0), "--right_mean_last"),
        (lambda: make_noise("bimodal", pace=-1), "--right_pace"),
        (lambda: NoiseRate(make_noise("cosine"), -0.5), "--softening"),
        (lambda: NoiseRate(make_noise("cosine"), 0.5, reference=True), "no softening"),
        (lambda: NoiseRate(make_noise("cosine"), stratify="row"), "stratify"),
        (lambda: NoiseRate(make_noise("cosine"), time_margin=0.5), "--time_margin"),
        (lambda: NoiseRate(make_noise("cosine"), max_weight=0), "--max_loss_weight"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(OptionError, match=says):
        make()


@pytest.mark.parametrize(("name", "reference"), ALL)
def test_descriptions_are_for_the_record(name, reference):
    described = json.loads(json.dumps(NoiseRate(make_noise(name, reference=reference), reference=reference).describe()))
    assert described["schedule"] == name
    assert described["mean_rate"] > 0.2
