"""Token statistics: exact at any size, in any order, for any split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from babylm_hf.errors import ResumeError
from babylm_hf.masking import TokenStatistics


def draws(n=5000, size=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, size, (n,), generator=generator)
    correct = torch.rand(n, generator=generator) < 0.4
    loss = torch.rand(n, generator=generator) * 12
    is_mask = torch.rand(n, generator=generator) < 0.8
    return ids, correct, loss, is_mask


def test_counts_are_exact_after_a_hundred_thousand_increments():
    # Specification 7 e; a 16-bit float would have stopped at 256.
    statistics = TokenStatistics(3)
    ids = torch.tensor([1, 1, 2])
    correct = torch.tensor([True, False, True])
    for _ in range(100):
        statistics.observe(ids.repeat(500), correct.repeat(500), torch.full((1500,), 0.1))
    sums = statistics.numpy()
    assert sums["correct"].tolist() == [0, 50_000, 50_000]
    assert sums["wrong"].tolist() == [0, 50_000, 0]
    assert sums["count"].tolist() == [0, 100_000, 50_000]
    assert sums["loss"][1] == 100_000 * float(np.float32(0.1))


def test_totals_are_those_of_a_plain_count():
    ids, correct, loss, is_mask = draws()
    for positions, chosen in [("all", torch.ones_like(is_mask)), ("mask", is_mask)]:
        statistics = TokenStatistics(50, positions=positions)
        statistics.observe(ids, correct, loss, is_mask)
        sums = statistics.numpy()
        for i in range(50):
            here = chosen & (ids == i)
            assert sums["count"][i] == here.sum()
            assert sums["correct"][i] == (here & correct).sum()
            # Units of 2^-32 nats: exact for losses above 2^-8 nats.
            assert sums["loss"][i] == pytest.approx(loss[here].double().sum().item(), abs=1e-6)


def test_totals_do_not_depend_on_order_or_split():
    ids, correct, loss, is_mask = draws()
    whole, parts = TokenStatistics(50), TokenStatistics(50)
    whole.observe(ids, correct, loss, is_mask)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(1))
    for part in order.split(317):
        parts.observe(ids[part], correct[part], loss[part], is_mask[part])
    for name, values in whole.numpy().items():
        assert np.array_equal(values, parts.numpy()[name]), name


def test_a_loss_that_is_not_finite_is_left_out():
    statistics = TokenStatistics(2)
    loss = torch.tensor([1.0, float("nan"), float("inf"), float("-inf")])
    statistics.observe(torch.tensor([0, 0, 1, 1]), torch.tensor([True] * 4), loss)
    assert statistics.numpy()["count"].tolist() == [1, 0]
    assert statistics.numpy()["loss"].tolist() == [1.0, 0.0]


def test_half_precision_losses():
    statistics = TokenStatistics(2)
    statistics.observe(torch.tensor([0]), torch.tensor([True]), torch.tensor([2.5], dtype=torch.bfloat16))
    assert statistics.numpy()["loss"][0] == 2.5


def test_mask_positions_need_to_know_them():
    with pytest.raises(ValueError, match="is_mask"):
        TokenStatistics(2, positions="mask").observe(torch.tensor([0]), torch.tensor([True]), torch.tensor([1.0]))


def test_reset_and_state():
    ids, correct, loss, is_mask = draws()
    statistics = TokenStatistics(50)
    statistics.observe(ids, correct, loss, is_mask)
    kept = statistics.state()
    before = statistics.reduce()
    statistics.reset()
    assert not any(values.any() for values in statistics.numpy().values())
    statistics.load_state(kept)
    for name, values in before.items():
        assert np.array_equal(values, statistics.numpy()[name])
    with pytest.raises(ResumeError, match="50 ids"):
        TokenStatistics(51).load_state(kept)


def test_targets_are_kept_until_the_reset_in_an_order_of_their_own():
    ids, correct, loss, is_mask = draws()
    loss[3] = float("nan")
    for positions in ("all", "mask"):
        whole, parts = (TokenStatistics(50, positions=positions, keep_targets=True) for _ in range(2))
        whole.observe(ids, correct, loss, is_mask)
        order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(1))
        for part in order.split(317):
            parts.observe(ids[part], correct[part], loss[part], is_mask[part])
        found, losses = whole.targets()
        again, same = parts.targets()
        assert np.array_equal(found, again)
        assert np.array_equal(losses, same)
        counted = torch.isfinite(loss) & (is_mask | torch.tensor(positions == "all"))
        assert len(found) == int(counted.sum())
        assert np.array_equal(np.bincount(found, minlength=50), whole.numpy()["count"])
        assert losses.sum() == pytest.approx(loss[counted].double().sum().item())
        parts.reset()
        assert len(parts.targets()[0]) == 0
    with pytest.raises(ValueError, match="new_statistics"):
        TokenStatistics(50).targets()
