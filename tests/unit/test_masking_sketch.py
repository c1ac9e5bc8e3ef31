"""Count-Min and Space-Saving: the specification's golden vectors, and what both promise of any stream."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.errors import OptionError, ResumeError
from babylm_hf.masking import CountMinSketch, SketchShape, SpaceSaving, TokenFeatures
from babylm_hf.masking.counting import ExactCounter, SketchCounter
from babylm_hf.masking.sketch import columns


@pytest.mark.parametrize(
    ("base", "key", "expected"),
    [
        (39, "running", [38438, 3957, 38042, 882]),
        (39, "the", [18234, 6192, 45161, 57836]),
        (40, "running", [3957, 38042, 882, 62956]),
        (41, "<ru", [5201, 26746, 2720, 53648]),
        (41, "ing", [24998, 14804, 33586, 25678]),
        (42, "<ru", [26746, 2720, 53648, 52480]),
    ],
)
def test_columns(base, key, expected):
    # Specification 7.1: run seed 2, so that the sketches begin at 19 x 2 + 1.
    assert columns([key], base, 4, 65_536).tolist() == [expected]


KEYS = dict(zip("acfde", columns(list("acfde"), 0, 2, 8), strict=True))


def test_columns_of_the_small_table():
    assert {key: places.tolist() for key, places in KEYS.items()} == {
        "a": [5, 5],
        "c": [5, 4],
        "f": [3, 4],
        "d": [3, 2],
        "e": [2, 0],
    }


@pytest.mark.parametrize("conservative", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_updates_of_the_small_table(conservative, batched):
    # Acceptance test 5: a+3, c+1, f+2.
    sketch = CountMinSketch(8, 2, conservative)
    places, counts = np.array([KEYS[k] for k in "acf"]), np.array([3, 1, 2])
    for part in [slice(None)] if batched else [slice(i, i + 1) for i in range(3)]:
        sketch.add(places[part], counts[part])
    found = {key: int(sketch.estimate(KEYS[key][None])[0]) for key in KEYS}
    assert found["a"] == 3
    assert found["f"] == 2
    assert found["d"] == found["e"] == 0
    assert found["c"] == (2 if conservative else 3)


def test_nothing_is_added_for_counts_of_nothing():
    sketch = CountMinSketch(8, 2)
    sketch.add(np.array([KEYS["a"], KEYS["e"]]), np.array([0, -3]))
    assert not sketch.table.any()
    with pytest.raises(OptionError, match="--sketch_width"):
        CountMinSketch(0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=12), max_size=4), st.booleans())
def test_a_sketch_never_underestimates_and_knows_no_order(batches, conservative):
    names = [f"k{i}" for i in range(31)]
    places = columns(names, 5, 3, 16)
    sketch, reverse, exact = CountMinSketch(16, 3, conservative), CountMinSketch(16, 3, conservative), np.zeros(31)
    for batch in batches:
        summed = Counter()
        for key, count in batch:
            summed[key] += count
        keys, counts = np.array(list(summed), np.int64), np.array(list(summed.values()), np.int64)
        sketch.add(places[keys], counts)
        reverse.add(places[keys[::-1]], counts[::-1])
        exact[keys] += counts
    assert np.array_equal(sketch.table, reverse.table)
    assert (sketch.estimate(places) >= exact).all()


def test_a_wide_sketch_is_exact():
    names = [f"word{i}" for i in range(300)]
    places = columns(names, 19, 4, 65_536)
    counts = np.random.default_rng(0).integers(0, 1000, 300)
    sketch = CountMinSketch()
    for part in np.array_split(np.arange(300), 3):
        sketch.add(places[part], counts[part])
    assert np.array_equal(sketch.estimate(places), counts)


def test_counters_agree():
    features = TokenFeatures.of(["running", "##ing", "ing", "banana", "the", "7"])
    exact, sketch = ExactCounter(features), SketchCounter(features, 39, 41, SketchShape())
    random = np.random.default_rng(0)
    for _ in range(3):
        counts = random.integers(0, 50, 6)
        exact.add(counts)
        sketch.add(counts)
    assert np.array_equal(exact.keys(), sketch.keys())
    assert np.array_equal(exact.grams(), sketch.grams())
    copy = SketchCounter(features, 39, 41, SketchShape())
    copy.load_state(sketch.state())
    assert np.array_equal(copy.grams(), sketch.grams())
    with pytest.raises(ResumeError, match="--counting"):
        copy.load_state(exact.state())
    with pytest.raises(ResumeError, match="--counting"):
        exact.load_state(sketch.state())
    with pytest.raises(OptionError, match="--count_decay"):
        sketch.add(counts, 0.5)


def test_counts_may_fade():
    counter = ExactCounter(TokenFeatures.of(["a", "b"]))
    counter.add(np.array([4, 0]))
    counter.add(np.array([1, 1]), 0.5)
    assert counter.counts.tolist() == [3.0, 1.0]


# ---- Space-Saving


def test_a_newcomer_takes_the_place_and_count_of_the_smallest():
    # Acceptance test 6: capacity 2, stream a, a, b, c.
    table = SpaceSaving(2)
    for item in (0, 0, 1, 2):
        table.add(item)
    assert table.counts == {0: 2, 2: 2}
    assert table.errors == {0: 0, 2: 1}


def test_of_equally_small_items_the_older_goes():
    table = SpaceSaving(3)
    for item in (7, 3, 5, 9):
        table.add(item)
    assert set(table.counts) == {3, 5, 9}
    table.add(3)
    table.add(1)
    assert set(table.counts) == {3, 9, 1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=200), st.integers(1, 8))
def test_the_guarantees_of_space_saving(stream, capacity):
    table, exact = SpaceSaving(capacity), Counter(stream)
    for item in stream:
        table.add(item)
    assert len(table.counts) == min(capacity, len(exact))
    assert sum(table.counts.values()) == len(stream)
    for item, count in table.counts.items():
        assert exact[item] <= count <= exact[item] + table.errors[item]
    for item, count in exact.items():
        assert item in table.counts or count <= min(table.counts.values())
    copy = SpaceSaving(capacity)
    copy.load_state(table.state())
    for item in [1, 2, 3, 99, 98]:
        table.add(item, 1.5)
        copy.add(item, 1.5)
    assert copy.counts == table.counts
    assert copy.errors == table.errors
