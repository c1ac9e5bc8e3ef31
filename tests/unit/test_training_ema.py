"""The moving average of the weights, and the learning rate with a floor and a cool-down."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_model

from babylm_hf.errors import OptionError, ResumeError
from babylm_hf.training import BabyLMTrainingArguments
from babylm_hf.training.ema import EMA_FILE, WeightAverage
from babylm_hf.training.learning_rate import cosine_with_cooldown, learning_rate_factor


def small(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def move(model, step):
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.full_like(weight, 0.1 * (step + 1)))


def values(model):
    return torch.cat([weight.detach().double().reshape(-1) for weight in model.parameters()])


@pytest.mark.parametrize("decay", [0.999, 0.3])
def test_the_average_follows_the_formula(decay):
    model = small()
    average, expected = WeightAverage(model, decay), values(model)
    for step in range(12):
        move(model, step)
        average.update()
        keep = min(decay, (2 + step) / (11 + step))
        expected = keep * expected + (1 - keep) * values(model)
    assert average.updates == 12
    assert torch.allclose(values(average.averaged.module), expected, atol=1e-6)


def test_the_warm_up_of_the_decay_ends_where_the_specification_says():
    average = WeightAverage(small(), 0.999)
    assert average.decay_at(8989) < 0.999
    assert average.decay_at(8990) == pytest.approx(0.999, abs=1e-12)
    assert average.decay_at(7530) == pytest.approx(0.9988, abs=1e-4)
    assert average.decay_at(9000) == 0.999


def test_the_average_is_shown_and_taken_away_again():
    model = small()
    average = WeightAverage(model, 0.9)
    move(model, 0)
    average.update()
    own, mean = values(model), values(average.averaged.module)
    pointers = [weight.data_ptr() for weight in model.parameters()]
    with average.shown():
        assert torch.equal(values(model), mean)
        with average.shown():
            assert torch.equal(values(model), mean)
        assert torch.equal(values(model), mean)
    assert torch.equal(values(model), own)
    assert [weight.data_ptr() for weight in model.parameters()] == pointers
    with pytest.raises(RuntimeError, match="on purpose"), average.shown():
        raise RuntimeError("on purpose")
    assert torch.equal(values(model), own)


def test_tied_weights_stay_tied_while_the_average_is_shown():
    model = tiny_model("bert")
    average = WeightAverage(model, 0.9)
    move(model, 0)
    average.update()
    tied = lambda: (model.get_input_embeddings().weight, model.get_output_embeddings().weight)  # noqa: E731
    with average.shown():
        assert torch.equal(*tied())
        assert not torch.equal(tied()[0], average.averaged.module.get_input_embeddings().weight)
    assert tied()[0] is tied()[1]


def test_an_average_is_saved_and_taken_up_bit_by_bit(tmp_path):
    first, second = small(), small(1)
    average, other = WeightAverage(first, 0.99), WeightAverage(second, 0.99)
    for step in range(3):
        move(first, step)
        average.update()
    average.save(tmp_path)
    other.load(tmp_path)
    assert other.updates == 3
    assert torch.equal(values(average.averaged.module), values(other.averaged.module))
    wrong = WeightAverage(torch.nn.Linear(3, 4), 0.99)
    with pytest.raises(ResumeError, match="moving average"):
        wrong.load(tmp_path)
    (tmp_path / EMA_FILE).unlink()
    with pytest.raises(ResumeError, match="moving average"):
        other.load(tmp_path)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0), (60, 0.5), (1000, 0.969042), (3765, 0.561446), (7409, 0.100592), (7410, 0.1), (7450, 0.066667), (7530, 0)],
)
def test_the_learning_rate_of_the_published_run(step, factor):
    assert learning_rate_factor(step, 7530, 120, 120, 0.1) == pytest.approx(factor, abs=1e-6)


def test_the_schedule_drives_an_optimizer():
    optimizer = torch.optim.SGD(small().parameters(), lr=2.0)
    schedule = cosine_with_cooldown(optimizer, 100, 10, 20, 0.1)
    seen = []
    for _ in range(100):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx([2 * learning_rate_factor(step, 100, 10, 20, 0.1) for step in range(100)])
    assert seen[0] == 0
    assert max(seen) == 2.0
    assert optimizer.param_groups[0]["lr"] == 0
    with pytest.raises(OptionError, match="cooldown_steps"):
        cosine_with_cooldown(optimizer, 20, 15, 10, 0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"ema_decay": -0.1}, "ema_decay"),
        ({"lr_floor": 1.0}, "lr_floor"),
        ({"cooldown_steps": -1.0}, "cooldown_steps"),
        ({"cooldown_steps": 0.1, "lr_scheduler_type": "linear"}, "lr_scheduler_type cosine"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, named):
    with pytest.raises(OptionError, match=named):
        BabyLMTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)


def test_shares_of_steps_are_rounded_down(tmp_path):
    args = BabyLMTrainingArguments(output_dir=str(tmp_path), use_cpu=True, warmup_steps=0.016, cooldown_steps=0.016)
    assert (args.get_warmup_steps(7530), args.get_cooldown_steps(7530)) == (120, 120)
