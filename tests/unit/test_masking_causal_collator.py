"""The collator of causal rows: padding, labels, documents kept apart."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_causal_model, tiny_causal_tokenizer, tiny_lines
from transformers import Trainer, TrainingArguments

from babylm_hf.errors import OptionError
from babylm_hf.masking import DataCollatorForCausalRows
from babylm_hf.objectives import CausalObjective


def rows_of(*texts):
    """`input_ids` and `attention_mask` of one row with these documents, `[1, L]`."""
    ids = torch.tensor([[token for text in texts for token in tiny_causal_tokenizer()(text)["input_ids"]]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_labels_are_the_ids_and_padding_has_none():
    collator = DataCollatorForCausalRows(tiny_causal_tokenizer(), pad_to_multiple_of=4)
    batch = collator([{"input_ids": [1, 9, 8]}, {"input_ids": [1, 7, 6, 5, 4]}])
    assert batch["input_ids"].tolist() == [[1, 9, 8, 0, 0, 0, 0, 0], [1, 7, 6, 5, 4, 0, 0, 0]]
    assert batch["labels"].tolist() == [[1, 9, 8, *[-100] * 5], [1, 7, 6, 5, 4, -100, -100, -100]]
    assert batch["attention_mask"].sum().item() == 8


def test_positions_start_again_with_each_document():
    collator = DataCollatorForCausalRows(tiny_causal_tokenizer(), separate_documents=True)
    batch = collator([{"input_ids": [9, 8, 1, 7, 6, 1, 5]}, {"input_ids": [1, 7, 6]}])
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2, 0, 1], [0, 1, 2, 0, 1, 2, 3]]
    assert "attention_mask" not in batch
    assert batch["labels"][1].tolist() == [1, 7, 6, -100, -100, -100, -100]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_no_token_sees_another_document(architecture):
    model = tiny_causal_model(architecture).eval()
    objective = CausalObjective(model)
    first, second = tiny_lines()[0], tiny_lines()[1]

    def losses(separate):
        collator = DataCollatorForCausalRows(tiny_causal_tokenizer(), separate_documents=separate)
        with torch.no_grad():
            prepared = objective.prepare(collator.training_batch(rows_of(first, second), pass_index=0, step=0))
            return objective(prepared).losses

    alone = objective(objective.prepare(DataCollatorForCausalRows(tiny_causal_tokenizer())._labelled(rows_of(second))))
    apart, together = losses(True), losses(False)
    count = len(alone.losses)
    assert torch.allclose(apart[-count:], alone.losses, atol=1e-5)
    assert not torch.allclose(together[-count:], alone.losses, atol=1e-5)
    # up to and with the token that begins the second document nothing differs
    assert torch.allclose(apart[:-count], together[:-count], atol=1e-5)


def test_it_works_in_a_plain_trainer(tmp_path):
    lines = list(tiny_lines()[:24])
    dataset = [{"input_ids": ids} for ids in tiny_causal_tokenizer()(lines)["input_ids"]]
    model = tiny_causal_model()
    collator = DataCollatorForCausalRows(tiny_causal_tokenizer())
    with torch.no_grad():
        batch = collator(dataset[:8])
        objective = CausalObjective(model)
        found = objective(objective.prepare(batch))
        assert torch.allclose(model(**batch).loss, found.losses.mean(), atol=1e-5)
    args = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=8, num_train_epochs=3, learning_rate=1e-2, use_cpu=True,
        report_to="none", disable_tqdm=True, save_strategy="no", logging_steps=1,
    )  # fmt: skip
    trainer = Trainer(model=model, args=args, data_collator=collator, train_dataset=dataset)
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert losses[-1] < losses[0] - 0.5


def test_what_cannot_work_is_refused():
    class Bare:
        pad_token_id = None
        bos_token_id = None

    with pytest.raises(OptionError, match="no padding token"):
        DataCollatorForCausalRows(Bare())
    Bare.pad_token_id = 0
    with pytest.raises(OptionError, match="--separate_documents needs a token that begins"):
        DataCollatorForCausalRows(Bare(), separate_documents=True)
