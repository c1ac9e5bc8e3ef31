"""Recipes of masked diffusion: published settings, and a run that leaves averaged weights, code files and a card."""

from __future__ import annotations

import importlib
import json

import pytest
import torch
from tiny import TINY_RECIPE

from babylm_hf.errors import OptionError
from babylm_hf.masking.factory import rate_of


def recipe(name):
    return importlib.import_module(name).RECIPE


@pytest.mark.parametrize("name", ["diffusion_cosine", "diffusion_gaussian"])
def test_the_published_settings(name):
    options = recipe(name).parse([])
    masking, training, tokenizer = options.masking, options.training, options.tokenizer
    assert (options.model.model, tokenizer.tokenizer_algorithm, tokenizer.vocab_size) == (
        "diffusion-base",
        "bpe-gptbert",
        16_384,
    )
    assert (masking.policy_name(), masking.frequency_exponent, masking.frequency_curriculum) == (
        "frequency",
        0.02,
        True,
    )
    assert (training.max_seq_len, training.batch_size, training.num_train_epochs) == ("128", 1024, 10)
    assert (training.lamb, training.lamb_coupled_decay, training.lamb_clip_ratio) == (True, True, False)
    assert (training.learning_rate, training.weight_decay, training.max_grad_norm) == (7e-3, 0.1, 2.0)
    assert (training.adam_beta1, training.adam_beta2, training.adam_epsilon) == (0.9, 0.98, 1e-8)
    assert (training.get_warmup_steps(7530), training.get_cooldown_steps(7530), training.lr_floor) == (120, 120, 0.1)
    assert (training.ema_decay, training.track) == (0.999, "strict")
    facts = rate_of(masking).describe()
    if name == "diffusion_cosine":
        assert (facts["schedule"], facts["softening"]) == ("cosine", 1.0)
    else:
        assert (facts["schedule"], facts["softening"], facts["left_share"]) == ("bimodal", 0.1, 0.6)
        assert (facts["left_mean"], facts["left_std"], facts["right_std"]) == (0.12, 0.02, 0.08)
        assert (facts["right_mean_first"], facts["right_mean_last"], facts["right_pace"]) == (0.4, 0.85, 1.0)


@pytest.mark.parametrize("name", ["diffusion_cosine", "diffusion_gaussian"])
def test_a_run_leaves_a_model_that_is_complete(tmp_path, few_pairs, name):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    output = tmp_path / "run"
    arguments = [*TINY_RECIPE, "--output_dir", str(output), "--eval_pairs", few_pairs, "--nelbo_tokens", "400"]
    trainer = recipe(name).run(recipe(name).parse(arguments))
    assert trainer.objective.name == "diffusion"
    for folder in (output, output / "chck_2K", output / "chck_4K"):
        found = {path.name for path in folder.iterdir()}
        code = {f"{part}_babylm_diffusion.py" for part in ("configuration", "modeling", "layers", "generation")}
        assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", *code} <= found
        card = (folder / "README.md").read_text()
        assert "trust_remote_code=True" in card
        assert "None" not in card
    tokenizer = AutoTokenizer.from_pretrained(output)
    model = AutoModelForMaskedLM.from_pretrained(output)
    averaged = trainer.average.averaged.module
    assert torch.equal(model.head.dense.weight, averaged.head.dense.weight)
    # Learnt like words, and so not among the ids that generation leaves out.
    assert set(range(16)) - set(model.config.special_token_ids) == {tokenizer.bos_token_id, tokenizer.eos_token_id}
    assert trainer.data_collator.vocabulary.special_ids == (0, 3, 4)
    ends = trainer.rows.token_counts()[tokenizer.eos_token_id]
    assert ends == trainer.rows.info.num_documents
    manifest = json.loads((output / "record" / "run.json").read_text())
    assert (manifest["family"], manifest["optimizer"]["ema_decay"]) == ("diffusion", 0.999)
    events = [json.loads(line) for line in (output / "record" / "events.jsonl").read_text().splitlines()]
    bounds = [event["metrics"]["eval_nelbo"] for event in events if event.get("task") == "held_out"]
    assert len(bounds) == 4
    assert bounds[-1] < bounds[0]


def test_the_published_code_can_be_asked_for(tmp_path, few_pairs):
    published = ["--reference_behaviour", "--end_of_text", "false", "--suppress_mask", "false"]
    arguments = [*TINY_RECIPE, "--output_dir", str(tmp_path / "run"), "--eval_pairs", few_pairs, *published]
    trainer = recipe("diffusion_gaussian").run(
        recipe("diffusion_gaussian").parse([*arguments, "--max_steps", "3", "--milestones", "none"])
    )
    assert not trainer.model.config.suppress_mask
    assert trainer.data_collator.rate.reference
    assert trainer.rows.token_counts()[trainer.processing_class.eos_token_id] == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--tokenizer_algorithm", "wordpiece"], "end_of_text"),
        (["--masking", "accuracy_morph"], "end_of_text"),
        (["--model", "bert-tiny", "--suppress_mask", "true"], "suppress_mask"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, named):
    found = recipe("diffusion_cosine")
    with pytest.raises(OptionError, match=named):
        found.run(found.parse([*TINY_RECIPE, "--output_dir", str(tmp_path / "run"), *options]))
