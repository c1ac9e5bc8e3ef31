"""The sequence-length curriculum: reading it, constant tokens a step, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babylm_hf.errors import OptionError
from babylm_hf.plan import Stage, parse_curriculum


def test_the_papers_curriculum_keeps_16384_tokens_a_step():
    stages = parse_curriculum("0:64,5:256", num_passes=10, batch_size=256)
    assert stages == (Stage(0, 0, 5, 64, 256, 256.0), Stage(1, 5, 5, 256, 64, 64.0))
    assert {s.seq_length * s.batch_size for s in stages} == {16384}
    assert all(s.exact_batch_size == s.batch_size for s in stages)


@pytest.mark.parametrize("spec", ["128", 128, "0:128", " 0 : 128 "])
def test_one_length(spec):
    assert parse_curriculum(spec, 3, 8) == (Stage(0, 0, 3, 128, 8, 8.0),)


def test_a_batch_that_does_not_divide_is_rounded_and_says_so():
    _, second = parse_curriculum("0:64,1:100", 2, 32)
    assert (second.batch_size, second.exact_batch_size) == (20, 20.48)
    _, tiny = parse_curriculum("0:64,1:1024", 2, 4)
    assert tiny.batch_size == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("5:256", "passes 0 to 4 without a length"),
        ("0:64,0:128", "pass 0 comes after pass 0"),
        ("0:64,5:256,3:128", "pass 3 comes after pass 5"),
        ("0:64,10:256", "only 10"),
        ("0:64,,5:256", "cannot read ''"),
        ("0:64;5:256", "cannot read"),
        ("sixty", "cannot read 'sixty'"),
        ("-64", "cannot read '-64'"),
        ("0:0", "positive length"),
        ("0", "positive length"),
        ("", "cannot read"),
    ],
)
def test_what_is_refused(spec, says):
    with pytest.raises(OptionError, match="--max_seq_len") as caught:
        parse_curriculum(spec, 10, 256)
    assert says in str(caught.value)


def test_no_pass_and_no_batch_are_refused():
    with pytest.raises(OptionError, match="--num_train_epochs is 0"):
        parse_curriculum("64", 0, 8)
    with pytest.raises(OptionError, match="--batch_size is 0"):
        parse_curriculum("64", 1, 0)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2048)), min_size=1, max_size=6),
    st.integers(1, 512),
)
def test_stages_cover_every_pass_once(parts, batch_size):
    starts = [sum(n for n, _ in parts[:i]) for i in range(len(parts))]
    num_passes = sum(n for n, _ in parts)
    spec = ",".join(f"{start}:{length}" for start, (_, length) in zip(starts, parts, strict=True))
    stages = parse_curriculum(spec, num_passes, batch_size)
    covered = [p for s in stages for p in range(s.first_pass, s.first_pass + s.num_passes)]
    assert covered == list(range(num_passes))
    tokens = batch_size * stages[0].seq_length
    for stage in stages:
        assert stage.batch_size >= 1
        assert abs(stage.batch_size * stage.seq_length - tokens) <= stage.seq_length / 2 or stage.batch_size == 1
