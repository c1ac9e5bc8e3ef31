"""The counter-based numbers: the published SplitMix64 sequence, independence of order, and statistical sanity."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.plan.counter import bits, bits_at, halves, mix64, row_keys, stream_id

# The first numbers of SplitMix64 seeded with 1234567 (the generator's well-known check values).
SPLITMIX_1234567 = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_a_key_starts_the_published_splitmix64_sequence():
    assert bits(np.array([1234567], np.uint64), 5)[0].tolist() == SPLITMIX_1234567


def test_the_finaliser_works_in_place_and_is_injective():
    values = np.arange(10_000, dtype=np.uint64)
    mixed = mix64(values)
    assert mixed is values
    assert len(np.unique(mixed)) == 10_000


def test_keys_do_not_depend_on_the_process():
    code = "from babylm_hf.plan.counter import row_keys; print(row_keys(3, 'selection', 2, [5])[0])"
    here = int(row_keys(3, "selection", 2, [5])[0])
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"}
    )
    assert int(there.stdout) == here
    assert stream_id("selection") != stream_id("corruption")


@given(
    st.integers(-(2**70), 2**70),
    st.integers(0, 2**40),
    st.lists(st.integers(0, 2**62), min_size=1, max_size=20, unique=True),
)
def test_a_rows_key_depends_on_that_row_alone(seed, pass_index, rows):
    together = row_keys(seed, "selection", pass_index, rows)
    assert len(set(together.tolist())) == len(rows)
    assert together.tolist() == [int(row_keys(seed, "selection", pass_index, [row])[0]) for row in rows]
    assert not np.array_equal(together, row_keys(seed, "selection", pass_index + 1, rows))
    assert not np.array_equal(together, row_keys(seed, "corruption", pass_index, rows))
    assert not np.array_equal(together, row_keys(seed + 1, "selection", pass_index, rows))


def test_the_callers_rows_are_not_changed():
    rows = np.arange(4, dtype=np.uint64)
    row_keys(0, "selection", 0, rows)
    assert rows.tolist() == [0, 1, 2, 3]


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_position_does_not_depend_on_the_length_of_its_row(short, more):
    keys = row_keys(1, "selection", 0, np.arange(3))
    longer = bits(keys, short + more)
    assert np.array_equal(bits(keys, short), longer[:, :short])
    rows, columns = np.nonzero(longer)
    assert np.array_equal(bits_at(keys[rows], columns), longer[rows, columns])


@pytest.mark.parametrize("shift", [0, 32])
def test_numbers_are_uniform_and_unrelated(shift):
    drawn = (bits(row_keys(9, "selection", 4, np.arange(4000)), 256) >> np.uint64(shift)) & np.uint64(0xFFFFFFFF)
    u = drawn.astype(np.float64) / 2**32
    n = u.size
    counts = np.histogram(u, 256, (0, 1))[0]
    chi2 = ((counts - n / 256) ** 2 / (n / 256)).sum()
    assert 165 < chi2 < 360  # 255 degrees of freedom: about +-4.5 standard deviations
    centred = (u - 0.5) * np.sqrt(12)
    for a, b in [(centred[:, 1:], centred[:, :-1]), (centred[1:], centred[:-1])]:
        assert abs((a * b).mean()) * np.sqrt(a.size) < 4.5
    other = (bits(row_keys(9, "selection", 5, np.arange(4000)), 256) >> np.uint64(shift)) & np.uint64(0xFFFFFFFF)
    again = (other.astype(np.float64) / 2**32 - 0.5) * np.sqrt(12)
    assert abs((centred * again).mean()) * np.sqrt(n) < 4.5


def test_halves_are_the_two_halves_of_each_number_whatever_the_length():
    keys = row_keys(0, "selection", 0, np.arange(5))
    numbers, found = bits(keys, 4), halves(keys, 7)
    assert found.shape == (5, 7)
    low, high = numbers & np.uint64(2**32 - 1), numbers >> np.uint64(32)
    assert np.array_equal(found, np.stack([low, high], axis=-1).reshape(5, 8)[:, :7])
    assert np.array_equal(halves(keys, 3), found[:, :3])
