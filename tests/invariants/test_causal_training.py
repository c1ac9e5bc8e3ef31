"""Causal training: however a step is cut or a run is stopped, the numbers are the same."""

from __future__ import annotations

import json
import logging
import math

import pytest
import torch
from stops import StopAfter
from tiny import tiny_causal_model, tiny_causal_tokenizer, tiny_lines, tiny_model, tiny_tokenizer, tiny_trainer
from transformers import AutoModelForCausalLM

from babylm_hf.corpus import DocumentRows, TokenStream
from babylm_hf.errors import OptionError
from babylm_hf.evaluation.held_out import unigram_loss
from babylm_hf.masking import DataCollatorForCausalRows, DataCollatorForDecayingMasking
from babylm_hf.plan import RunPlan, parse_curriculum
from babylm_hf.training.checkpoints import read_sidecars

STEPS = 6


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("causal")
    text = folder / "text.txt"
    text.write_text("\n".join(tiny_lines()) + "\n", encoding="utf-8")
    return TokenStream.build([text], tiny_causal_tokenizer(), cache_dir=folder / "cache")


def trainer_of(folder, rows, separate=False, **options):
    made = {"collator": DataCollatorForCausalRows(tiny_causal_tokenizer(), separate_documents=separate)}
    made |= {"model": tiny_causal_model(), "max_steps": STEPS, "save_steps": 1000, "max_seq_len": "32"}
    return tiny_trainer(folder, rows, **(made | options))


def curve(trainer):
    return [(line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


def trained(*given, resume=None, **options):
    trainer = trainer_of(*given, **options)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.parametrize("line", [False, True])
@pytest.mark.parametrize("separate", [False, True])
def test_loss_and_gradient_norm_are_equal_for_any_accumulation_and_workers(tmp_path, stream, line, separate):
    rows = DocumentRows(stream) if line else stream  # rows of a line each have unequal padding
    whole = curve(trained(tmp_path / "1", rows, separate))
    assert len(whole) == STEPS
    for number, options in enumerate([{"gradient_accumulation_steps": 5}, {"dataloader_num_workers": 2}]):
        cut = curve(trained(tmp_path / f"cut-{number}", rows, separate, **options))
        assert cut == [pytest.approx(pair, rel=1e-5) for pair in whole]


def test_gradient_checkpointing_changes_nothing_and_the_saved_model_generates(tmp_path, stream):
    plain = trained(tmp_path / "plain", stream)
    options = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    checkpointed = trained(tmp_path / "checkpointed", stream, **options)
    assert curve(checkpointed) == [pytest.approx(pair, rel=1e-6) for pair in curve(plain)]
    checkpointed.save_model(str(tmp_path / "saved"))
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["use_cache"] is True
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    ids = tiny_causal_tokenizer()("the cat", return_tensors="pt")
    assert loaded.generate(**ids, max_new_tokens=5, do_sample=False).shape[1] > ids["input_ids"].shape[1]
    with torch.no_grad():
        assert torch.equal(loaded(**ids).logits, plain.model.eval()(**ids).logits)


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path, stream):
    whole = trained(tmp_path / "whole", stream, save_strategy="steps")
    stopped = trained(tmp_path / "cut", stream, save_strategy="steps", callbacks=[StopAfter(3)])
    assert len(curve(stopped)) == 3
    arrays, facts = read_sidecars(tmp_path / "cut" / "run" / "checkpoint-3")
    assert arrays == {}
    assert facts["words"] > 0
    resumed = trained(tmp_path / "cut", stream, save_strategy="steps", resume="auto")
    assert curve(resumed) == curve(whole)
    for name, parameter in whole.model.state_dict().items():
        assert torch.equal(parameter, resumed.model.state_dict()[name]), name


def test_held_out_loss_is_the_causal_one_and_nothing_is_said_of_masks(tmp_path, stream):
    trainer = trained(tmp_path, stream, eval_dataset=stream)
    model = trainer.model.eval()
    losses, count = 0.0, 0
    for row in range(stream.num_rows(32)):
        ids = {name: torch.from_numpy(values) for name, values in stream.fetch(32, [row]).items()}
        labels = ids["input_ids"].masked_fill(ids["attention_mask"] == 0, -100)
        targets = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            losses += float(model(**ids, labels=labels).loss) * targets if targets else 0.0
        count += targets
    metrics = trainer.evaluate()
    assert metrics["eval_targets"] == count
    assert metrics["eval_loss"] == pytest.approx(losses / count, rel=1e-5)
    assert metrics["eval_perplexity"] == pytest.approx(math.exp(losses / count), rel=1e-4)
    assert not [name for line in trainer.state.log_history for name in line if "mask" in name]
    options = {"seq_length": 32, "prepare": trainer.objective.prepare}
    unigram = unigram_loss(stream.token_counts(), stream, trainer.data_collator, **options)
    counts = stream.token_counts() + 1.0
    whole = range(stream.num_rows(32) - 1)
    ids = torch.from_numpy(stream.fetch(32, whole)["input_ids"])[:, 1:].reshape(-1)
    expected = -torch.log(torch.from_numpy(counts / counts.sum()))[ids].mean()
    assert unigram == pytest.approx(float(expected), rel=2e-3)  # but for the last, shorter row


def test_an_untrained_model_loses_what_a_guess_does(tmp_path, stream):
    trainer = trainer_of(tmp_path, stream, eval_dataset=stream)
    loss = trainer.evaluate()["eval_loss"]
    assert math.log(400) <= loss < math.log(400) + 0.2


def test_collator_and_model_must_fit(tmp_path, stream):
    with pytest.raises(OptionError, match="DataCollatorForDecayingMasking does not go with a LlamaForCausalLM"):
        trainer_of(tmp_path, stream, collator=DataCollatorForDecayingMasking(tiny_tokenizer(), 0.3, 0.1))
    with pytest.raises(OptionError, match="use DataCollatorForDecayingMasking or its like"):
        trainer_of(tmp_path, stream, model=tiny_model())


@pytest.mark.parametrize(("steps", "warned"), [(80, True), (195, True), (200, True), (1000, False)])
def test_a_warmup_that_never_ends_is_named(tmp_path, stream, caplog, steps, warned):
    with caplog.at_level(logging.WARNING, logger="babylm_hf"):
        trainer_of(tmp_path, stream, max_steps=steps, num_train_epochs=200, warmup_steps=200)
    assert any("below the peak" in message for message in caplog.messages) == warned


@pytest.mark.parametrize("peak", [3e-4, 2e-4])
def test_learning_rates_of_the_cards(tmp_path, stream, peak):
    trainer = trainer_of(
        tmp_path, stream, max_steps=1000, num_train_epochs=200, warmup_steps=200, learning_rate=peak,
        lr_scheduler_type="cosine",
    )  # fmt: skip
    trainer.create_optimizer_and_scheduler(1000)
    rates = []
    for _ in range(1001):
        rates.append(trainer.lr_scheduler.get_last_lr()[0])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert [rates[s] for s in (100, 200, 600, 1000)] == pytest.approx([peak / 2, peak, peak / 2, 0.0], abs=1e-12)


@pytest.mark.parametrize(("windows", "batch", "per_pass"), [(977, 64, 16), (4883, 128, 39)])
def test_steps_of_the_cards(windows, batch, per_pass):
    class Windows:
        fingerprint = "windows"

        def num_rows(self, seq_length):
            return windows

        def row_words(self, seq_length):
            return [380] * windows

    plan = RunPlan.build(Windows(), parse_curriculum("512", 5, batch), seed=0)
    assert plan.total_steps == 5 * per_pass
