"""The fast scorer agrees with a slow one written from the definition, for masked and causal models of many kinds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_data import CAUSAL, MASKED, VOCABULARY, language_model, tokenizer_for
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.modeling_outputs import MaskedLMOutput

from babylm_hf.corpus.toy import toy_minimal_pairs
from babylm_hf.errors import OptionError
from babylm_hf.evaluation import score_causal, score_masked, score_sentences, token_log_probabilities
from babylm_hf.evaluation import scoring as scoring_module
from babylm_hf.models import heads


@pytest.fixture(scope="module")
def masked_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer_for("masked")


@pytest.fixture(scope="module")
def causal_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer_for("causal")


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    rows = [row for rows in toy_minimal_pairs(2, 0).values() for row in rows[:1]]
    return [row[name] for row in rows for name in ("sentence_good", "sentence_bad")]


def small_model(family: str) -> Any:
    return language_model(family, positions=128)


def scored_positions(tokenizer: Any, sentence: str, completion: str) -> tuple[list[int], list[int]]:
    """By the definition: a token counts if its characters end after the start of the completion."""
    encoded = tokenizer(sentence, return_offsets_mapping=True)
    start = len(sentence) - len(completion)
    return encoded["input_ids"], [i for i, (_, end) in enumerate(encoded["offset_mapping"]) if end > start]


@torch.no_grad()
def slow_masked(model: Any, tokenizer: Any, sentence: str, completion: str) -> float:
    ids, positions = scored_positions(tokenizer, sentence, completion)
    total = 0.0
    for position in positions:
        masked = list(ids)
        masked[position] = tokenizer.mask_token_id
        logits = model(
            input_ids=torch.tensor([masked]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
        ).logits
        total += float(torch.log_softmax(logits[0, position].double(), -1)[ids[position]])
    return total


@torch.no_grad()
def slow_causal(model: Any, tokenizer: Any, sentence: str, completion: str) -> float:
    ids, positions = scored_positions(tokenizer, sentence, completion)
    logits = model(input_ids=torch.tensor([ids[:-1]])).logits[0].double()
    return sum(float(torch.log_softmax(logits[p - 1], -1)[ids[p]]) for p in positions if p > 0)


@pytest.mark.parametrize("family", MASKED)
def test_masked_models(family: str, masked_tokenizer: Any, sentences: list[str]) -> None:
    model = small_model(family)
    expected = [slow_masked(model, masked_tokenizer, s, s) for s in sentences]
    np.testing.assert_allclose(score_masked(model, masked_tokenizer, sentences), expected, atol=1e-4, rtol=0)
    assert np.ptp(expected) > 10  # the sentences are far apart, so agreement means something


@pytest.mark.parametrize("family", CAUSAL)
@pytest.mark.parametrize("kind", ["causal", "causal-bare", "masked"], ids=["bos", "no-bos", "bos-eos"])
def test_causal_models(family: str, kind: str, sentences: list[str]) -> None:
    model, tokenizer = small_model(family), tokenizer_for(kind)
    expected = [slow_causal(model, tokenizer, s, s) for s in sentences]
    np.testing.assert_allclose(score_causal(model, tokenizer, sentences), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("family", "slow"), [("bert", slow_masked), ("gpt2", slow_causal)])
def test_completions(
    family: str, slow: Any, masked_tokenizer: Any, causal_tokenizer: Any, sentences: list[str]
) -> None:
    """A sentence may be asked for with several completions; one that starts inside a piece takes the whole piece."""
    model = small_model(family)
    tokenizer, backend = (masked_tokenizer, "mlm") if family in MASKED else (causal_tokenizer, "causal")
    texts = [s for s in sentences[:6] for _ in range(3)]
    starts = [start for s in sentences[:6] for start in (0, s.index(" "), len(s) - 4)]
    expected = [slow(model, tokenizer, s, s[start:]) for s, start in zip(texts, starts, strict=True)]
    found = score_sentences(model, tokenizer, texts, backend=backend, starts=starts)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_token_values_stand_in_order(masked_tokenizer: Any, sentences: list[str]) -> None:
    model = small_model("bert")
    values = token_log_probabilities(model, masked_tokenizer, sentences, backend="mlm")
    assert [len(v) for v in values] == [len(masked_tokenizer(s)["input_ids"]) - 2 for s in sentences]
    ids = masked_tokenizer(sentences[0])["input_ids"]
    for position in (1, len(ids) - 2):
        masked = torch.tensor([ids])
        masked[0, position] = masked_tokenizer.mask_token_id
        expected = torch.log_softmax(model(input_ids=masked).logits[0, position], -1)[ids[position]]
        assert abs(expected.item() - values[0][position - 1]) < 1e-5


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """(rows, length, logits) of every forward of the scorer."""
    calls: list[tuple[int, int, int]] = []
    plain = heads.PositionSelector.logits

    def spy(self: Any, inputs: Any, flat_index: torch.Tensor, forward: Any = None) -> torch.Tensor:
        calls.append((*inputs["input_ids"].shape, len(flat_index)))
        return plain(self, inputs, flat_index, forward)

    monkeypatch.setattr(heads.PositionSelector, "logits", spy)
    return calls


def test_nothing_is_computed_twice(masked_tokenizer: Any, forwarded: list[tuple[int, int, int]]) -> None:
    """Repeated sentences cost nothing, and two that differ in one token share the context in which it is masked."""
    model = small_model("bert")
    one, two = "the dog is big.", "the dog is red."
    lengths = [len(masked_tokenizer(s)["input_ids"]) - 2 for s in (one, two)]
    ids = [masked_tokenizer(s)["input_ids"] for s in (one, two)]
    assert len(ids[0]) == len(ids[1])
    score_masked(model, masked_tokenizer, [one, two, one, one])
    shared = 1 if sum(a != b for a, b in zip(*ids, strict=True)) == 1 else 0
    assert sum(rows for rows, _, _ in forwarded) == sum(lengths) - shared
    score_masked(model, masked_tokenizer, [one, one])
    assert sum(rows for rows, _, _ in forwarded) == sum(lengths) - shared + lengths[0]


def test_batches_keep_to_the_budget(
    masked_tokenizer: Any, sentences: list[str], forwarded: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model("bert")
    whole = score_masked(model, masked_tokenizer, sentences)
    forwarded.clear()
    parts = score_sentences(model, masked_tokenizer, sentences, backend="mlm", batch_tokens=100)
    assert max(rows * length for rows, length, _ in forwarded) <= 100
    assert all(logits == rows for rows, _, logits in forwarded)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    forwarded.clear()
    monkeypatch.setattr(scoring_module, "_MAX_LOGITS", 5 * VOCABULARY)
    np.testing.assert_allclose(score_masked(model, masked_tokenizer, sentences), whole, atol=1e-5)
    assert max(logits for _, _, logits in forwarded) == 5


class PooledHead(nn.Module):
    """A masked model whose logits depend on all positions, so that its vocabulary cannot be computed at one alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embedding, self.decoder = nn.Embedding(VOCABULARY, 8), nn.Linear(8, VOCABULARY)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        return MaskedLMOutput(logits=self.decoder(hidden - 3 * hidden.mean(1, keepdim=True)))


