"""The masks and the learning of every kind of method do not depend on workers, processes or micro-batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import PLAIN_TRAINING
from torch.utils.data import DataLoader

from babylm_hf.errors import OptionError
from babylm_hf.masking import (
    DataCollatorForDiffusionMasking,
    DataCollatorForFrequencyMasking,
    DataCollatorForGuidedMasking,
    HeavyHitterPolicy,
    MaskingCollator,
    NoiseRate,
    TokenFeatures,
    TokenStatistics,
    UniformPolicy,
    Vocabulary,
    make_noise,
)

V = 120
VOCABULARY = Vocabulary(V, 4, 0, (0, 1, 2, 3, 4))
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
FEATURES = TokenFeatures.of([*SPECIAL, *(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(V - 5))])
LENGTH = 24


def examples(n=64, seed=0):
    random = np.random.default_rng(seed)
    return [{"input_ids": random.integers(5, 45, LENGTH).tolist(), "example_id": i} for i in range(n)]


def collator(name):
    if name == "diffusion":
        return DataCollatorForDiffusionMasking(VOCABULARY, "bimodal", token_counts=np.arange(V, 0, -1), exponent=0.5)
    if name == "frequency":
        return DataCollatorForFrequencyMasking(VOCABULARY, np.arange(V, 0, -1), 0.3, 0.1)
    made = DataCollatorForGuidedMasking(VOCABULARY, name, 0.3, features=FEATURES, warmup=1, mask_update_steps=4)
    if name == "accuracy_morph":
        made.policy.learn(np.full(V, 50), np.arange(V) % 50)
    return made


# ---- workers


def load(name, workers, method=None):
    made = collator(name)
    made.total_steps = 12
    made.begin_pass(2, first_step=8, accumulation=2)
    return list(
        DataLoader(examples(), batch_size=8, collate_fn=made, num_workers=workers, multiprocessing_context=method)
    )


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("accuracy_morph", "fork"),
        ("accuracy_morph", "spawn"),
        ("hhm", "fork"),
        ("frequency", "fork"),
        ("diffusion", "fork"),
    ],
)
def test_masks_are_the_same_at_any_number_of_workers(name, method):
    alone, many = load(name, 0), load(name, 2, method)
    assert len(alone) == len(many) == 8
    for a, b in zip(alone, many, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


# ---- two processes


def draws():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, V, (4001,), generator=generator)
    loss = torch.rand(4001, generator=generator) * 9
    return ids, torch.rand(4001, generator=generator) < 0.3, loss


def process(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        policy = HeavyHitterPolicy(FEATURES, warmup=0, capacity=40)
        statistics = TokenStatistics(V, keep_targets=True)
        for values in ([v[rank::2] for v in draws()], [v[:rank] for v in draws()]):  # the second: 0 and 1 targets
            statistics.observe(*values)
            policy.update(statistics, 0, 0.15)
        np.savez(f"{folder}/{rank}.npz", weights=policy.error_weights, members=policy.members)
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_learn_as_one_from_the_losses_of_a_step(tmp_path):
    torch.multiprocessing.spawn(process, (str(tmp_path),), nprocs=2)
    policy, statistics = HeavyHitterPolicy(FEATURES, warmup=0, capacity=40), TokenStatistics(V, keep_targets=True)
    for values in (draws(), [v[:1] for v in draws()]):
        statistics.observe(*values)
        policy.update(statistics, 0, 0.15)
    assert policy.members.sum() == 40
    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        assert np.array_equal(found["weights"], policy.error_weights)
        assert np.array_equal(found["members"], policy.members)


# ---- in a plain Trainer


class Model(torch.nn.Module):
    """A small masked language model that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(V, 16)
        self.head = torch.nn.Linear(16, V)
        self.shown = []

    def forward(self, input_ids, attention_mask=None, labels=None):
        if self.training:
            self.shown.append(input_ids.clone())
        hidden = self.embedding(input_ids)
        return {"logits": self.head(torch.tanh(hidden + hidden.mean(1, keepdim=True)))}


class TimedModel(Model):
    """The same, told its mask rate."""

    def forward(self, input_ids, attention_mask=None, labels=None, mask_rate=None):
        self.rates = [*getattr(self, "rates", []), mask_rate.clone()]
        return super().forward(input_ids, attention_mask, labels)


def train(folder, made, *, model=None, rows=64, resume=None, own_loss=True, **options):
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    model = model or Model()
    trainer = Trainer(
        model,
        TrainingArguments(str(folder), **{**PLAIN_TRAINING, **options}),
        data_collator=made,
        train_dataset=Dataset.from_list(examples(rows)),
        compute_loss_func=made.loss_function() if own_loss else None,
        callbacks=[made.callback()],
    )
    return model, trainer.train(resume_from_checkpoint=resume)


