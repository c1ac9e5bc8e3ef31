"""The levers of a fast step: each can be turned off, and a device that cannot do one is told in a sentence."""

from __future__ import annotations

import sys

import pytest
import torch
from tiny import INDUCTOR, tiny_model, tiny_stream, tiny_tokenizer
from transformers import AutoModelForMaskedLM

from babylm_hf.errors import OptionError
from babylm_hf.masking import DataCollatorForDecayingMasking
from babylm_hf.models.attention_dropout import NAME
from babylm_hf.models.dropout import is_fast
from babylm_hf.training import BabyLMTrainer, BabyLMTrainingArguments, allocator, levers
from babylm_hf.training.compiling import CompiledForward, compile_layers

LEVERS = ("fast_attention", "fast_dropout", "short_last_layer", "chunked_loss", "keep_freed_memory")
OFF = dict.fromkeys(LEVERS, False)


def trainer_of(folder, name, architecture="bert", dropout=0.0, model=None, **options):
    args = BabyLMTrainingArguments(
        str(folder / name), per_device_train_batch_size=8, max_seq_len="16", num_train_epochs=2, milestones="none",
        use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no", logging_steps=1, **options,
    )  # fmt: skip
    collator = DataCollatorForDecayingMasking(tiny_tokenizer(), mlm_probability=0.3, mask_decay=0.0)
    model = model or tiny_model(architecture, dropout=dropout)
    return BabyLMTrainer(model, args, collator, tiny_stream(folder, 1500))


def losses_of(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("architecture", ["bert", "deberta"])
def test_the_first_steps_are_those_of_the_plain_path(architecture, tmp_path):
    plain = losses_of(trainer_of(tmp_path, "plain", architecture, **OFF))
    fast = losses_of(trainer_of(tmp_path, "fast", architecture))
    assert len(plain) > 10
    assert fast[:10] == pytest.approx(plain[:10], abs=1e-5)


def test_every_lever_is_on_by_default_and_can_be_turned_off(tmp_path):
    on, off = trainer_of(tmp_path, "on"), trainer_of(tmp_path, "off", **OFF)
    assert on.objective.head is not None
    assert off.objective.head is None
    assert on.objective.selector.tail is on.model.bert.encoder.layer[-1].attention.output
    assert off.objective.selector.tail is off.model.cls
    for trainer, expected in ((on, True), (off, False)):
        found = [module for module in trainer.model.modules() if type(module) is torch.nn.Dropout]
        assert {is_fast(module) for module in found} == {expected}
        assert (trainer.model.config._attn_implementation == NAME) == expected


def test_bf16_without_instructions_for_it_is_replaced_with_one_line(monkeypatch, caplog):
    monkeypatch.setattr(levers, "has_fast_bf16", lambda: False)
    args = BabyLMTrainingArguments("unused", use_cpu=True, bf16=True)
    assert not args.bf16
    assert [r.message for r in caplog.records if "bfloat16" in r.message] == [
        "--bf16: this processor has no bfloat16 instructions, so that it would be slow; float32 is used"
    ]


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr(levers.shutil, "which", lambda name: None)
    with pytest.raises(OptionError, match="C\\+\\+ compiler"):
        BabyLMTrainingArguments("unused", use_cpu=True, torch_compile=True)


@pytest.mark.parametrize("variable", ["MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD"])
def test_an_allocator_chosen_by_the_user_is_left_alone(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    assert not allocator.keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()


@pytest.mark.parametrize("backend", ["eager", INDUCTOR])
@pytest.mark.parametrize("architecture", ["bert", "deberta"])
def test_compiled_layers_train_alike_and_are_saved_as_a_stock_model(architecture, backend, tmp_path):
    plain = losses_of(trainer_of(tmp_path, "plain", architecture, max_steps=5))
    trainer = trainer_of(tmp_path, "compiled", architecture, max_steps=5, torch_compile_backend=backend)
    layers = trainer.model.base_model.encoder.layer
    assert len(layers) > 1
    assert losses_of(trainer)[:5] == pytest.approx(plain[:5], abs=1e-5)
    for layer in layers:
        assert isinstance(layer.forward, CompiledForward)
    assert max(layers[0].forward.seen.values()) > 2
    assert not layers[-1].forward.seen, "its targets change in number"
    trainer.save_model(str(tmp_path / "saved"))
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path / "saved")
    assert loaded.state_dict().keys() == trainer.model.state_dict().keys()


def test_a_body_without_repeated_layers_is_compiled_whole():
    model = tiny_model("bert")
    del model.base_model.encoder.layer[1]
    compile_layers(model, backend="eager")
    assert isinstance(model.base_model.forward, CompiledForward)
    assert not isinstance(model.base_model.encoder.layer[0].forward, CompiledForward)


def test_a_body_that_is_compiled_whole_has_its_targets_chosen_after_it(tmp_path):
    model = tiny_model("bert")
    del model.base_model.encoder.layer[1]
    trainer = trainer_of(tmp_path, "run", model=model, max_steps=5, torch_compile_backend="eager")
    assert trainer.objective.selector.place() is model.cls
    losses_of(trainer)
    assert max(model.base_model.forward.seen.values()) > 2


def test_layers_that_are_run_again_for_their_gradients_are_run_whole(tmp_path):
    plain = losses_of(trainer_of(tmp_path, "plain", max_steps=3))
    trainer = trainer_of(tmp_path, "again", max_steps=3, gradient_checkpointing=True)
    assert losses_of(trainer)[:3] == pytest.approx(plain[:3], abs=1e-6)
    assert trainer.objective.selector.place() is trainer.model.cls


def test_seeding_the_generators_of_a_run_is_what_torch_does():
    torch.manual_seed(1234567890123456789)
    expected = torch.rand(5)
    levers.seed_generators(1234567890123456789, torch.device("cpu"))
    assert torch.equal(torch.rand(5), expected)
