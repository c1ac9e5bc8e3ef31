"""The fast DeBERTa-v2 attention gives the stock module's numbers and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import DebertaV2Config, DebertaV2ForMaskedLM

from babylm_hf.models.attention_dropout import additive_mask
from babylm_hf.models.deberta_attention import use_fast_attention
from babylm_hf.models.distances import by_distance

VOCABULARY = 97


def _model(dropout=0.0, **options):
    defaults = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
    }
    config = DebertaV2Config(
        vocab_size=VOCABULARY,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=64,
        max_position_embeddings=128,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.5,  # large, so that the position parts matter
        **{**defaults, **options},
    )
    torch.manual_seed(0)
    return DebertaV2ForMaskedLM(config).double()


def _batch(rows, length):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _run(model, batch):
    torch.manual_seed(7)
    logits = model(**batch).logits[batch["attention_mask"].bool()]
    (logits**2).mean().backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 40, 100])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"share_att_key": False},
        {"pos_att_type": ["c2p"]},
        {"pos_att_type": ["p2c"]},
        {"position_buckets": -1},
        {"relative_attention": False},
    ],
    ids=str,
)
def test_logits_and_gradients_are_the_stock_ones(length, options):
    stock = _model(**options)
    fast = copy.deepcopy(stock)
    assert use_fast_attention(fast) == 2
    batch = _batch(3, length)
    (expected, gradients), (found, ours) = _run(stock, batch), _run(fast, batch)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == ours.keys()
    scale = torch.cat([g.flatten() for g in gradients.values()]).norm()
    for name, gradient in gradients.items():
        assert (gradient - ours[name]).norm() <= 2e-5 * scale, name


def test_dropout_acts_in_training_only():
    model = _model(dropout=0.3)
    use_fast_attention(model)
    batch = _batch(3, 20)
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).logits, model(**batch).logits)
        first, second = (model.train()(**batch).logits for _ in range(2))
    assert not torch.equal(first, second)


def test_attention_probabilities_are_the_stock_ones():
    stock = _model().eval()
    fast = copy.deepcopy(stock)
    use_fast_attention(fast)
    batch = _batch(2, 12)
    with torch.no_grad():
        expected, found = (m(**batch, output_attentions=True).attentions for m in (stock, fast))
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a[1], b[1], atol=1e-5)


def test_it_is_not_saved(tmp_path):
    model = _model().eval()
    batch = _batch(2, 12)
    with torch.no_grad():
        expected = model(**batch).logits
        use_fast_attention(model)
        model.save_pretrained(tmp_path)
        assert torch.equal(DebertaV2ForMaskedLM.from_pretrained(tmp_path).eval().double()(**batch).logits, expected)


def test_other_models_are_left_alone():
    from transformers import BertConfig, BertForMaskedLM

    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMaskedLM(BertConfig(vocab_size=20, **size))
    assert use_fast_attention(model) == 0


@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("length", [1, 5])
def test_reading_by_distance_is_an_operator_that_a_compiler_can_call(parts, length):
    given = [torch.randn(3, length, 2 * length - 1).double().requires_grad_() if there else None for there in parts]
    torch.library.opcheck(by_distance, tuple(given))
    assert torch.autograd.gradcheck(by_distance, tuple(given))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_a_mask_becomes_what_scores_get_by_an_operator(dtype):
    seen = torch.tensor([[[[1, 0, 1]]]]).to(dtype)
    torch.library.opcheck(additive_mask, (seen, torch.bfloat16))
    made = additive_mask(seen, torch.bfloat16)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made == 0, seen.bool())
    scores = torch.tensor([3.0, 1e30, -2.0], dtype=torch.bfloat16) + made
    assert scores.isfinite().all()
    assert scores.float().softmax(-1)[..., 1] == 0
