"""The probability of each token of a sentence to be masked now: equal to how often it is."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.masking import (
    AdaptivePolicy,
    DataCollatorForDecayingMasking,
    DataCollatorForDiffusionMasking,
    DataCollatorForGuidedMasking,
    MaskingCollator,
    NoiseRate,
    make_noise,
    mask_probabilities,
    sentence_probabilities,
)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def observed(collator, ids, step, draws=20_000):
    ids = np.repeat(np.array([ids]), draws, axis=0)
    batch = {"input_ids": ids, "example_id": np.arange(draws), "places": np.arange(draws), "step_rows": draws}
    return (collator.mask(batch, pass_index=0, step=step)["labels"].numpy() != -100).mean(axis=0)


def test_a_sentence_token_by_token(tokenizer):
    collator = DataCollatorForDecayingMasking(tokenizer, 0.4, 0.25)
    line = tiny_lines()[3]
    shown = sentence_probabilities(collator, tokenizer, line, step=50, total_steps=100)
    assert tokenizer.decode([t.token_id for t in shown], skip_special_tokens=True).strip() == line.strip()
    assert [t.token for t in shown[:1]] == ["[CLS]"]
    assert shown[0].probability == shown[-1].probability == 0
    assert {round(t.probability, 12) for t in shown[1:-1]} == {0.275}


@pytest.mark.parametrize("name", ["adaptive", "guided", "noise", "noise and adaptive"])
def test_probabilities_are_frequencies(tokenizer, name):
    size = len(tokenizer)
    random = np.random.default_rng(0)
    adaptive = AdaptivePolicy(
        size, tokenizer.all_special_ids, 0.3, initial_weights=random.uniform(0.05, 1, size).astype(np.float32)
    )
    collator = {
        "adaptive": lambda: MaskingCollator(tokenizer, rate=NoiseRate(make_noise("linear")), policy=adaptive),
        "guided": lambda: DataCollatorForGuidedMasking(tokenizer, mlm_probability=0.4, shares=(0.2, 0.5, 0.3)),
        "noise": lambda: DataCollatorForDiffusionMasking(tokenizer, "bimodal"),
        "noise and adaptive": lambda: MaskingCollator(tokenizer, rate=NoiseRate(make_noise("cosine")), policy=adaptive),
    }[name]()
    collator.total_steps = 100
    if name == "guided":
        seen = random.integers(0, 50, size)
        collator.policy.learn(seen, random.integers(0, seen + 1))
    ids = tokenizer(" ".join(tiny_lines()[:2]))["input_ids"]
    found = mask_probabilities(collator, ids, step=90)
    expected = observed(collator, ids, 90)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert found.std() > 0.02 or name == "noise"
    again = mask_probabilities(collator, ids, step=90)
    assert np.array_equal(found, again)


def test_now_is_the_step_that_is_asked_for(tokenizer):
    collator = DataCollatorForGuidedMasking(tokenizer, shares=(0.2, 0.5, 0.3))
    collator.total_steps = 100
    seen = np.full(len(tokenizer), 50)
    collator.policy.learn(seen, np.arange(len(tokenizer)) % 50)
    ids = tokenizer(" ".join(tiny_lines()[:3]))["input_ids"]
    before, after = (mask_probabilities(collator, ids, step=step, draws=2000) for step in (10, 90))
    assert before[1:-1].std() < after[1:-1].std()
