"""Masks are a function of seed, pass, row, rate and weights: not of workers, processes, batches, order or caller."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import PLAIN_TRAINING
from torch.utils.data import DataLoader

from babylm_hf.errors import OptionError, ResumeError
from babylm_hf.masking import (
    AdaptivePolicy,
    DataCollatorForDecayingMasking,
    DataCollatorForDynamicMasking,
    TokenStatistics,
    Vocabulary,
)

V = 120
MASK = 4
VOCABULARY = Vocabulary(V, MASK, 0, (0, 1, 2, 3, 4))
LENGTH = 24


def examples(n=64, key="example_id", seed=0):
    """Rows that can be told apart by their content, of few enough different tokens to be learnt in some steps."""
    random = np.random.default_rng(seed)
    return [{"input_ids": random.integers(5, 45, LENGTH).tolist(), key: i} for i in range(n)]


def uncovered(batch):
    """The rows as they were before masking."""
    return torch.where(batch["labels"] != -100, batch["labels"], batch["input_ids"])


# ---- in a loader


def load(workers, method=None, pass_index=0, batch_size=8, order=None):
    collator = DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.3)
    collator.total_steps = 12
    collator.begin_pass(pass_index, first_step=4 * pass_index, accumulation=2)
    loader = DataLoader(
        examples(),
        batch_size=batch_size,
        sampler=order,
        collate_fn=collator,
        num_workers=workers,
        multiprocessing_context=method,
    )
    return list(loader)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3")
@pytest.mark.parametrize(("workers", "method"), [(2, "fork"), (3, "fork"), (2, "spawn")])
def test_masks_and_rates_are_the_same_at_any_number_of_workers(workers, method):
    alone, many = load(0), load(workers, method)
    assert len(alone) == len(many) == 8
    for a, b in zip(alone, many, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_pass_has_its_own_masks(workers):
    first, second = (torch.cat([b["labels"] for b in load(workers, pass_index=p)]) != -100 for p in (0, 1))
    chance = first.float().mean() * second.float().mean()
    assert abs((first & second).float().mean() - chance) < 0.03


def test_masks_do_not_depend_on_the_order_or_the_batch():
    collator = DataCollatorForDecayingMasking(VOCABULARY, 0.15, 0.0)
    collator.begin_pass(0)
    rows = examples()

    def masks(batch_size, order):
        loader = DataLoader(rows, batch_size=batch_size, sampler=order, collate_fn=collator)
        labels = torch.cat([b["labels"] for b in loader])
        return labels[torch.argsort(torch.tensor(order))]

    whole = masks(64, list(range(64)))
    shuffled = np.random.default_rng(1).permutation(64).tolist()
    assert torch.equal(masks(5, shuffled), whole)
    assert torch.equal(masks(1, list(range(64))), whole)


# ---- two processes


def pooled_update(rank, folder, kind):
    """One of two processes: its half of the targets, then the common update."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        policy, statistics, draws = half_run(kind)
        statistics.observe(*(values[rank::2] for values in draws))
        saved = statistics.state()["sums"]
        policy.update(statistics, 0, 0.15)
        statistics.load_state({"sums": saved})
        np.savez(f"{folder}/{rank}.npz", weights=policy.weights, saved=saved, restored=statistics.reduce()["count"])
    finally:
        torch.distributed.destroy_process_group()


def half_run(kind):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, V, (4001,), generator=generator)
    correct = torch.rand(4001, generator=generator) < 0.3
    loss = torch.rand(4001, generator=generator) * 9
    policy = AdaptivePolicy(V, VOCABULARY.special_ids, 0.15, kind, update_steps=1)
    return policy, TokenStatistics(V, positions=policy.positions), (ids, correct, loss, torch.rand(4001) < 2)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_two_processes_update_alike_and_as_one(kind, tmp_path):
    # Specification 7 g.
    torch.multiprocessing.spawn(pooled_update, (str(tmp_path), kind), nprocs=2)
    one, two = (np.load(tmp_path / f"{rank}.npz") for rank in (0, 1))
    policy, statistics, draws = half_run(kind)
    statistics.observe(*draws)
    everything = statistics.numpy()
    assert policy.update(statistics, 0, 0.15)
    for process in (one, two):
        assert np.array_equal(process["weights"], policy.weights)
        assert np.array_equal(process["restored"], everything["count"])
    assert np.array_equal(one["saved"], two["saved"])


# ---- in a plain Trainer


