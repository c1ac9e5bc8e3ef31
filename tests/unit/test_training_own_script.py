"""The trainer in somebody's own script: an ordinary data set, a stock model, stock arguments."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import Dataset
from tiny import tiny_lines, tiny_model, tiny_tokenizer
from transformers import DataCollatorForLanguageModeling, TrainingArguments

from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.masking import DataCollatorForDecayingMasking
from babylm_hf.training import (
    BabyLMTrainer,
    BabyLMTrainingArguments,
    CurriculumCallback,
    FeedbackCallback,
    MilestoneCallback,
)
from babylm_hf.training.rows import DatasetRows


def _dataset(words=True, rows=90):
    lines = tiny_lines()[:rows]
    columns = {"input_ids": tiny_tokenizer()(list(lines))["input_ids"]}
    return Dataset.from_dict(columns | ({"num_words": [len(line.split()) for line in lines]} if words else {}))


def _trainer(folder, dataset, args=None, **options):
    stock = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
    args = args or TrainingArguments(str(folder), num_train_epochs=2, per_device_train_batch_size=16, **stock)
    collator = options.pop("collator", None) or DataCollatorForDecayingMasking(tiny_tokenizer(), 0.3, 0.1)
    return BabyLMTrainer(tiny_model(), args, collator, dataset, processing_class=tiny_tokenizer(), **options)


def test_stock_arguments_and_an_ordinary_data_set(tmp_path):
    dataset = _dataset(words=False)
    trainer = _trainer(tmp_path, dataset, eval_dataset=dataset)
    assert isinstance(trainer.args, BabyLMTrainingArguments)
    assert trainer.plan.total_steps == 2 * 6
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(losses) == 12
    assert np.isfinite(losses).all()
    assert trainer.evaluate() == trainer.evaluate()
    assert trainer.words_seen == 0
    trainer.save_model()
    assert (tmp_path / "model.safetensors").is_file()


def test_milestones_by_words_with_a_words_column(tmp_path):
    args = BabyLMTrainingArguments(
        str(tmp_path), batch_size=10, num_train_epochs=1, milestones="100,300", use_cpu=True, disable_tqdm=True
    )
    dataset = _dataset()
    trainer = _trainer(tmp_path, dataset, args)
    trainer.train()
    assert trainer.words_seen == sum(dataset["num_words"])
    assert {path.name for path in tmp_path.glob("chck_*")} == {"chck_100", "chck_300"}


def test_callbacks_can_be_left_out(tmp_path):
    args = BabyLMTrainingArguments(
        str(tmp_path), batch_size=10, num_train_epochs=1, milestones="100", use_cpu=True, disable_tqdm=True
    )
    trainer = _trainer(tmp_path, _dataset(), args)
    for callback in (MilestoneCallback, CurriculumCallback, FeedbackCallback):
        trainer.remove_callback(callback)
    trainer.train()
    assert not list(tmp_path.glob("chck_*"))


def test_the_arguments_written_beside_a_model_hold_no_secret_and_no_folder(tmp_path):
    args = TrainingArguments(str(tmp_path), hub_token="hf_secret", use_cpu=True, disable_tqdm=True, max_steps=1)
    trainer = _trainer(tmp_path, _dataset(), args)
    trainer.save_model()
    text = (tmp_path / "training_args.json").read_text()
    assert "hf_secret" not in text
    assert str(tmp_path) not in text
    assert json.loads(text)["max_steps"] == 1


def test_milestones_without_word_counts_are_refused(tmp_path):
    args = BabyLMTrainingArguments(str(tmp_path), batch_size=10, milestones="100", use_cpu=True)
    with pytest.raises(OptionError, match="num_words"):
        _trainer(tmp_path, _dataset(words=False), args)


def test_rows_longer_than_the_length_are_refused_not_cut(tmp_path):
    args = BabyLMTrainingArguments(str(tmp_path), batch_size=10, max_seq_len="4", use_cpu=True)
    with pytest.raises(OptionError, match="row 0 of the data set"):
        _trainer(tmp_path, _dataset(), args)


def test_a_stock_collator_is_refused(tmp_path):
    with pytest.raises(OptionError, match="DataCollatorForDecayingMasking"):
        _trainer(tmp_path, _dataset(), collator=DataCollatorForLanguageModeling(tiny_tokenizer()))


@pytest.mark.parametrize(("columns", "said"), [({"text": ["a"]}, "input_ids"), ({"input_ids": []}, "no rows")])
def test_a_data_set_that_cannot_be_used(columns, said):
    with pytest.raises(CorpusError, match=said):
        DatasetRows(Dataset.from_dict(columns), pad_id=0)


def test_rows_are_padded_to_the_longest_fetched():
    rows = DatasetRows(Dataset.from_dict({"input_ids": [[5, 6, 7], [8], [9, 10]]}), pad_id=0)
    fetched = rows.fetch(8, np.array([2, 1]))
    assert fetched["input_ids"].tolist() == [[9, 10], [8, 0]]
    assert fetched["attention_mask"].tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"load_best_model_at_end": True, "save_strategy": "no"},
        {"push_to_hub": True, "hub_revision": "x"},
        {"num_train_epochs": 0.5},
    ],
)
def test_arguments_that_would_lose_something_are_refused(tmp_path, wrong):
    with pytest.raises(OptionError):
        BabyLMTrainingArguments(str(tmp_path), use_cpu=True, **wrong)
