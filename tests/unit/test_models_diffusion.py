"""The diffusion encoder against a plain version of the specification, its sizes, its start, and what it is told."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_tokenizer

from babylm_hf.errors import OptionError
from babylm_hf.models import PRESETS, PositionSelector, build_model
from babylm_hf.models.diffusion import (
    BabyLMDiffusionConfig,
    BabyLMDiffusionForMaskedLM,
    BabyLMDiffusionForSequenceClassification,
)
from babylm_hf.models.diffusion.layers_babylm_diffusion import IMPOSSIBLE, distance_buckets

MASK, PAD = 4, 3


def config_of(**changes):
    sizes = {"vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BabyLMDiffusionConfig(**{**sizes, "intermediate_size": 48, "conditioning_size": 16, **changes})


def model_of(seed=0, awake=True, **changes):
    """A model in evaluation mode, with time conditioning as if it had been trained if `awake`."""
    torch.manual_seed(seed)
    model = BabyLMDiffusionForMaskedLM(config_of(**changes)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1 or (awake and "modulation" in name):
                weight.add_(0.3 * torch.randn_like(weight))
    return model


def rows_of(length, batch=3):
    ids = torch.randint(16, 120, (batch, length), generator=torch.Generator().manual_seed(length))
    present = torch.ones_like(ids)
    present[1, length * 2 // 3 :] = 0
    return torch.where(present.bool(), ids, PAD), present


def bucket(distance):
    """Section 2.9 of the specification: 63 vectors, own ones up to 16, logarithmic up to 512."""
    size = abs(distance)
    if size <= 16:
        return 31 + distance
    steps = min(31, 16 + math.ceil(math.log(min(size, 511) / 16) / math.log(511 / 16) * 15))
    return 31 + int(math.copysign(steps, distance))


def plain(model, ids, present, rate):
    """The specification word by word: every pair of positions has its vectors, every head its softmax."""
    config, body = model.config, model.model
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    norm = lambda x: F.layer_norm(x, x.shape[-1:], eps=config.layer_norm_eps)  # noqa: E731
    phases = rate[:, None] * 10000.0 ** (-torch.arange(128) / 128)
    waves = torch.cat((torch.cos(phases), torch.sin(phases)), 1)
    time = F.silu(body.time.dense_out(F.silu(body.time.dense_in(waves))))
    hidden = norm(body.embeddings.word_embeddings(ids))
    vectors = body.embeddings.relative_layer_norm(body.embeddings.relative_embeddings.weight)
    index = torch.tensor([[bucket(i - j) for j in range(ids.shape[1])] for i in range(ids.shape[1])])
    for layer in body.layers:
        shift, scale, gate, ff_shift, ff_scale, ff_gate = layer.modulation(time)[:, None].chunk(6, -1)
        states, attention = norm(hidden) * (1 + scale) + shift, layer.attention
        query, key = attention.query_key(states).chunk(2, -1)
        value, value_gate = attention.value_gate(states).chunk(2, -1)
        position_query, position_key = attention.query_key(vectors)[index].chunk(2, -1)
        contexts = []
        for head in range(heads):
            q, k, v, pq, pk = (
                x[..., head * size : (head + 1) * size] for x in (query, key, value, position_query, position_key)
            )
            scores = torch.einsum("bid,bjd->bij", q, k) + torch.einsum("bid,ijd->bij", q, pk)
            scores = (scores + torch.einsum("bjd,ijd->bij", k, pq)) / math.sqrt(3 * size)
            contexts.append(scores.masked_fill(present[:, None] == 0, -math.inf).softmax(-1) @ v)
        context = norm(torch.cat(contexts, -1) * F.gelu(value_gate))
        hidden = hidden + gate * attention.dense_out(context)
        value, value_gate = layer.feed_forward.dense_in(norm(hidden) * (1 + ff_scale) + ff_shift).chunk(2, -1)
        inner = norm(value * F.gelu(value_gate, approximate="tanh"))
        hidden = hidden + ff_gate * layer.feed_forward.dense_out(inner)
    last = norm(F.gelu(model.head.dense(norm(hidden))))
    return last @ body.embeddings.word_embeddings.weight.T + model.head.decoder.bias


@pytest.mark.parametrize("length", [2, 5, 23, 70])
def test_logits_and_gradients_are_those_of_the_plain_version(length):
    model, rate = model_of(suppress_mask=False), torch.tensor([0.0, 0.4, 1.0])
    ids, present = rows_of(length)
    ours = model(ids, present, mask_rate=rate).logits[present.bool()]
    theirs = plain(model, ids, present, rate)[present.bool()]
    assert torch.allclose(ours, theirs, atol=2e-5)
    target = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    names, weights = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad((ours * target).sum(), weights, allow_unused=True)
    expected = torch.autograd.grad((theirs * target).sum(), weights, allow_unused=True)
    for name, one, other in zip(names, found, expected, strict=True):
        assert torch.allclose(one, other, atol=2e-5 * max(1.0, float(other.abs().max()))), name


def test_distances_have_the_buckets_of_the_specification():
    length = 700
    found = distance_buckets(length, 32, 512)
    assert found.tolist() == [bucket(distance) for distance in range(1 - length, length)]
    assert (int(found.min()), int(found.max())) == (0, 62)


@pytest.mark.parametrize(("conditioning", "parameters"), [(128, 126_636_800), (None, 119_454_208)])
def test_the_published_sizes(conditioning, parameters):
    with torch.device("meta"):
        model = BabyLMDiffusionForMaskedLM(BabyLMDiffusionConfig(conditioning_size=conditioning))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_presets_are_built_for_a_tokenizer():
    base = BabyLMDiffusionConfig(**PRESETS["diffusion-base"].settings)
    assert base.to_dict() == BabyLMDiffusionConfig().to_dict()
    tokenizer = tiny_tokenizer()
    model = build_model("diffusion-tiny", tokenizer, default_mask_rate="observed", dropout=0.2)
    assert isinstance(model, BabyLMDiffusionForMaskedLM)
    assert (model.config.vocab_size, model.config.mask_token_id) == (len(tokenizer), tokenizer.mask_token_id)
    assert model.config.special_token_ids == sorted(tokenizer.all_special_ids)
    assert (model.config.hidden_dropout_prob, model.config.attention_probs_dropout_prob) == (0.2, 0.2)
    with pytest.raises(OptionError, match="causal"):
        build_model("diffusion-tiny", tokenizer, objective="causal")


def test_at_the_start_neither_context_nor_mask_rate_matters():
    model = model_of(awake=False)
    with torch.no_grad():  # the biases of `model_of` belong to a trained model
        for layer in model.model.layers:
            layer.modulation.bias.zero_()
    ids, present = rows_of(12)
    one = model(ids, present, mask_rate=0.1).logits
    assert torch.equal(one, model(ids, present, mask_rate=0.9).logits)
    other = ids.clone()
    other[:, 1:] = other[:, 1:].flip(0)
    assert torch.allclose(one[:, 0], model(other, present, mask_rate=0.1).logits[:, 0])
    model.train()
    model(ids, present, labels=ids, mask_rate=0.5).loss.backward()
    assert all(layer.modulation.weight.grad.abs().sum() > 0 for layer in model.model.layers)


def test_weights_start_as_published():
    model = BabyLMDiffusionForMaskedLM(config_of(hidden_size=64, intermediate_size=160, num_hidden_layers=3))
    std = math.sqrt(2 / (5 * 64))
    cut = 0.8796  # the deviation of a normal distribution cut at two of its own
    for index, layer in enumerate(model.model.layers):
        scaled = std * math.sqrt(1 / (2 * (1 + index)))
        for weight, size in ((layer.attention.query_key, std), (layer.feed_forward.dense_out, scaled)):
            assert float(weight.weight.detach().std()) == pytest.approx(cut * size, rel=0.03)
            assert float(weight.weight.detach().abs().max()) <= 2 * size
        assert not layer.modulation.weight.any()
    assert model.head.decoder.weight is model.model.embeddings.word_embeddings.weight
    assert not model.head.decoder.bias.any()


@pytest.mark.parametrize("choice", ["zero", "inverse_length", "observed"])
def test_without_a_rate_the_configuration_decides(choice):
    model = model_of(default_mask_rate=choice, special_token_ids=[1, 2, 3, 4])
    ids, present = rows_of(12)
    ids[:, 0], ids[0, 3:6], ids[1, 2] = 1, MASK, MASK
    rates = {"zero": [0.0] * 3, "inverse_length": [1 / 12, 1 / 8, 1 / 12], "observed": [3 / 11, 1 / 7, 0.0]}[choice]
    expected = model(ids, present, mask_rate=torch.tensor(rates)).logits
    assert torch.equal(model(ids, present).logits, expected)
    if choice != "zero":
        assert not torch.equal(expected, model(ids, present, mask_rate=0.0).logits)


def test_the_mask_token_has_no_probability_unless_it_is_let():
    ids, present = rows_of(9)
    for suppressed in (True, False):
        chances = model_of(suppress_mask=suppressed)(ids, present).logits.softmax(-1)
        assert bool((chances[..., MASK] == 0).all()) is suppressed
        assert torch.isfinite(chances).all()
    assert torch.finfo(torch.float16).min < IMPOSSIBLE


def test_padding_changes_nothing():
    model = model_of()
    ids, present = rows_of(12)
    short = model(ids[1:2, :8], mask_rate=0.3).logits
    assert torch.allclose(model(ids, present, mask_rate=0.3).logits[1, :8], short[0], atol=1e-5)


@pytest.mark.parametrize("conditioning", [0, 8])
def test_its_head_and_last_feed_forward_are_computed_at_chosen_positions_only(conditioning):
    model = model_of(conditioning_size=conditioning)
    selector = PositionSelector(model)
    assert selector.head is model.head
    assert selector.tail is model.model.layers[-1].feed_forward
    ids, present = rows_of(12)
    index = torch.tensor([30, 2, 17])
    chosen = selector.logits({"input_ids": ids, "attention_mask": present, "mask_rate": torch.full((3,), 0.2)}, index)
    full = model(ids, present, mask_rate=0.2).logits.reshape(-1, 120)
    assert torch.allclose(chosen, full[index], atol=1e-5)


def test_outputs_are_those_of_transformers():
    model = model_of()
    ids, present = rows_of(12)
    output = model(ids, present, labels=torch.where(ids > 60, ids, -100), output_hidden_states=True)
    assert len(output.hidden_states) == 3
    assert torch.isfinite(output.loss)
    as_tuple = model(ids, present, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], output.logits)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("single_label_classification", torch.tensor([0, 2, 1])),
        ("regression", torch.tensor([0.5, 0.1, 2.0])),
        ("multi_label_classification", torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 0]])),
    ],
)
def test_a_classifier_has_a_loss_for_every_kind_of_label(kind, labels):
    config = config_of(num_labels=1 if kind == "regression" else 3, problem_type=kind)
    model = BabyLMDiffusionForSequenceClassification(config)
    output = model(*rows_of(12), labels=labels)
    assert output.logits.shape == (3, config.num_labels)
    output.loss.backward()
    assert model.classifier[1].weight.grad.abs().sum() > 0


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="attention heads"):
        BabyLMDiffusionForMaskedLM(config_of(hidden_size=30, num_attention_heads=4))
    with pytest.raises(ValueError, match="default_mask_rate"):
        config_of(default_mask_rate="often")
    with pytest.raises(ValueError, match="position_bucket_size"):
        config_of(max_position_embeddings=16)
