"""NELBO, pseudo-log-likelihood and causal likelihood against enumeration, closed forms and the models themselves."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from tiny import tiny_lines, tiny_model, tiny_tokenizer
from tiny_diffusion import BOS, EOS, MASK, PAD, diffusion_config, random_diffusion_model
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.modeling_outputs import MaskedLMOutput

from babylm_hf.errors import OptionError
from babylm_hf.evaluation.likelihood import causal_likelihood, nelbo, pseudo_log_likelihood
from babylm_hf.evaluation.scoring import score_sentences
from babylm_hf.evaluation.text_rows import rows_of_texts
from babylm_hf.masking.schedules import BimodalNoise, CosineNoise, CosineSquaredNoise, GaussianNoise, LinearNoise
from babylm_hf.masking.vocabulary import Vocabulary
from babylm_hf.models.diffusion import BabyLMDiffusionForMaskedLM

VOCABULARY = Vocabulary(size=40, mask_id=MASK, pad_id=PAD, special_ids=(0, BOS, EOS, PAD, MASK, 5, 6, 7))
SCHEDULES = [LinearNoise(), CosineNoise(), CosineSquaredNoise(), GaussianNoise(0.5, 0.5)]


class Masked(torch.nn.Module):
    """Logits by a function of (input_ids, rate)."""

    def __init__(self, logits):
        super().__init__()
        self.config, self.logits, self.anchor = diffusion_config(), logits, torch.nn.Parameter(torch.zeros(()))

    def forward(self, input_ids, attention_mask=None, labels=None, mask_rate=None):
        rate = torch.zeros(len(input_ids)) if mask_rate is None else mask_rate
        return MaskedLMOutput(logits=self.logits(input_ids, rate))


def constant(ids, rate):
    return torch.zeros(*ids.shape, 40)


def toy(ids, rate):
    """Cross-entropy 1 + .1 k of token 10 wherever k tokens are masked (the toy check of the spec's 2.4)."""
    loss = 1 + 0.1 * (ids == MASK).sum(1)
    logits = torch.full((*ids.shape, 40), -1e9)
    logits[..., 10] = -loss[:, None]
    logits[..., 20] = torch.log(1 - torch.exp(-loss))[:, None]
    return logits


def enumerated(model, row):
    """The bound of a short row by all subsets of its tokens: those of size k have the weight 1 / (k C(n, k))."""
    tokens = [i for i, token in enumerate(row) if token not in VOCABULARY.special_ids]
    n, total = len(tokens), 0.0
    for k in range(1, n + 1):
        for subset in map(list, combinations(tokens, k)):
            ids = torch.tensor([row])
            ids[0, subset] = MASK
            with torch.no_grad():
                logits = model(ids, mask_rate=torch.tensor([k / n])).logits[0].double()
            logits[:, MASK] = -math.inf
            log_p = torch.log_softmax(logits, -1)
            total -= sum(float(log_p[i, row[i]]) for i in subset) / (k * math.comb(n, k))
    return total


def test_the_toy_check():
    """L = 5, cross-entropies 1 + .1 k: the bound is 6.5, by either form."""
    rows = [[BOS, 10, 10, 10, 10, 10]]
    exact = nelbo(Masked(toy), rows, VOCABULARY, draws=5)
    assert exact.nats_per_token * exact.tokens == pytest.approx(6.5, abs=1e-5)
    assert enumerated(Masked(toy), rows[0]) == pytest.approx(6.5, abs=1e-5)
    rough = nelbo(Masked(toy), rows, VOCABULARY, form="continuous", draws=4000)
    assert rough.nats_per_token * 5 == pytest.approx(6.5, abs=4 * rough.standard_error * 5)
    assert rough.standard_error * 5 < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_both_forms_agree_with_enumeration(seed):
    """A model that uses the context and not the rate (it is told one that differs between the forms)."""
    model, row = random_diffusion_model(seed), [BOS, 10, 21, 12, 33, 14, EOS]
    with torch.no_grad():
        for layer in model.model.layers:
            layer.modulation.weight.zero_()
    exact = enumerated(model, row)
    for form, draws in (("order_agnostic", 1000), ("continuous", 4000)):
        found = nelbo(model, [row], VOCABULARY, form=form, schedule="cosine", draws=draws)
        assert found.tokens == 5
        assert found.nats_per_token * 5 == pytest.approx(exact, abs=4 * 5 * found.standard_error)
        assert found.standard_error < 0.05 * found.nats_per_token


def test_a_time_conditioned_model_is_told_the_masked_share():
    model, row = random_diffusion_model(), [BOS, 10, 21, 12, 33]
    found = nelbo(model, [row], VOCABULARY, draws=2000)
    assert found.nats_per_token * 4 == pytest.approx(enumerated(model, row), abs=4 * 4 * found.standard_error)
    rates = []
    told = Masked(lambda ids, rate: (rates.append((rate, (ids == MASK).sum(1))), constant(ids, rate))[1])
    nelbo(told, [row], VOCABULARY, draws=8)
    for rate, masks in rates[-1:]:
        assert torch.allclose(rate, masks / 4)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_a_constant_model_has_the_entropy_of_the_vocabulary(schedule):
    """39 tokens remain without the mask token. A row's bound varies with the number of its masks; the mean does not.

    The Gaussian schedule draws no rate below .001, which leaves out that part of the integral.
    """
    rows = [[BOS, *range(10, 30)]] * 40
    found = nelbo(Masked(constant), rows, VOCABULARY, form="continuous", schedule=schedule, draws=50)
    lost = 1e-3 if schedule.name == "gaussian" else 0.0
    assert found.nats_per_token == pytest.approx(math.log(39) * (1 - lost), abs=4 * found.standard_error)
    assert found.standard_error < 0.05
    times = (np.arange(100_000) + 0.5) / 100_000
    assert schedule.at(times, 1.0)[1].mean() == pytest.approx(1 - lost, abs=2e-4)


def test_the_order_agnostic_form_of_a_constant_model_has_no_variance():
    rows = [[BOS, *range(10, 10 + n)] for n in (1, 2, 7, 20)]
    found = nelbo(Masked(constant), rows, VOCABULARY, draws=3)
    assert found.nats_per_token == pytest.approx(math.log(39), abs=1e-6)
    assert found.standard_error < 1e-7
    assert found.perplexity == pytest.approx(39, abs=1e-3)
    kept = nelbo(Masked(constant), rows, VOCABULARY, draws=3, remove_mask=False)
    assert kept.perplexity == pytest.approx(40, abs=1e-3)


def test_a_schedule_that_leaves_out_rates_is_refused():
    wide = BimodalNoise(left_deviation=0.4, right_deviation=0.4)  # what lies outside (0, 1) is put on its edges
    for schedule in (GaussianNoise(0.3, 0.1), BimodalNoise(), wide):
        with pytest.raises(OptionError, match="add up to"):
            nelbo(Masked(constant), [[BOS, 10]], VOCABULARY, form="continuous", schedule=schedule)
    with pytest.raises(OptionError, match="not exact"):
        nelbo(Masked(constant), [[10]], VOCABULARY, form="continuous", schedule=GaussianNoise(0.5, 0.5, reference=True))


def test_the_standard_error_is_that_of_repeated_measurements():
    """Over 60 seeds the estimate scatters as it says; the collapsed strata may only overstate it."""
    model, rows = random_diffusion_model(), [[BOS, 10, 21, 12, 33, 14, 15], [BOS, 22, 31]]
    for form in ("order_agnostic", "continuous"):
        found = [nelbo(model, rows, VOCABULARY, form=form, draws=8, seed=seed) for seed in range(60)]
        scatter = np.std([f.nats_per_token for f in found], ddof=1)
        stated = math.sqrt(np.mean([f.standard_error**2 for f in found]))
        assert 0.75 * scatter < stated < 2 * scatter


def test_batches_padding_and_order_change_nothing():
    model = random_diffusion_model()
    rows = [[BOS, 10, 21, 12], [BOS, 22, 31], [BOS, 9, 8, 11, 12, 13, 14]]
    whole = nelbo(model, rows, VOCABULARY, draws=6, seed=3)
    small = nelbo(model, [[*row, PAD, PAD] for row in rows], VOCABULARY, draws=6, seed=3, batch_tokens=1)
    assert np.allclose(whole.row_nats, small.row_nats, rtol=1e-5)
    assert whole.tokens == small.tokens == 3 + 2 + 6
    other = nelbo(model, rows, VOCABULARY, draws=6, seed=4)
    assert not np.allclose(whole.row_nats, other.row_nats, rtol=1e-5)


def test_special_tokens_count_only_when_asked():
    rows = [[BOS, 10, 11, EOS]]
    assert nelbo(Masked(constant), rows, VOCABULARY).tokens == 2
    assert nelbo(Masked(constant), rows, VOCABULARY, also=(EOS,)).tokens == 3
    with pytest.raises(OptionError, match="no token"):
        nelbo(Masked(constant), [[BOS, EOS]], VOCABULARY)
    with pytest.raises(OptionError, match="draws"):
        nelbo(Masked(constant), rows, VOCABULARY, draws=1)


def test_bits_per_byte():
    found = nelbo(Masked(constant), [[BOS, 10, 11, 12]], VOCABULARY, text_bytes=6)
    assert found.bits_per_byte == pytest.approx(3 * math.log2(39) / 6, abs=1e-6)
    assert found.to_dict()["bits_per_byte"] == found.bits_per_byte
    assert nelbo(Masked(constant), [[BOS, 10]], VOCABULARY).bits_per_byte is None


def test_pseudo_log_likelihood_is_that_of_the_scoring_engine_and_depends_on_the_time():
    tokenizer, sentences = tiny_tokenizer(), list(tiny_lines()[:5])
    rows = tokenizer(sentences)["input_ids"]
    plain = tiny_model()
    expected = score_sentences(plain, tokenizer, sentences, backend="mlm")
    assert np.allclose(pseudo_log_likelihood(plain, rows, tokenizer), expected, rtol=1e-4)
    with pytest.raises(OptionError, match="time"):
        pseudo_log_likelihood(plain, rows, tokenizer, time="zero")
    model, row = random_diffusion_model(), [BOS, 10, 21, 12, 33]
    zero, inverse, default = (
        float(pseudo_log_likelihood(model, [row], VOCABULARY, time=time)[0])
        for time in ("zero", "inverse_length", None)
    )
    assert zero == default
    assert abs(zero - inverse) > 1e-3
    by_hand = 0.0
    for i in range(1, 5):
        ids = torch.tensor([row])
        ids[0, i] = MASK
        with torch.no_grad():
            by_hand += float(torch.log_softmax(model(ids, mask_rate=0.2).logits[0, i], -1)[row[i]])
    assert inverse == pytest.approx(by_hand, rel=1e-4)


def test_at_its_start_the_time_changes_nothing():
    torch.manual_seed(0)
    model = BabyLMDiffusionForMaskedLM(diffusion_config()).eval()
    rows = [[BOS, 10, 21, 12, 33]]
    values = [pseudo_log_likelihood(model, rows, VOCABULARY, time=time) for time in ("zero", "inverse_length")]
    assert np.array_equal(*values)


def test_a_causal_model_has_its_exact_likelihood():
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    size = len(tokenizer)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=32, n_layer=1, n_head=2, n_positions=128)).eval()
    texts = list(tiny_lines()[:6])
    made = rows_of_texts(tokenizer, texts, 128, begin=True)
    found = causal_likelihood(model, made.rows, tokenizer, text_bytes=made.text_bytes)
    special = torch.tensor(tokenizer.all_special_ids)
    total, tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor(tokenizer(text)["input_ids"])
        with torch.no_grad():
            log_p = torch.log_softmax(model(ids[None]).logits[0], -1)
        counts = ~torch.isin(ids[1:], special)
        total -= float(log_p[:-1].gather(1, ids[1:, None])[counts].sum())
        tokens += int(counts.sum())
    assert found.tokens == tokens
    assert found.nats_per_token == pytest.approx(total / tokens, rel=1e-5)
    assert found.standard_error == 0
    assert found.draws == 0
    assert found.bits_per_byte == pytest.approx(
        total / math.log(2) / sum(len(text.encode()) for text in texts), rel=1e-5
    )


def test_long_texts_are_cut_into_rows_without_loss():
    tokenizer, text = tiny_tokenizer(), " ".join(tiny_lines()[:8])
    whole = rows_of_texts(tokenizer, [text], 10_000)
    cut = rows_of_texts(tokenizer, [text], 12)
    special = set(tokenizer.all_special_ids)
    assert max(map(len, cut.rows)) <= 12
    assert len(whole.rows) == 1
    assert [i for row in cut.rows for i in row if i not in special] == [i for i in whole.rows[0] if i not in special]
    assert cut.text_bytes == len(text.encode())
    with pytest.raises(OptionError, match="max_length"):
        rows_of_texts(tokenizer, [text], 2)