def noisy(loss_weighting="sequence"):
    return DataCollatorForDiffusionMasking(
        VOCABULARY, "linear", token_counts=np.arange(V, 0, -1), exponent=0.3, curriculum=False,
        loss_weighting=loss_weighting, time_margin=0.1,
    )  # fmt: skip


@pytest.mark.parametrize("weighting", ["sequence", "token"])
def test_the_weighted_loss_is_divided_by_maskable_tokens_however_it_is_cut(weighting, tmp_path):
    # Specification of masked diffusion, acceptance test 9: the same 16 rows as one batch or as six.
    results = []
    for size, accumulation in [(16, 1), (3, 6)]:
        model, result = train(
            tmp_path,
            noisy(weighting),
            rows=16,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=2,
            max_grad_norm=0.0,
        )
        results.append((result.training_loss, [p.detach().clone() for p in model.parameters()]))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


def test_the_weighted_loss_by_hand():
    made = noisy("token")
    made.total_steps = 1
    made.begin_pass(0)
    batch = made(examples(6))
    plain = made.mask(made.pad(examples(6)), pass_index=0, step=0)
    assert torch.equal(batch["labels"], made.pad(examples(6))["input_ids"])  # every token here is maskable
    assert torch.equal(batch["loss_weights"], plain["loss_weights"])
    logits = torch.randn(6, LENGTH, V, generator=torch.Generator().manual_seed(0))
    loss = made.loss_function()
    loss.weights = batch["loss_weights"]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), plain["labels"], reduction="none")
    expected = (losses * plain["loss_weights"]).sum() / plain["maskable"].sum()
    torch.testing.assert_close(loss({"logits": logits}, batch["labels"]), expected)
    # The example of 2.7: N = (10, 30), sums (20, 30): 1.25 over the step, not the 1.5 of a mean of means.
    flat = torch.zeros(1, 40, 2)
    sums = []
    for tokens, wanted in ((10, 20.0), (30, 30.0)):
        loss.weights = torch.full((1, tokens), wanted / tokens / np.log(2))
        sums.append(loss({"logits": flat[:, :tokens]}, torch.zeros(1, tokens, dtype=torch.int64), 40))
    assert float(sum(sums)) == pytest.approx(1.25)


def test_a_model_that_asks_for_it_is_told_its_mask_rate(tmp_path):
    made = noisy()
    model, _ = train(tmp_path, made, model=TimedModel(), num_train_epochs=1)
    rates = torch.cat(model.rates)
    assert rates.shape == (64,)
    shown = (torch.cat(model.shown) == 4).float().mean(1)
    assert np.corrcoef(rates.numpy(), shown.numpy())[0, 1] > 0.85


def test_a_trainer_with_the_model_s_own_loss_is_refused(tmp_path):
    class Own(Model):
        def forward(self, input_ids, attention_mask=None, labels=None):
            logits = super().forward(input_ids)["logits"]
            return {"loss": torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels), "logits": logits}

    with pytest.raises(OptionError, match=r"compute_loss_func=collator\.loss_function"):
        train(tmp_path, noisy(), model=Own(), own_loss=False)


def test_diffusion_learns(tmp_path):
    made = MaskingCollator(VOCABULARY, rate=NoiseRate(make_noise("cosine")), policy=UniformPolicy())
    _, first = train(tmp_path, made, num_train_epochs=1)
    made = MaskingCollator(VOCABULARY, rate=NoiseRate(make_noise("cosine")), policy=UniformPolicy())
    _, last = train(tmp_path, made, num_train_epochs=6)
    assert last.training_loss < first.training_loss - 0.3


@pytest.mark.parametrize("name", ["accuracy_morph", "entity_accuracy_morph"])
def test_guided_masking_resumes_exactly_in_a_plain_trainer(name, tmp_path):
    # Specification of Accuracy-Morph, acceptance test 14.
    whole, rest = collator(name), collator(name)
    model, _ = train(tmp_path, whole, save_strategy="steps", save_steps=7)
    again, _ = train(tmp_path, rest, resume=str(tmp_path / "checkpoint-7"))
    assert len(again.shown) == 24 - 14
    for a, b in zip(model.shown[14:], again.shown, strict=True):
        assert torch.equal(a, b)
    for key, values in whole.policy.state().items():
        assert np.array_equal(values, rest.policy.state()[key]), key


@pytest.mark.parametrize("name", ["cms_morph", "hhm", "error_only"])
def test_a_plain_trainer_teaches_at_every_step(name, tmp_path):
    made = collator(name)
    train(tmp_path, made)
    assert made.policy.token_weights().any()
    # 12 steps of 16 rows with 7 targets each, of which the upper quarter counts (equal losses with it), after one step
    # of warm-up.
    if name == "cms_morph":
        assert 11 * 28 <= made.policy.hard.counts.sum() <= 11 * 30
    assert not len(made.loss_function().statistics.targets()[0])
