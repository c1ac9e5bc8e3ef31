"""Accuracy-Morph in the trainer: a fork of random masking, and the same however a step is cut or a run interrupted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stops import StopAfter
from tiny import tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.masking import DataCollatorForGuidedMasking

STEPS, WARMUP = 14, 6


def collator(kind="accuracy_morph"):
    return DataCollatorForGuidedMasking(
        tiny_tokenizer(), kind, 0.3, shares=(0.4, 0.4, 0.2), warmup=WARMUP / STEPS + 1e-9, mask_update_steps=2
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return tiny_stream(tmp_path_factory.mktemp("stream"), words=1500)


def run(folder, rows, kind="accuracy_morph", resume=None, **options):
    trainer = tiny_trainer(
        folder,
        rows,
        collator=collator(kind)
        if kind == "accuracy_morph"
        else DataCollatorForGuidedMasking(tiny_tokenizer(), kind, 0.3),
        dropout=0.1,
        max_steps=STEPS,
        save_strategy="steps",
        save_steps=1000,
        **options,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer):
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@pytest.fixture(scope="module")
def guided(tmp_path_factory, rows):
    return run(tmp_path_factory.mktemp("guided"), rows)


def test_it_is_random_masking_through_the_last_step_of_the_warm_up_and_not_after(tmp_path, rows, guided):
    random = losses(run(tmp_path, rows, "random"))
    found = losses(guided)
    assert len(found) == len(random) == STEPS
    assert found[:WARMUP] == random[:WARMUP]
    assert found[WARMUP] != random[WARMUP]
    assert guided.policy.updates == STEPS // 2
    assert guided.policy.token_scores.any()


def test_counts_and_losses_do_not_depend_on_accumulation(tmp_path, rows, guided):
    # Specification, acceptance test 17.
    whole = tiny_trainer(tmp_path / "1", rows, collator=collator(), max_steps=STEPS)
    whole.train()
    cut = tiny_trainer(tmp_path / "2", rows, collator=collator(), max_steps=STEPS, gradient_accumulation_steps=2)
    cut.train()
    assert losses(cut) == pytest.approx(losses(whole), rel=1e-4)
    assert whole.policy.seen.counts.sum() == cut.policy.seen.counts.sum()
    assert guided.policy.seen.counts.sum() == whole.policy.seen.counts.sum()


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, rows, guided):
    # Acceptance test 14: step 9 lies between two updates.
    run(tmp_path, rows, callbacks=[StopAfter(9)])
    resumed = run(tmp_path, rows, resume="auto")
    assert losses(resumed) == losses(guided)
    for name, values in guided.policy.state().items():
        assert np.array_equal(values, resumed.policy.state()[name]), name
    for name, value in guided.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
