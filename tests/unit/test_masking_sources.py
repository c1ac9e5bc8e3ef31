"""What the parts of a mask budget tell: who chose which target, how often the model was right, how far from even."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.masking import DataCollatorForGuidedMasking
from babylm_hf.masking.groups import target_divergence
from babylm_hf.masking.sources import SourceAccuracy
from babylm_hf.publishing import RunRecord
from babylm_hf.training import FeedbackCallback, RecordCallback


def test_the_parts_are_counted_and_the_window_begins_anew():
    accuracy = SourceAccuracy()
    accuracy.observe(torch.tensor([0, 0, 1, 2, 2, 2], dtype=torch.int8), torch.tensor([1, 0, 1, 0, 0, 1]).bool())
    accuracy.observe(torch.tensor([0], dtype=torch.int8), torch.tensor([True]))
    assert accuracy.drain(["uniform", "token", "trigram"]) == {
        "uniform": {"targets": 3, "accuracy": pytest.approx(2 / 3)},
        "token": {"targets": 1, "accuracy": 1.0},
        "trigram": {"targets": 3, "accuracy": pytest.approx(1 / 3)},
    }
    assert accuracy.drain(["uniform"]) == {}


def test_origins_name_the_part_of_every_target():
    collator = DataCollatorForGuidedMasking(tiny_tokenizer(), "hhm", 0.4)
    collator.total_steps = 10
    ordinary = np.flatnonzero(collator.vocabulary.ordinary())
    ids = np.random.default_rng(0).choice(ordinary[-60:], (16, 48))
    batch = {"input_ids": torch.from_numpy(ids), "example_id": torch.arange(16)}
    masked = collator.training_batch(batch, pass_index=0, step=5)
    targets, sources = masked["labels"] != -100, masked["target_sources"]
    counts = collator.policy.sources
    assert collator.policy.source_names == ["uniform", "entity", "error"]
    for number, name in enumerate(collator.policy.source_names):
        assert int((sources[targets] == number).sum()) == counts.get(name, 0), name
    assert int((sources[targets] == 1).sum()) > 0
    assert not sources[~targets].any()


def test_divergence_from_an_even_choice():
    counts = np.array([0, 4, 4, 8])
    assert target_divergence(counts, [(1.0, None)]) == pytest.approx(0)
    assert target_divergence(counts, [(0.8, None), (0.2, np.zeros(4))]) == pytest.approx(0), "nothing to go by: even"
    only = np.array([1.0, 1.0, 0.0, 0.0])
    assert target_divergence(counts, [(1.0, only)]) == pytest.approx(np.log(4))
    chosen, corpus = np.array([0.5 * 0.25 + 0.5, 0.125, 0.25]), np.array([0.25, 0.25, 0.5])
    assert target_divergence(counts, [(0.5, None), (0.5, only)]) == pytest.approx(
        np.sum(chosen * np.log(chosen / corpus))
    )


def test_a_run_records_both(tmp_path):
    rows = tiny_stream(tmp_path, words=1500)
    collator = DataCollatorForGuidedMasking(
        tiny_tokenizer(), "accuracy_morph", 0.3, mask_update_steps=2, warmup=2, min_seen=1
    )
    trainer = tiny_trainer(tmp_path, rows, collator=collator, max_steps=6, callbacks=[RecordCallback()])
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, FeedbackCallback):
            callback.token_counts = rows.token_counts()
    trainer.train()
    updates = RunRecord.open(tmp_path / "run" / "record").events("policy")
    last = updates[-1]
    assert {"uniform", "token"} <= set(last["accuracy_by_source"])
    for part in last["accuracy_by_source"].values():
        assert 0 <= part["accuracy"] <= 1
        assert part["targets"] > 0
    assert last["divergence"] > 0
    assert sum(part["targets"] for part in last["accuracy_by_source"].values()) == sum(
        count for name, count in last["sources"].items() if not name.endswith("wanted")
    )
