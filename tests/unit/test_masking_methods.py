"""What holds for every masking method: its rate, what it leaves alone, and what its masks may and may not depend on."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from babylm_hf.errors import OptionError
from babylm_hf.masking import (
    AdaptivePolicy,
    ConstantRate,
    DataCollatorForDecayingMasking,
    DataCollatorForDiffusionMasking,
    DataCollatorForDynamicMasking,
    DataCollatorForFrequencyMasking,
    DataCollatorForGuidedMasking,
    ExactPolicy,
    FrequencyPolicy,
    MaskingCollator,
    NoiseRate,
    SketchShape,
    SpanPolicy,
    TokenFeatures,
    UniformPolicy,
    Vocabulary,
    WholeWordPolicy,
    WordBoundaries,
    make_noise,
)

V = 600
VOCABULARY = Vocabulary(V, 4, 0, (0, 1, 2, 3, 4))
WORD_TOKENS = [f"{'##' if i % 3 == 0 else ''}w{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}rd" for i in range(V - 5)]
FEATURES = TokenFeatures.of(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *WORD_TOKENS])
COUNTS = np.maximum(10**6 / np.arange(1, V + 1), 1).astype(np.int64)
BEGINS = np.arange(V) % 3 != 0
BOUNDARIES = WordBoundaries(BEGINS, np.zeros(V, bool), np.zeros(V, bool))
STEPS = 1000
LATE = 900
GUIDED = ["accuracy_morph", "entity_accuracy_morph", "cms_morph", "hhm", "entity_only", "error_only"]
CONTROLS = ["random", "frequency_only", "random_sketch"]
NOISE = ["linear", "cosine", "cosine_squared", "gaussian", "bimodal"]


def taught(collator):
    """With a policy that has learnt something."""
    policy, random = collator.policy, np.random.default_rng(3)
    collator.total_steps = STEPS
    if isinstance(policy, AdaptivePolicy):
        policy.weights = random.uniform(0.02, 0.4, V).astype(np.float32)
    elif hasattr(policy, "hard"):
        policy.hard.add(random.integers(0, 200, V))
        policy._rescore()
    elif hasattr(policy, "error_weights"):
        for _ in range(50):
            policy.learn(random.integers(5, V, 30), random.exponential(3, 30))
    elif hasattr(policy, "seen"):
        seen = random.integers(0, 200, V)
        policy.learn(seen, random.integers(0, seen + 1))
    return collator


def methods(reference=False):
    """Every method of the field, by name."""
    made = {
        "uniform": DataCollatorForDecayingMasking(VOCABULARY, 0.15, 0.0),
        "hard": DataCollatorForDynamicMasking(VOCABULARY, "hard"),
        "soft": DataCollatorForDynamicMasking(VOCABULARY, "soft"),
        "frequency": DataCollatorForFrequencyMasking(VOCABULARY, COUNTS, exponent=0.1, reference_behaviour=reference),
        "whole words": MaskingCollator(
            VOCABULARY, rate=ConstantRate(0.15), policy=WholeWordPolicy(boundaries=BOUNDARIES)
        ),
        "spans": MaskingCollator(VOCABULARY, rate=ConstantRate(0.15), policy=SpanPolicy(boundaries=BOUNDARIES)),
    }
    for name in NOISE:
        made[f"noise {name}"] = DataCollatorForDiffusionMasking(VOCABULARY, name, reference_behaviour=reference)
    made["noise and frequency"] = DataCollatorForDiffusionMasking(
        VOCABULARY, "cosine", token_counts=COUNTS, reference_behaviour=reference
    )
    adaptive = AdaptivePolicy(V, VOCABULARY.special_ids, 0.36)
    made["noise and adaptive"] = MaskingCollator(VOCABULARY, rate=NoiseRate(make_noise("cosine")), policy=adaptive)
    for kind in GUIDED + CONTROLS:
        made[kind] = DataCollatorForGuidedMasking(
            VOCABULARY,
            kind,
            features=FEATURES,
            token_counts=None if reference else COUNTS,
            reference_behaviour=reference,
            sketch=SketchShape(4096),
        )
    return {name: taught(collator) for name, collator in made.items()}


METHODS = methods()
BOTH = {**METHODS, **{f"{name}, reference": collator for name, collator in methods(True).items()}}


def examples(n, shortest=102, longest=102, seed=0):
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, V - 4)
    made = []
    for i in range(n):
        ids = random.choice(np.arange(5, V), random.integers(shortest, longest + 1), p=share / share.sum())
        ids[0], ids[-1] = 1, 2
        made.append({"input_ids": ids.tolist(), "example_id": i})
    return made


def expected_rate(collator, step=LATE):
    return collator.rate.at(step, STEPS)


LONG = examples(1000)


@pytest.mark.parametrize("name", BOTH)
def test_the_realised_rate_at_a_hundred_thousand_tokens(name):
    # Within 1 %: exact numbers always, independent draws on average.
    collator = BOTH[name]
    batch = {**collator.pad(LONG), "places": torch.arange(1000), "step_rows": 1000}
    masked = collator.mask(batch, pass_index=3, step=LATE)
    maskable = batch["input_ids"] >= 5
    realised = float((masked["labels"] != -100)[maskable].double().mean())
    if name == "frequency, reference" or name == "noise and frequency, reference":
        # There special tokens take part in the scaling of a row, and what falls to them is lost.
        assert realised == pytest.approx(expected_rate(collator), abs=0.015)
        return
    spread = 0.01 if name == "spans" or "noise" in name else 0.004
    assert realised == pytest.approx(expected_rate(collator), abs=spread)
    if isinstance(collator.policy, ExactPolicy) or name.removesuffix(", reference") in GUIDED + CONTROLS:
        assert realised == 0.15


@pytest.mark.parametrize("name", METHODS)
def test_the_expected_rate_is_the_rate(name):
    collator = METHODS[name]
    batch = collator.pad(LONG[:64])
    rows = collator.rows_of(batch, pass_index=3, step=LATE)
    rate = collator.rate.draw(rows).rate
    chance = collator.policy.inclusion(rows, rate, 400)
    per_row = chance.sum(axis=1) / 100
    np.testing.assert_allclose(per_row, np.broadcast_to(rate, 64), atol=1e-6)
    assert not chance[~rows.eligible].any()
    assert chance.min() >= 0
    assert chance.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", BOTH)
def test_special_tokens_and_padding_are_never_chosen(name):
    collator = BOTH[name]
    batch = collator.pad(examples(300, 3, 60))
    for step in (0, LATE):
        masked = collator.mask(batch, pass_index=2, step=step)
        ordinary = (batch["input_ids"] >= 5) & (batch["attention_mask"] == 1)
        target = masked["labels"] != -100
        assert not (target & ~ordinary).any()
        assert torch.equal(masked["input_ids"][~target], batch["input_ids"][~target])
        assert torch.equal(masked["labels"][target], batch["input_ids"][target])
        assert target.any()


@pytest.mark.parametrize("name", METHODS)
def test_masks_do_not_depend_on_order_split_or_padding(name):
    collator = METHODS[name]
    features = examples(96, 20, 60)
    batch = {**collator.pad(features), "places": torch.arange(96), "step_rows": 96}
    before = {key: torch.as_tensor(value).clone() for key, value in batch.items()}
    whole = collator.mask(batch, pass_index=3, step=LATE)
    for part in np.array_split(np.random.default_rng(2).permutation(96), 7):
        some = {**collator.pad([features[i] for i in part]), "places": torch.as_tensor(part), "step_rows": 96}
        masked = collator.mask(some, pass_index=3, step=LATE)
        width = masked["input_ids"].shape[1]
        assert masked.keys() == whole.keys()
        for key, values in masked.items():
            expected = whole[key][part]
            assert torch.equal(values, expected[:, :width] if expected.ndim == 2 else expected), key
    assert all(torch.equal(before[key], torch.as_tensor(batch[key])) for key in before)


@pytest.mark.parametrize("name", METHODS)
def test_masks_are_fresh_in_every_pass_and_repeatable(name):
    collator = METHODS[name]
    batch = collator.pad(LONG[:200])
    first, second = (collator.mask(batch, pass_index=p, step=LATE)["labels"] != -100 for p in (3, 4))
    assert torch.equal(collator.mask(batch, pass_index=3, step=LATE)["labels"] != -100, first)
    overlap = float((first & second).sum() / first.sum())
    # Where a method prefers some tokens, or all of some rows, two passes share more than chance would have it.
    assert overlap < (0.75 if "noise" in name else 0.5)
    copy = pickle.loads(pickle.dumps(collator))
    assert torch.equal(copy.mask(batch, pass_index=3, step=LATE)["labels"] != -100, first)


@pytest.mark.parametrize("name", BOTH)
def test_methods_describe_themselves(name):
    described = json.loads(json.dumps(BOTH[name].describe()))
    assert described["policy"]["name"]
    assert described["rate"]["name"]
    made_here = not name.startswith(("uniform", "hard", "soft", "whole words", "spans", "noise and adaptive"))
    assert described["reference_behaviour"] == ("reference" in name and made_here)
    json.dumps(BOTH[name].policy.summary())
    state = BOTH[name].policy.state()
    BOTH[name].policy.load_state({key: np.array(values) for key, values in state.items()})


# ---- what diffusion adds to a batch


@pytest.mark.parametrize("name", [name for name in BOTH if "noise" in name])
def test_a_weighted_batch(name):
    collator = BOTH[name]
    batch = {**collator.pad(examples(64, 20, 60)), "places": torch.arange(64), "step_rows": 64}
    masked = collator.mask(batch, pass_index=1, step=LATE)
    weights, target = masked["loss_weights"], masked["labels"] != -100
    assert weights.dtype == masked["mask_rate"].dtype == torch.float32
    assert torch.isfinite(weights).all()
    assert not weights[~target].any()
    assert (weights[target] > 0).all()
    maskable = (batch["input_ids"] >= 5) & (batch["attention_mask"] == 1)
    assert torch.equal(masked["maskable"], maskable.sum(1))
    rows = collator.rows_of(batch, pass_index=1, step=LATE)
    drawn = collator.rate.draw(rows)
    np.testing.assert_allclose(weights[target], drawn.weight[np.nonzero(target.numpy())[0]], rtol=1e-6)
    if "reference" in name and isinstance(collator.policy, UniformPolicy):
        assert torch.allclose(masked["mask_rate"], target.float().mean(1))
    else:
        np.testing.assert_allclose(masked["mask_rate"], drawn.rate, rtol=1e-6)
    if isinstance(collator, DataCollatorForDiffusionMasking):  # everything chosen is shown as the mask token
        assert (masked["input_ids"][target] == 4).all()


def test_weights_by_token_are_the_policy_s():
    collator = MaskingCollator(
        VOCABULARY,
        rate=NoiseRate(make_noise("cosine")),
        policy=FrequencyPolicy(COUNTS, 0.5, curriculum=False),
        weighting="token",
    )
    batch = {**collator.pad(LONG[:64]), "places": torch.arange(64), "step_rows": 64}
    masked = collator.mask(batch, pass_index=0, step=0)
    rows = collator.rows_of(batch, pass_index=0, step=0)
    drawn = collator.rate.draw(rows)
    target = masked["labels"].numpy() != -100
    exact = drawn.slope[:, None] * collator.policy.log_slope(rows, drawn.rate)
    np.testing.assert_allclose(masked["loss_weights"].numpy()[target], exact[target], rtol=1e-6)
    assert collator.describe()["loss_weighting"] == "token"
    # Whatever its frequency, each token then weighs 1 on average; the mean over a batch is near it.
    assert float(masked["loss_weights"].sum() / masked["maskable"].sum()) == pytest.approx(1, abs=0.1)


def test_a_constant_loss_gives_the_constant():
    # Acceptance test 7: a model with constant logits has the loss ln V under every exact schedule.
    for name in ("linear", "cosine", "cosine_squared"):
        collator = METHODS[f"noise {name}"]
        batch = {**collator.pad(LONG), "places": torch.arange(1000), "step_rows": 1000}
        masked = collator.mask(batch, pass_index=5, step=0)
        loss = float((masked["loss_weights"] * np.log(V)).sum() / masked["maskable"].sum())
        assert loss == pytest.approx(np.log(V), rel=0.02)


# ---- a prior by hand


@pytest.mark.parametrize("name", METHODS)
def test_a_prior_tilts_every_method_at_its_rate(name):
    collator = METHODS[name]
    prior = np.ones(V)
    prior[5:25], prior[25:60] = 0.25, 4.0
    plain, other = (pickle.loads(pickle.dumps(collator)) for _ in range(2))
    tilted = MaskingCollator(VOCABULARY, rate=other.rate, policy=other.policy, prior=prior)
    plain.total_steps = tilted.total_steps = STEPS
    batch = {**plain.pad(LONG), "places": torch.arange(1000), "step_rows": 1000}
    ids = batch["input_ids"].numpy()
    a, b = (c.mask(batch, pass_index=3, step=LATE)["labels"].numpy() != -100 for c in (plain, tilted))
    assert b.sum() == pytest.approx(a.sum(), rel=0.05)
    seldom, often = (ids >= 5) & (ids < 25), (ids >= 25) & (ids < 60)
    # A span takes its neighbours along, whatever they are.
    least = 1.05 if name == "spans" else 1.2
    assert b[seldom].mean() < a[seldom].mean() / least
    assert b[often].mean() > a[often].mean() * least
    assert plain.describe() != tilted.describe()


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("whole words", "spans")])
def test_tokens_of_prior_0_are_never_targets(name):
    other = pickle.loads(pickle.dumps(METHODS[name]))
    collator = MaskingCollator(
        VOCABULARY, rate=other.rate, policy=other.policy, prior=(np.arange(V) >= 25).astype(float), total_steps=STEPS
    )
    batch = collator.pad([*LONG[:200], {"input_ids": [1, *range(5, 25), 2], "example_id": 1000}])
    target = collator.mask(batch, pass_index=3, step=LATE)["labels"] != -100
    assert not target[batch["input_ids"] < 25].any()
    assert target.any()


@pytest.mark.parametrize(
    "prior", [np.ones(V - 1), np.full(V, -1.0), np.full(V, np.nan), (np.arange(V) < 5).astype(float), [[1.0] * V]]
)
def test_priors_that_cannot_be_used(prior):
    with pytest.raises(OptionError, match="--mask_prior must be 600 numbers"):
        MaskingCollator(VOCABULARY, rate=ConstantRate(0.15), policy=UniformPolicy(), prior=prior)


def test_a_prior_of_equal_weights_changes_no_probability():
    for name in ("uniform", "hard", "frequency"):
        collator = methods()[name]
        rows = collator.rows_of(collator.pad(LONG[:20]), pass_index=3, step=LATE)
        before = collator.policy.inclusion(rows, 0.15)
        collator.policy.prior = np.full(V, 2.5)
        np.testing.assert_allclose(collator.policy.inclusion(rows, 0.15), before, rtol=1e-9)


# ---- refusals of the collators


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DataCollatorForFrequencyMasking(VOCABULARY, [1, 2]), "token counts are for 2 ids"),
        (lambda: DataCollatorForDiffusionMasking(VOCABULARY, "sine"), "--noise_schedule"),
        (
            lambda: DataCollatorForDiffusionMasking(VOCABULARY, token_counts=COUNTS, policy=UniformPolicy()),
            "leave them out",
        ),
        (
            lambda: MaskingCollator(VOCABULARY, rate=ConstantRate(0.1), policy=UniformPolicy(), weighting="row"),
            "--loss_weighting",
        ),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(OptionError, match=says):
        make()


def test_diffusion_without_an_exponent_or_counts_is_uniform():
    for options in ({}, {"token_counts": COUNTS, "exponent": 0.0}):
        assert isinstance(DataCollatorForDiffusionMasking(VOCABULARY, **options).policy, UniformPolicy)
    assert isinstance(DataCollatorForDiffusionMasking(VOCABULARY, token_counts=COUNTS).policy, FrequencyPolicy)