class Recorder(torch.nn.Module):
    """A small masked language model that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(V, 16)
        self.mixer = torch.nn.Linear(16, 16)
        self.head = torch.nn.Linear(16, V)
        self.shown = []

    def forward(self, input_ids, attention_mask=None, labels=None):
        if self.training:
            self.shown.append(input_ids.clone())
        hidden = self.embedding(input_ids)
        return {"logits": self.head(torch.tanh(self.mixer(hidden + hidden.mean(1, keepdim=True))))}


class Run:
    """A stock `transformers.Trainer` with a collator, its callback and its loss."""

    def __init__(self, folder, collator, *, rows=64, eval_rows=None, resume=None, **options):
        from datasets import Dataset
        from transformers import Trainer, TrainingArguments

        self.collator = collator
        self.model = Recorder()
        loss = collator.loss_function()
        self.labels = []

        def kept(outputs, labels, num_items_in_batch=None):
            if torch.is_grad_enabled():
                self.labels.append(labels.clone())
            return loss(outputs, labels, num_items_in_batch)

        self.trainer = Trainer(
            self.model,
            TrainingArguments(str(folder), **{**PLAIN_TRAINING, **options}),
            data_collator=collator,
            train_dataset=Dataset.from_list(examples(rows)),
            eval_dataset=Dataset.from_list(eval_rows) if eval_rows else None,
            compute_loss_func=kept,
            callbacks=[collator.callback()],
        )
        self.result = self.trainer.train(resume_from_checkpoint=resume)

    def batches(self):
        """What the model was shown, in order."""
        return [{"input_ids": a, "labels": b} for a, b in zip(self.model.shown, self.labels, strict=True)]


def numbers_of(batch):
    known = {tuple(row["input_ids"]): row["example_id"] for row in examples()}
    return torch.tensor([known[tuple(row)] for row in uncovered(batch).tolist()])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_trainer_shows_the_masks_of_the_mask_step(workers, tmp_path):
    # Specification 7 m: 3 passes of 8 batches, 2 a step, at a rate that falls by step.
    run = Run(tmp_path, DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.3), dataloader_num_workers=workers)
    batches = run.batches()
    assert len(batches) == 24
    direct = DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.3)
    seen = []
    for place, batch in enumerate(batches):
        rows = {"input_ids": uncovered(batch), "example_id": numbers_of(batch)}
        seen += rows["example_id"].tolist()
        expected = direct.mask(rows, pass_index=place // 8, step=place // 2, total_steps=12)
        assert torch.equal(expected["input_ids"], batch["input_ids"])
        assert torch.equal(expected["labels"], batch["labels"])
    assert sorted(seen) == sorted(list(range(64)) * 3)
    assert run.result.training_loss < np.log(V) - 0.2


def test_the_loss_does_not_depend_on_accumulation(tmp_path):
    # Specification 7 j: the same 16 rows as one batch or as batches of 3 (the last has 1).
    results = []
    for size, accumulation in [(16, 1), (3, 6)]:
        run = Run(
            tmp_path,
            DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.0),
            rows=16,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=2,
            max_grad_norm=0.0,
        )
        results.append((run.result.training_loss, [p.detach().clone() for p in run.model.parameters()]))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_plain_trainer_adapts(kind, tmp_path):
    collator = DataCollatorForDynamicMasking(VOCABULARY, kind, 0.3, mask_update_steps=4)
    run = Run(tmp_path, collator)
    assert collator.policy.updates == 3  # 12 steps
    assert collator.policy.weights[5:].std() > 0
    # The statistics of the last window by hand: what was shown as [MASK] for soft, all targets for hard.
    assert not collator.loss_function().statistics.numpy()["count"].any()
    again = DataCollatorForDynamicMasking(VOCABULARY, kind, 0.3, mask_update_steps=5)
    run = Run(tmp_path, again)
    last = run.batches()[-4:]  # steps 10 and 11 of 12
    targets = torch.cat([b["labels"].flatten() for b in last])
    shown = torch.cat([b["input_ids"].flatten() for b in last])
    counted = (targets != -100) & ((shown == MASK) | torch.tensor(kind == "hard"))
    expected = torch.bincount(targets[counted], minlength=V)
    assert again.loss_function().statistics.numpy()["count"].tolist() == expected.tolist()


def test_a_plain_trainer_resumes_exactly(tmp_path):
    def collator():
        return DataCollatorForDynamicMasking(VOCABULARY, "hard", 0.4, 0.3, mask_update_steps=5)

    whole = Run(tmp_path, collator(), save_strategy="steps", save_steps=7)
    rest = Run(tmp_path, collator(), resume=str(tmp_path / "checkpoint-7"))
    assert len(rest.batches()) == 24 - 14
    for a, b in zip(whole.batches()[14:], rest.batches(), strict=True):
        assert torch.equal(a["input_ids"], b["input_ids"])
        assert torch.equal(a["labels"], b["labels"])
    assert np.array_equal(whole.collator.policy.weights, rest.collator.policy.weights)
    (tmp_path / "checkpoint-7" / "masking.safetensors").unlink()
    with pytest.raises(ResumeError, match="mask weights of the run are lost"):
        Run(tmp_path, collator(), resume=str(tmp_path / "checkpoint-7"))


def test_evaluation_in_a_plain_trainer_is_fixed_and_changes_nothing(tmp_path):
    collators = [DataCollatorForDynamicMasking(VOCABULARY, "hard", 0.4, 0.3, mask_update_steps=2) for _ in range(2)]
    quiet = Run(tmp_path, collators[0])
    held_out = examples(40, "evaluation_id", seed=1)
    curious = Run(tmp_path, collators[1], eval_rows=held_out, eval_strategy="steps", eval_steps=1)
    for a, b in zip(quiet.batches(), curious.batches(), strict=True):
        assert torch.equal(a["input_ids"], b["input_ids"])
    assert np.array_equal(collators[0].policy.weights, collators[1].policy.weights)
    assert curious.trainer.evaluate()["eval_loss"] == curious.trainer.evaluate()["eval_loss"]


@pytest.mark.parametrize(
    ("options", "adaptive", "says"),
    [
        ({"remove_unused_columns": True}, False, "remove_unused_columns=False"),
        ({"dataloader_num_workers": 2, "dataloader_persistent_workers": True}, False, "persistent_workers"),
        ({"dataloader_num_workers": 2}, True, "BabyLMTrainer"),
        ({"eval_rows": examples(8), "eval_strategy": "epoch"}, False, "evaluation_id"),
    ],
)
def test_settings_that_would_silently_spoil_the_masks_are_refused(options, adaptive, says, tmp_path):
    collator = DataCollatorForDynamicMasking(VOCABULARY) if adaptive else DataCollatorForDecayingMasking(VOCABULARY)
    with pytest.raises(OptionError, match=says):
        Run(tmp_path, collator, **options)


def test_a_rate_that_leaves_its_interval_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(OptionError, match="--mask_decay"):
        Run(tmp_path, DataCollatorForDecayingMasking(VOCABULARY, 0.4, 0.5))
