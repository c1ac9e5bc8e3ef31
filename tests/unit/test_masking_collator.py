"""The collator: what it pads, what it masks, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.masking import (
    ConstantRate,
    DataCollatorForDecayingMasking,
    DataCollatorForDynamicMasking,
    MaskingCollator,
    Policy,
    UniformPolicy,
    Vocabulary,
)

V = 300
PAD, CLS, SEP, UNK, MASK = range(5)
VOCABULARY = Vocabulary(V, MASK, PAD, (PAD, CLS, SEP, UNK, MASK))


class Tokenizer:
    """The few attributes of a Hugging Face tokenizer that masking reads."""

    mask_token_id = MASK
    pad_token_id = PAD
    all_special_ids = (MASK, CLS, SEP, PAD, UNK)
    vocab_size = V - 1
    name_or_path = "toy"

    def __len__(self):
        return V


def examples(n=200, shortest=40, longest=40, seed=0):
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        ids = random.integers(5, V, random.integers(shortest, longest + 1))
        ids[0], ids[-1] = CLS, SEP
        made.append({"input_ids": ids.tolist(), "example_id": i})
    return made


def collators(reference=False):
    return [
        DataCollatorForDecayingMasking(Tokenizer(), 0.15, 0.0, reference_behaviour=reference),
        DataCollatorForDynamicMasking(Tokenizer(), "hard", reference_behaviour=reference),
        DataCollatorForDynamicMasking(Tokenizer(), "soft", reference_behaviour=reference),
    ]


# ---- padding


@pytest.mark.parametrize("kind", ["list", "numpy", "tensor", "int32"])
@pytest.mark.parametrize("longest", [40, 60])
def test_padding(kind, longest):
    convert = {"list": list, "numpy": np.array, "tensor": torch.tensor, "int32": lambda v: np.array(v, np.int32)}[kind]
    features = examples(9, 40, longest)
    batch = collators()[0].pad([{**f, "input_ids": convert(f["input_ids"])} for f in features])
    width = max(len(f["input_ids"]) for f in features)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (9, width)
    assert {v.dtype for v in batch.values()} == {torch.int64}
    for i, feature in enumerate(features):
        n = len(feature["input_ids"])
        assert batch["input_ids"][i].tolist() == feature["input_ids"] + [PAD] * (width - n)
        assert batch["attention_mask"][i].tolist() == [1] * n + [0] * (width - n)
    assert batch["example_id"].tolist() == list(range(9))


def test_padding_keeps_given_masks_and_types_and_drops_the_rest():
    features = [
        {
            "input_ids": [1, 7, 8, 2],
            "attention_mask": [1, 1, 0, 1],
            "token_type_ids": [0, 0, 1, 1],
            "text": "a b",
            "example_id": 3,
        },
        {"input_ids": [1, 2], "attention_mask": [1, 1], "token_type_ids": [0, 0], "labels": [9], "example_id": 5},
    ]
    collator = DataCollatorForDecayingMasking(VOCABULARY, pad_to_multiple_of=8)
    batch = collator.pad(features)
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids", "example_id"}
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1, 1, 0, 0, 0, 0], [0] * 8]
    masked = collator.mask(batch, pass_index=0, step=0, total_steps=1)
    assert set(masked) == {"input_ids", "attention_mask", "token_type_ids", "labels"}


@pytest.mark.parametrize("key", ["example_id", "evaluation_id"])
def test_examples_without_a_number_are_refused(key):
    features = examples(3)
    for feature in features:
        feature[key] = feature.pop("example_id")
    del features[1][key]
    with pytest.raises(OptionError, match=rf"remove_unused_columns=False .*add_column\(\"{key}\", range"):
        collators()[0].pad(features)


# ---- masking


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("reference", [False, True])
def test_rate_split_and_eligibility(place, reference):
    # Specification 7 a.
    collator = collators(reference)[place]
    batch = collator.pad(examples(4000))
    masked = collator.mask(batch, pass_index=0, step=0)
    ids, labels, shown = batch["input_ids"], masked["labels"], masked["input_ids"]
    target = labels != -100
    ordinary = ids >= 5
    maskable = torch.ones_like(target) if reference else ordinary
    n = int(maskable.sum())
    assert abs(target.sum() / n - 0.15) < 3 * (0.15 * 0.85 / n) ** 0.5
    assert torch.equal(labels[target], ids[target])
    assert torch.equal(shown[~target], ids[~target])
    assert bool((target & ~ordinary).any()) == reference
    m = int(target.sum())
    assert abs((shown[target] == MASK).float().mean() - 0.8) < 3 * (0.16 / m) ** 0.5 + reference / V
    changed = (shown != ids) & (shown != MASK) & target
    assert abs(changed.sum() / m - 0.1) < 3 * (0.09 / m) ** 0.5 + 0.1 / V
    assert bool((shown[changed] < 5).any()) == reference
    realised = collator.drain()
    assert realised["mask_rate"] == pytest.approx(m / n)
    assert collator.drain() == {}


def test_padding_is_never_selected_in_either_profile():
    for reference in (False, True):
        for collator in collators(reference):
            batch = collator.pad(examples(300, 5, 60))
            masked = collator.mask(batch, pass_index=0, step=0)
            assert (masked["labels"][batch["attention_mask"] == 0] == -100).all()
            assert (masked["input_ids"][batch["attention_mask"] == 0] == PAD).all()


def test_the_callers_batch_is_unchanged():
    # Specification 7 n.
    for collator in collators():
        batch = collator.pad(examples(50))
        before = {name: values.clone() for name, values in batch.items()}
        masked = collator.mask(batch, pass_index=0, step=0)
        masked["input_ids"].fill_(-1)
        masked["labels"].fill_(-1)
        assert all(torch.equal(before[name], batch[name]) for name in before)
        assert set(batch) == set(before)


def test_masks_do_not_depend_on_order_split_or_padding():
    # Specification 7 l; what the rows are padded to may not matter either.
    weights = np.random.default_rng(1).uniform(0.01, 1, V).astype(np.float32)
    for collator in collators():
        if collator.policy.needs_feedback:
            collator.policy.weights = weights
        features = examples(120, 10, 60)
        whole = collator.mask(collator.pad(features), pass_index=3, step=0)
        order = np.random.default_rng(2).permutation(120)
        for part in np.array_split(order, 7):
            some = collator.mask(collator.pad([features[i] for i in part]), pass_index=3, step=9)
            width = some["input_ids"].shape[1]
            for name in ("input_ids", "labels"):
                assert torch.equal(some[name], whole[name][part][:, :width])


def test_masks_differ_between_passes_seeds_and_rows():
    features = examples(100)
    made = []
    for seed, pass_index in [(0, 0), (0, 1), (1, 0)]:
        collator = DataCollatorForDecayingMasking(VOCABULARY, 0.15, 0.0, seed=seed)
        made.append(collator.mask(collator.pad(features), pass_index=pass_index, step=0)["labels"] != -100)
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        overlap = (made[a] & made[b]).sum() / made[a].sum()
        assert overlap < 0.25
    assert not torch.equal(made[0][0], made[0][1])


def test_the_rate_follows_the_step_or_what_the_caller_says():
    collator = DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.25)
    batch = collator.pad(examples(500))
    n = int((batch["input_ids"] >= 5).sum())

    def share(**options):
        return int((collator.mask(batch, pass_index=0, **options)["labels"] != -100).sum()) / n

    assert share(step=0, total_steps=100) == pytest.approx(0.4, abs=0.012)
    assert share(step=99, total_steps=100) == pytest.approx(0.15, abs=0.012)
    assert share(step=99, total_steps=100, rate=0.6) == pytest.approx(0.6, abs=0.012)
    with pytest.raises(OptionError, match="how many steps"):
        share(step=0)
    collator.total_steps = 100
    assert share(step=99) == share(step=99, total_steps=100)
    # Lower rates mask a part of what higher ones do: the draws are the same.
    low = collator.mask(batch, pass_index=0, step=99)["labels"] != -100
    high = collator.mask(batch, pass_index=0, step=0)["labels"] != -100
    assert not (low & ~high).any()


def test_arrays_are_as_good_as_tensors():
    collator = collators()[1]
    batch = collator.pad(examples(30))
    arrays = {name: values.numpy() for name, values in batch.items()}
    a = collator.mask(batch, pass_index=1, step=0)
    b = collator.mask(arrays, pass_index=1, step=0)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_word_starts_are_padded_too():
    features = [
        {"input_ids": [1, 7, 8, 2], "word_starts": [0, 1, 0, 0], "example_id": 3},
        {"input_ids": [1, 9], "word_starts": [0, 1], "example_id": 5},
    ]
    batch = DataCollatorForDecayingMasking(VOCABULARY).pad(features)
    assert batch["word_starts"].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0]]
    masked = DataCollatorForDecayingMasking(VOCABULARY).mask(batch, pass_index=0, step=0, total_steps=1)
    assert set(masked) == {"input_ids", "attention_mask", "labels"}


def test_a_policy_finds_what_else_is_in_the_batch():
    class WordStarts(Policy):
        """Selects what the batch says."""

        def probabilities(self, input_ids, eligible, rate):
            raise AssertionError("not asked")

        def select(self, rows, rate):
            return rows.extras["word_starts"].astype(bool) & rows.eligible

        def describe(self):
            return {"name": "word starts"}

    collator = MaskingCollator(VOCABULARY, rate=ConstantRate(0.15), policy=WordStarts())
    batch = {**collator.pad(examples(10)), "word_starts": torch.arange(40).remainder(2).expand(10, 40), "pass_index": 3}
    target = collator.mask(batch, pass_index=0, step=0)["labels"] != -100
    assert torch.equal(target, (batch["word_starts"] == 1) & (batch["input_ids"] >= 5))


# ---- evaluation


def test_evaluation_masks_are_fixed_and_uniform():
    features = [{"input_ids": f["input_ids"], "evaluation_id": f["example_id"]} for f in examples(3000)]
    made = []
    for collator in [*collators(), DataCollatorForDynamicMasking(VOCABULARY, seed=9, mlm_probability=0.4)]:
        if collator.policy.needs_feedback:
            collator.policy.weights[:100] = 0.9
        made.append(collator(features))  # no pass needed: they never change
        assert collator.drain() == {}
    for other in made[1:]:
        assert all(torch.equal(other[name], made[0][name]) for name in made[0])
    target = made[0]["labels"] != -100
    n = int((torch.where(target, made[0]["labels"], made[0]["input_ids"]) >= 5).sum())
    assert abs(target.sum() / n - 0.15) < 3 * (0.15 * 0.85 / n) ** 0.5
    batch = collators()[0].pad([{"input_ids": f["input_ids"], "example_id": f["evaluation_id"]} for f in features])
    by_hand = collators()[0].mask_for_evaluation(batch)
    assert torch.equal(by_hand["input_ids"], made[0]["input_ids"])


# ---- in a loader


def test_called_without_a_pass_it_refuses():
    with pytest.raises(OptionError, match=r"add_callback\(collator.callback\(\)\)"):
        collators()[0](examples(3))


def test_called_it_counts_the_steps():
    collator = DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.25)
    collator.total_steps = 40
    collator.begin_pass(2, first_step=10, accumulation=3)
    for call in range(9):
        features = examples(20, seed=call)
        expected = collator.mask(collator.pad(features), pass_index=2, step=10 + call // 3)
        made = collator(features)
        assert all(torch.equal(made[name], expected[name]) for name in expected)


def test_it_travels_to_a_worker_without_tokenizer_or_statistics():
    collator = collators()[2]
    collator.loss_function().statistics_on("cpu")
    collator.begin_pass(1)
    copy = pickle.loads(pickle.dumps(collator))
    assert copy._feedback is None
    assert b"Tokenizer" not in pickle.dumps(collator)
    features = examples(20)
    assert torch.equal(copy(features)["input_ids"], collator(features)["input_ids"])


def test_the_description_is_for_the_record():
    for collator in collators():
        described = json.loads(json.dumps(collator.describe()))
        assert described["seed"] == 0
        assert described["rate"] == {"name": "constant", "mlm_prob": 0.15}
    assert collators()[0].describe() != collators(True)[0].describe()


# ---- what a tokenizer must have


@pytest.mark.parametrize("name", ["mask_token", "pad_token"])
def test_a_tokenizer_without_a_mask_or_padding_token_is_refused(name):
    tokenizer = Tokenizer()
    setattr(tokenizer, f"{name}_id", None)
    with pytest.raises(OptionError, match=f"'toy' has no {name}"):
        DataCollatorForDynamicMasking(tokenizer)


def test_the_vocabulary_counts_added_tokens():
    assert Vocabulary.of(Tokenizer()) == VOCABULARY
    assert Vocabulary.of(Tokenizer()).size == V  # not `vocab_size`, which leaves out an added [MASK]
    assert np.flatnonzero(~VOCABULARY.ordinary()).tolist() == [0, 1, 2, 3, 4]


def test_ids_beyond_the_vocabulary_are_refused():
    collator = collators()[0]
    batch = collator.pad([{"input_ids": [1, 300, 2], "example_id": 0}])
    with pytest.raises(CorpusError, match="token id 300, but the tokenizer has only 300"):
        collator.mask(batch, pass_index=0, step=0)
    with pytest.raises(OptionError, match="no 'example_id'"):
        collator.mask({"input_ids": batch["input_ids"]}, pass_index=0, step=0)


def test_custom_parts():
    collator = MaskingCollator(VOCABULARY, rate=ConstantRate(0.5), policy=UniformPolicy())
    masked = collator.mask(collator.pad(examples(200)), pass_index=0, step=0)
    assert 0.4 < (masked["labels"] != -100).float().mean() < 0.55
