"""Fast dropout has the stock rate and scale, is decided by torch's seed, and changes nothing but that."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import INDUCTOR, tiny_model
from torch import nn

from babylm_hf.models.attention_dropout import NAME, attend, attention_with_dropout, use_fast_attention_dropout
from babylm_hf.models.dropout import LEVELS, Draws, fast_dropout, is_fast, use_fast_dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rate_mean_and_neighbours_are_those_of_independent_draws(rate, dtype):
    torch.manual_seed(3)
    size = 1_000_003  # not a multiple of four, and more than a chunk
    found = fast_dropout(torch.ones(size, dtype=dtype), rate).float()
    dropped = (found == 0).float()
    error = (rate * (1 - rate) / size) ** 0.5
    assert abs(float(dropped.mean()) - rate) < 4 * error + 1 / LEVELS
    assert set(found.unique().tolist()) == {
        0.0,
        float(torch.tensor(LEVELS / (LEVELS - round(rate * LEVELS))).to(dtype)),
    }
    centred = dropped - dropped.mean()
    for lag in (1, 2, 3, 4, 64, 128, 256, 1024, 1 << 16, 1 << 18):
        correlation = float((centred[:-lag] * centred[lag:]).mean() / (rate * (1 - rate)))
        assert abs(correlation) < 4.5 / (size - lag) ** 0.5, lag


def test_two_calls_differ_and_the_seed_decides_both():
    torch.manual_seed(5)
    first, second = (fast_dropout(torch.ones(50_000), 0.3) == 0 for _ in range(2))
    torch.manual_seed(5)
    again = [fast_dropout(torch.ones(50_000), 0.3) == 0 for _ in range(2)]
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    both = float((first & second).float().mean())
    assert both == pytest.approx(0.09, abs=4 * (0.09 * 0.91 / 50_000) ** 0.5)


def test_gradient_is_dropped_where_the_value_was():
    states = torch.randn(7, 33).double().requires_grad_()
    torch.manual_seed(1)
    found = fast_dropout(states, 0.4)
    found.backward(torch.ones_like(found))
    kept = (found != 0).double()
    assert torch.allclose(found, states * kept / (1 - round(0.4 * LEVELS) / LEVELS))
    assert torch.allclose(states.grad, kept / (1 - round(0.4 * LEVELS) / LEVELS))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_ends_of_the_range_are_the_stock_ones(rate):
    states = torch.randn(64)
    assert torch.equal(fast_dropout(states, rate), F.dropout(states, rate))


def test_modules_change_only_while_training():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.2)))
    names = list(model.state_dict())
    assert use_fast_dropout(model) == 2
    assert is_fast(model[1])
    assert list(model.state_dict()) == names
    states = torch.randn(5, 4)
    assert torch.equal(model.eval()(states), model[0](states))
    copied = copy.deepcopy(model).train()
    assert copied[1].forward.__self__ is copied[1]


@pytest.mark.parametrize("backend", ["aot_eager", INDUCTOR])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_dropout_has_the_rate_the_seed_and_the_gradient_of_the_other(dtype, backend):
    compiled = torch.compile(lambda states: fast_dropout(states, 0.1), backend=backend, dynamic=False)
    states = torch.ones(400, 1000, dtype=dtype, requires_grad=True)
    torch.manual_seed(5)
    first, second = compiled(states), compiled(states)
    torch.manual_seed(5)
    assert torch.equal(compiled(states), first)
    kept, others = ((found.detach() > 0).double() for found in (first, second))
    share = 1 - round(0.1 * LEVELS) / LEVELS
    error = 5 * (share * (1 - share) / kept.numel()) ** 0.5
    assert abs(float(kept.mean()) - share) < error
    assert float(first.detach().max()) == pytest.approx(1 / share, rel=torch.finfo(dtype).eps)
    for one, other in ((kept, others), (kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1])):
        assert abs(float(((one - share) * (other - share)).mean())) < error  # that of a product is smaller yet
    first.sum().backward()
    assert torch.equal(states.grad, first.detach())


def plain_attention(query, key, value, mask, keep, rate):
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(-1) * keep / (1 - round(rate * LEVELS) / LEVELS) @ value).transpose(1, 2)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", [1, 3 * 2 * 19 * 19])
def test_attention_is_the_formula_with_its_gradients(masked, chunk, monkeypatch):
    monkeypatch.setattr("babylm_hf.models.attention_dropout._CHUNK", chunk)
    rows, heads, length, size, rate = 5, 2, 19, 8, 0.25
    torch.manual_seed(0)
    states = [torch.randn(rows, length, heads, size).double().transpose(1, 2).requires_grad_() for _ in range(3)]
    mask = (torch.rand(rows, 1, 1, length) > 0.3).expand(-1, -1, length, -1) if masked else None
    slopes = torch.randn(rows, length, heads, size).double()
    torch.manual_seed(9)
    found, _ = attend(nn.Module(), *states, mask, dropout=rate, is_causal=False)
    torch.manual_seed(9)
    draws, keep = Draws(round(rate * LEVELS)), torch.empty(rows, heads, length, length).double()
    at_once = max(1, chunk // (heads * length * length))
    for part in keep.split(at_once):
        draws.fill(part)
    expected = plain_attention(*states, mask, keep, rate)
    assert torch.allclose(found, expected, atol=1e-12)
    ours, theirs = (torch.autograd.grad((out * slopes).sum(), states) for out in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("chunk", [1, 3 * 5 * 7 * 7])
def test_scores_by_distance_are_those_read_by_index(masked, parts, chunk, monkeypatch):
    monkeypatch.setattr("babylm_hf.models.attention_dropout._CHUNK", chunk)
    heads, rows, length, size, rate, scale = 4, 5, 7, 6, 0.25, 0.3
    torch.manual_seed(0)
    states = [torch.randn(heads, rows, length, size).double().requires_grad_() for _ in range(3)]
    # A transposed table, as a projection makes it.
    tables = [torch.randn(heads, 2 * length - 1, size).double().transpose(1, 2).requires_grad_() for _ in range(2)]
    hidden = torch.rand(1, rows, 1, length) < 0.3
    bias = hidden.double().mul(-1e9).expand(heads, rows, length, length) if masked else None
    slopes = torch.randn(heads, rows, length, size).double()
    given = [table if wanted else None for table, wanted in zip(tables, parts, strict=True)]
    torch.manual_seed(9)
    found = attention_with_dropout(*states, bias, round(rate * LEVELS), scale, *given)
    torch.manual_seed(9)
    draws, keep = Draws(round(rate * LEVELS)), torch.empty(heads, rows, length, length).double()
    for part in keep.split(max(1, chunk // (rows * length * length))):
        draws.fill(part)
    place = torch.arange(length)
    column = place[None, :] - place[:, None] + length - 1  # of query i for key j
    query, key, value = states
    scores = scale * query @ key.transpose(-1, -2)
    by_query, by_key = given
    if by_query is not None:
        scores = scores + (query @ by_query[:, None]).gather(-1, column.expand(heads, rows, -1, -1))
    if by_key is not None:
        by_row = (key @ by_key[:, None]).gather(-1, column.expand(heads, rows, -1, -1))
        scores = scores + by_row.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    expected = scores.softmax(-1) * keep / (1 - round(rate * LEVELS) / LEVELS) @ value
    assert torch.allclose(found, expected, atol=1e-12)
    wanted = [*states, *(table for table in given if table is not None)]
    ours, theirs = (torch.autograd.grad((out * slopes).sum(), wanted) for out in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "deberta"])
def test_models_without_dropout_give_the_stock_numbers(architecture, tmp_path):
    model = tiny_model(architecture, dropout=0.1)
    ids = torch.randint(5, 400, (3, 12))
    attention = torch.ones_like(ids)
    attention[1, 8:] = 0
    with torch.no_grad():
        stock = model.eval()(input_ids=ids, attention_mask=attention).logits
        use_fast_dropout(model)
        assert use_fast_attention_dropout(model) == (architecture != "deberta")
        fast = model(input_ids=ids, attention_mask=attention).logits
    assert torch.equal(stock[attention.bool()], fast[attention.bool()])
    model.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_the_mean_over_many_draws_is_the_model_without_dropout():
    model = tiny_model("bert", dropout=0.1)
    ids = torch.randint(5, 400, (2, 16))
    use_fast_dropout(model)
    use_fast_attention_dropout(model)
    with torch.no_grad():
        exact = model.eval()(input_ids=ids).logits
        model.train()
        torch.manual_seed(0)
        found = torch.stack([model(input_ids=ids).logits for _ in range(300)])
    assert float(found.std(0).mean()) > 0
    error = found.mean(0) - exact
    # What is not linear moves the mean a little; it stays well within the spread of a single draw.
    assert float(error.abs().mean()) < 0.5 * float(found.std(0).mean())
