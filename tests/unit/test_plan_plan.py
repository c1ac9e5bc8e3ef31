"""The run plan: every row once a pass, even steps, exact words, milestones by words, sharding without loss."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.plan import PlanSampler, RunPlan, parse_curriculum


class PackedRows:
    """A packed corpus with known words: token i starts a word where `starts[i]` is 1."""

    def __init__(self, num_tokens: int, seed: int = 0, fingerprint: str = "toy") -> None:
        self.num_tokens = num_tokens
        self.starts = (np.random.default_rng(seed).random(num_tokens) < 0.6).astype(np.int64)
        self.fingerprint = fingerprint

    def num_rows(self, seq_length: int) -> int:
        return -(-self.num_tokens // seq_length)

    def row_words(self, seq_length: int) -> np.ndarray:
        return np.add.reduceat(self.starts, np.arange(0, self.num_tokens, seq_length))


def make_plan(num_tokens=10_000, spec="0:16,2:64", passes=3, batch=32, seed=5, **options):
    rows = PackedRows(num_tokens)
    return rows, RunPlan.build(rows, parse_curriculum(spec, passes, batch), seed, **options)


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 3000), st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**40), st.booleans())
def test_every_row_is_shown_once_a_pass_in_even_steps(num_tokens, passes, batch, seed, two_lengths):
    spec = "0:16,1:64" if two_lengths and passes > 1 else "16"
    rows, plan = make_plan(num_tokens, spec, passes, batch, seed)
    shown = {}
    words = 0
    for k in range(plan.total_steps):
        step = plan.step(k)
        shown.setdefault((step.pass_index, step.seq_length), []).append(step.rows)
        assert step.index == k
        assert step.words == rows.row_words(step.seq_length)[step.rows].sum()
        assert step.words_before == words
        words += step.words
        assert step.words_after == words == plan.words_after[k]
    assert [p for p, _ in shown] == list(range(passes))
    for (_, length), steps in shown.items():
        assert sorted(np.concatenate(steps).tolist()) == list(range(rows.num_rows(length)))
        sizes = [len(s) for s in steps]
        assert max(sizes) - min(sizes) <= 1
    assert plan.total_words == passes * rows.starts.sum() == passes * plan.corpus_words


def test_passes_and_seeds_have_their_own_order():
    _, plan = make_plan(spec="16")
    _, other = make_plan(spec="16", seed=6)
    per_pass = plan.total_steps // 3
    orders = [
        np.concatenate([p.step(k).rows for k in range(i * per_pass, (i + 1) * per_pass)])
        for p, i in [(plan, 0), (plan, 1), (other, 0)]
    ]
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], np.arange(len(orders[0])))


def test_a_step_does_not_depend_on_what_was_asked_before():
    _, plan = make_plan()
    forwards = [plan.step(k).rows.tolist() for k in range(plan.total_steps)]
    assert [plan.step(k).rows.tolist() for k in reversed(range(plan.total_steps))] == forwards[::-1]
    assert pickle.loads(pickle.dumps(plan)).step(7).rows.tolist() == forwards[7]
    taken = plan.step(7).rows
    taken[:] = -1
    assert plan.step(7).rows.tolist() == forwards[7]
    for index in (-1, plan.total_steps):
        with pytest.raises(IndexError):
            plan.step(index)


# ---- milestones


def test_milestones_fall_at_the_first_step_that_reaches_them_across_a_length_switch():
    targets = [500, 4000, 11_000, 15_000, 20_000]
    rows, plan = make_plan(milestones=targets)
    total = 3 * rows.starts.sum()
    assert [m.words for m in plan.milestones] + list(plan.unreached) == targets
    assert plan.unreached  # 3 passes of about 6000 words cannot reach 20 000
    assert all(w < total for w in targets[:4])
    for milestone in plan.milestones:
        assert plan.words_after[milestone.step - 1] == milestone.words_seen >= milestone.words
        assert milestone.step == 1 or plan.words_after[milestone.step - 2] < milestone.words
        assert milestone.name == f"chck_{milestone.words // 1000}K" or milestone.words == 500
    # The last two lie behind the switch to 64 tokens at pass 2.
    assert plan.step(plan.milestones[-1].step - 1).seq_length == 64


def test_a_target_met_to_the_word_is_met_at_that_step():
    _, plan = make_plan()
    for k in (0, 5, plan.total_steps - 1):
        words = int(plan.words_after[k])
        milestones = make_plan(milestones=[words, words + 1])[1].milestones
        assert (milestones[0].step, milestones[0].words_seen) == (k + 1, words)
        assert milestones[1].step == min(k + 2, plan.total_steps)


def test_a_target_within_half_a_step_of_the_end_counts_as_reached_at_the_last_step():
    _, plan = make_plan(spec="16", passes=2)
    last = plan.step(plan.total_steps - 1).words
    total = plan.total_words
    _, near = make_plan(spec="16", passes=2, milestones=[total + last // 2, total + last // 2 + 2])
    assert [(m.words, m.step, m.words_seen) for m in near.milestones] == [(total + last // 2, plan.total_steps, total)]
    assert near.unreached == (total + last // 2 + 2,)


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 17_000), st.integers(1, 40))
def test_max_words_is_never_exceeded_and_is_itself_a_reached_milestone(max_words, batch):
    rows = PackedRows(10_000)
    stages = parse_curriculum("0:16,2:64", 3, batch)
    full = RunPlan.build(rows, stages, 5)
    if 2 * max_words <= full.words_after[0]:
        with pytest.raises(OptionError, match="--max_words"):
            RunPlan.build(rows, stages, 5, max_words=max_words)
        return
    plan = RunPlan.build(rows, stages, 5, milestones=[max_words], max_words=max_words)
    assert plan.total_words <= max_words
    assert [m.words for m in plan.milestones] == [max_words]
    assert plan.milestones[0].step == plan.total_steps
    whole = plan.total_steps - 1
    assert plan.words_after[:whole].tolist() == full.words_after[:whole].tolist()
    last, uncut = plan.step(whole), full.step(whole)
    assert uncut.rows[: len(last.rows)].tolist() == last.rows.tolist()
    assert rows.row_words(last.seq_length)[last.rows].sum() == last.words
    assert plan.num_passes == last.pass_index + 1


def test_max_steps():
    _, full = make_plan()
    _, plan = make_plan(max_steps=7)
    assert plan.total_steps == 7
    assert plan.num_passes == 1
    assert plan.words_after.tolist() == full.words_after[:7].tolist()
    assert make_plan(max_steps=10**9)[1].total_steps == full.total_steps
    with pytest.raises(OptionError, match="--max_steps is 0"):
        make_plan(max_steps=0)


def test_a_source_without_words_makes_a_plan_without_milestones():
    class Wordless(PackedRows):
        def row_words(self, seq_length):
            return np.zeros(self.num_rows(seq_length), np.int64)

    plan = RunPlan.build(Wordless(1000), parse_curriculum("16", 2, 8), 0, milestones=[1, 100])
    assert plan.milestones == ()
    assert plan.unreached == (1, 100)


def test_a_corpus_shorter_than_one_row_is_refused():
    with pytest.raises(CorpusError, match="63 tokens, fewer than one row of 64"):
        RunPlan.build(PackedRows(63), parse_curriculum("0:16,1:64", 2, 8), 0)
    assert RunPlan.build(PackedRows(64), parse_curriculum("0:16,1:64", 2, 8), 0).total_steps == 2


def test_word_counts_that_do_not_fit_the_rows_are_refused():
    class Wrong(PackedRows):
        def row_words(self, seq_length):
            return np.ones(3, np.int64)

    with pytest.raises(CorpusError, match="counts words for 3 rows"):
        RunPlan.build(Wrong(1000), parse_curriculum("16", 1, 8), 0)


# ---- sharding


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(16, 40))
def test_ranks_and_micro_batches_share_a_step_exactly(world, accumulation, batch):
    _, plan = make_plan(3000, "16", 1, batch)
    if min(len(plan.step(k).rows) for k in range(plan.total_steps)) < world * accumulation:
        with pytest.raises(OptionError, match="--gradient_accumulation_steps"):
            plan.check_sharding(world, accumulation)
        return
    for k in range(plan.total_steps):
        size = len(plan.step(k).rows)
        parts = [plan.micro_batch_places(size, k, rank, world, accumulation) for rank in range(world)]
        assert all(len(p) == accumulation and min(map(len, p)) > 0 for p in parts)
        assert sorted(np.concatenate([places for part in parts for places in part]).tolist()) == list(range(size))


def test_a_step_too_small_to_share_is_an_error_before_training():
    _, plan = make_plan(1000, "16", 1, 8)  # 63 rows in 8 steps, the last of 7
    with pytest.raises(
        OptionError, match=r"step 7 has 7 rows, too few for 2 processes times --gradient_accumulation_steps 4"
    ):
        PlanSampler(plan, 0, 2, 4)
    _, short = make_plan(1000, "16", 1, 8, max_steps=7)
    short.check_sharding(2, 4)


@pytest.mark.parametrize(("world", "accumulation", "start"), [(1, 1, 0), (2, 3, 0), (3, 2, 11)])
def test_the_sampler_says_everything_a_worker_needs(world, accumulation, start):
    _, plan = make_plan()
    samplers = [PlanSampler(plan, rank, world, accumulation, start) for rank in range(world)]
    keys = [list(sampler) for sampler in samplers]
    assert {len(k) for k in keys} == {len(samplers[0])} == {(plan.total_steps - start) * accumulation}
    for place in range(start, plan.total_steps):
        step = plan.step(place)
        mine = [k for per_rank in keys for k in per_rank if k.step == place]
        assert {(k.pass_index, k.seq_length, k.step_rows) for k in mine} == {
            (step.pass_index, step.seq_length, len(step.rows))
        }
        assert sorted(np.concatenate([k.places for k in mine]).tolist()) == list(range(len(step.rows)))
        for key in mine:
            assert len(key) == len(key.rows)
            assert np.array_equal(step.rows[key.places], key.rows)
    assert [k.micro_batch for k in keys[0][:accumulation]] == list(range(accumulation))


# ---- identity


def test_the_fingerprint_covers_what_decides_the_plan_and_nothing_else():
    _, plan = make_plan(milestones=[1000])
    same = make_plan(milestones=[1000])[1]
    same.step(3)
    same.check_sharding(2, 2)
    assert same.fingerprint == plan.fingerprint
    stages = parse_curriculum("0:16,2:64", 3, 32)
    others = [
        make_plan(milestones=[1000], seed=6)[1],
        make_plan(milestones=[1000], passes=4)[1],
        make_plan(milestones=[1000], batch=33)[1],
        make_plan(milestones=[1000], spec="16")[1],
        make_plan(milestones=[1001])[1],
        make_plan(milestones=[1000], max_words=10_000)[1],
        make_plan(milestones=[1000], max_steps=10)[1],
        RunPlan.build(PackedRows(10_000, fingerprint="other"), stages, 5, milestones=[1000]),
        RunPlan.build(PackedRows(10_000, seed=1), stages, 5, milestones=[1000]),
    ]
    assert len({plan.fingerprint, *(o.fingerprint for o in others)}) == len(others) + 1


def test_the_description_goes_into_the_record():
    _, plan = make_plan(milestones=[1000, 10**9])
    described = json.loads(json.dumps(plan.describe()))
    assert described == plan.describe()
    assert described["fingerprint"] == plan.fingerprint
    assert described["total_steps"] == plan.total_steps
    assert described["total_words"] == plan.total_words
    assert [m["name"] for m in described["milestones"]] == ["chck_1K"]
    assert described["unreached"] == [10**9]
    assert [s["steps_per_pass"] for s in described["stages"]] == [20, 20]


def test_a_million_rows_are_planned_in_seconds():
    class Many:
        fingerprint = "many"

        def num_rows(self, seq_length):
            return 1_000_000

        def row_words(self, seq_length):
            return np.full(1_000_000, 40, np.int64)

    plan = RunPlan.build(Many(), parse_curriculum("64", 2, 256), 0, milestones=[10**6])
    assert plan.total_steps == 2 * 3907
    assert len(plan._orders) <= 2