def test_heads_that_are_not_position_wise(masked_tokenizer: Any, sentences: list[str]) -> None:
    model = PooledHead()
    expected = [slow_masked(model, masked_tokenizer, s, s) for s in sentences]
    np.testing.assert_allclose(score_masked(model, masked_tokenizer, sentences), expected, atol=1e-4, rtol=0)


def test_scoring_leaves_no_trace(masked_tokenizer: Any, sentences: list[str]) -> None:
    model = small_model("bert").train()
    model.config.hidden_dropout_prob = 0.5
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = score_masked(model, masked_tokenizer, sentences[:2])
    assert torch.equal(torch.rand(2), expected)
    assert model.training
    assert torch.is_grad_enabled()
    assert np.array_equal(first, score_masked(model, masked_tokenizer, sentences[:2]))


def test_half_precision_logits_are_summed_in_full(masked_tokenizer: Any, sentences: list[str]) -> None:
    model = small_model("bert")
    whole = score_masked(model, masked_tokenizer, sentences)
    half = score_masked(model.to(torch.bfloat16), masked_tokenizer, sentences)
    np.testing.assert_allclose(half, whole, rtol=0.05)
    assert len(np.unique(half)) == len(np.unique(whole))


def test_what_has_no_token_to_score(masked_tokenizer: Any, sentences: list[str]) -> None:
    assert score_masked(small_model("bert"), masked_tokenizer, ["", "the"])[0] == 0.0
    assert score_causal(small_model("gpt2"), tokenizer_for("causal-bare"), ["the", ""]).tolist() == [0.0, 0.0]
    assert score_masked(small_model("bert"), masked_tokenizer, []).shape == (0,)


def test_tokenizers_that_cannot_be_used(masked_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without = copy.deepcopy(tokenizer_for("causal"))
    without.mask_token = None
    with pytest.raises(OptionError, match="no mask token"):
        score_masked(small_model("bert"), without, ["the dog."])
    monkeypatch.setattr(type(masked_tokenizer), "is_fast", False)
    with pytest.raises(OptionError, match="fast tokenizer"):
        score_masked(small_model("bert"), masked_tokenizer, ["the dog."])


@pytest.mark.parametrize("vocabulary", [7, 1 << 17, 1 << 19])
def test_log_partitions_are_those_of_all_rows_at_once(vocabulary: int) -> None:
    logits = 20 * torch.randn(5, vocabulary, generator=torch.Generator().manual_seed(0))
    expected = torch.log(torch.exp(logits.double()).sum(-1))
    assert torch.allclose(scoring_module._log_partition(logits).double(), expected, atol=1e-5)
    halves = logits.bfloat16()
    found = scoring_module._log_partition(halves)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), torch.log(torch.exp(halves.double()).sum(-1)), atol=1e-5)


def test_unknown_backends(masked_tokenizer: Any) -> None:
    with pytest.raises(OptionError, match="--backend bogus: the backends are mlm, causal, mntp"):
        score_sentences(small_model("bert"), masked_tokenizer, ["the dog."], backend="bogus")  # type: ignore[arg-type]
