"""Logits at chosen positions equal the full ones for every stock head; a head that mixes positions is refused."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn

from babylm_hf.models.heads import PositionSelector, find_position_wise_head, logits_of, select_positions

SMALL = {
    "vocab_size": 61,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
DEBERTA = {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
GPT2 = {"vocab_size": 61, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}
DISTILBERT = {"vocab_size": 61, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 40}
MODELS = {
    "bert": ("BertForMaskedLM", "BertConfig", SMALL, "cls"),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", SMALL, "lm_head"),
    "deberta-v2": ("DebertaV2ForMaskedLM", "DebertaV2Config", DEBERTA, "cls"),
    "deberta-v2-new-head": ("DebertaV2ForMaskedLM", "DebertaV2Config", {**DEBERTA, "legacy": False}, "lm_predictions"),
    "modernbert": ("ModernBertForMaskedLM", "ModernBertConfig", SMALL, "head"),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", DISTILBERT, "vocab_transform"),
    "electra": ("ElectraForMaskedLM", "ElectraConfig", {**SMALL, "embedding_size": 8}, "generator_predictions"),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2, "lm_head"),
    "llama": ("LlamaForCausalLM", "LlamaConfig", SMALL, "lm_head"),
}


def small_model(family: str) -> nn.Module:
    model_class, config_class, options, _ = MODELS[family]
    torch.manual_seed(0)
    return getattr(transformers, model_class)(getattr(transformers, config_class)(**options))


def padded_batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 61, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    ids[1, 6:], mask[1, 6:] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("family", MODELS)
def test_the_head_is_found_by_tracing(family: str) -> None:
    model = small_model(family)
    assert find_position_wise_head(model) is getattr(model, MODELS[family][3])


@pytest.mark.parametrize("family", MODELS)
def test_where_a_layer_norms_after_it_adds_rows_are_chosen_behind_its_attention(family: str) -> None:
    model = small_model(family)
    selector = PositionSelector(model)
    if family in ("bert", "roberta", "electra") or family.startswith("deberta"):
        assert selector.tail is model.base_model.encoder.layer[-1].attention.output
    else:
        assert selector.tail is selector.head
    assert PositionSelector(model, early=False).tail is selector.head


def test_a_last_layer_that_mixes_positions_after_its_attention_is_run_whole() -> None:
    model = small_model("bert")
    last = model.bert.encoder.layer[-1]

    class Mixing(type(last.output)):
        def forward(self, hidden: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden - hidden.mean(-2, keepdim=True), added)

    last.output.__class__ = Mixing
    selector = PositionSelector(model)
    assert selector.tail is selector.head is model.cls


@pytest.mark.parametrize("family", MODELS)
def test_chosen_logits_and_gradients_equal_the_full_ones(family: str) -> None:
    model = small_model(family).eval()
    selector = PositionSelector(model)
    index, batch = torch.tensor([20, 3, 11, 3]), padded_batch()
    weights = torch.randn(4, 61, generator=torch.Generator().manual_seed(2))

    def gradients(logits: torch.Tensor) -> list[torch.Tensor]:
        model.zero_grad()
        (logits * weights).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    full = model(**batch).logits.reshape(-1, 61)[index]
    chosen = selector.logits(batch, index)
    assert chosen.shape == (4, 61)
    torch.testing.assert_close(chosen, full, atol=2e-6, rtol=1e-5)
    for a, b in zip(gradients(chosen), gradients(full), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_no_trace_of_the_search_is_left() -> None:
    model = small_model("bert").train()
    model.bert.encoder.eval()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    find_position_wise_head(model)
    assert torch.equal(torch.rand(3), expected)
    assert model.training
    assert not model.bert.encoder.training
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_the_hook_goes_away_even_when_the_forward_fails() -> None:
    model = small_model("bert")
    head = find_position_wise_head(model)
    with pytest.raises(IndexError), select_positions(model, head, torch.tensor([0])):
        model(input_ids=torch.tensor([[61]]))
    assert model(**padded_batch()).logits.shape == (3, 9, 61)


class Output(dict):
    """What a remote-code model may return in place of a ModelOutput."""


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, 8)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(input_ids).cumsum(1)


class MixingHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Linear(8, 16)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.decoder(hidden - hidden.mean(-2, keepdim=True))


class Unusual(nn.Module):
    """A model with its own body and head whose output is a plain mapping; with `rewrite` it pools before the head."""

    def __init__(self, head: nn.Module, rewrite: bool = False) -> None:
        super().__init__()
        self.body, self.head, self.rewrite = Body(), head, rewrite

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Output:
        hidden = self.body(input_ids)
        if self.rewrite:
            hidden = hidden.mean(1)
        return Output(logits=self.head(hidden=hidden) if isinstance(self.head, MixingHead) else self.head(hidden))


def test_an_unknown_model_with_a_position_wise_head_is_served() -> None:
    model = Unusual(nn.Linear(8, 16))
    assert find_position_wise_head(model) is model.head


@pytest.mark.parametrize(
    "model", [Unusual(MixingHead()), Unusual(nn.Linear(8, 16), rewrite=True)], ids=["mixes", "pools"]
)
def test_a_head_that_is_not_position_wise_is_refused(model: nn.Module) -> None:
    assert find_position_wise_head(model) is None


def test_the_fallback_gathers_full_logits() -> None:
    model = Unusual(MixingHead())
    selector = PositionSelector(model)
    ids, index = torch.arange(12).reshape(2, 6), torch.tensor([7, 2])
    expected = logits_of(model(input_ids=ids)).reshape(-1, 16)[index]
    assert selector.head is None
    assert torch.equal(selector.logits({"input_ids": ids}, index), expected)


def test_a_wrapper_may_do_the_forward() -> None:
    model = small_model("gpt2").eval()
    calls = []

    def wrapper(**inputs: torch.Tensor) -> object:
        calls.append(1)
        return model(**inputs)

    index, batch = torch.tensor([4]), padded_batch()
    logits = PositionSelector(model).logits(batch, index, forward=wrapper)
    assert calls == [1]
    torch.testing.assert_close(logits, model(**batch).logits.reshape(-1, 61)[index])


def test_low_precision_heads_are_recognised() -> None:
    assert find_position_wise_head(small_model("deberta-v2").to(torch.bfloat16)) is not None


def test_logits_of_tuples() -> None:
    logits = torch.zeros(1)
    assert logits_of((logits, "states")) is logits
