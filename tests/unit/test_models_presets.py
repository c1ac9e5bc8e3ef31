"""Presets have the published sizes, survive a save, and refuse what they cannot build in one sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PreTrainedTokenizerFast,
)

from babylm_hf.errors import OptionError
from babylm_hf.models import PRESETS, build_config, build_model

SPECIALS = {
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}


def tokenizer_of(size: int) -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate(SPECIALS.values())}
    vocabulary |= {f"w{i}": i for i in range(len(SPECIALS), size)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")), **SPECIALS
    )


TINY = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("preset", "vocabulary", "sizes", "parameters"),
    [
        ("deberta-v3-base", 40_000, {"hidden_size": 384, "intermediate_size": 1280}, 34_677_952),
        ("bert-small", 30_522, {}, 11_201_338),
    ],
)
def test_published_parameter_counts(preset: str, vocabulary: int, sizes: dict[str, int], parameters: int) -> None:
    model = build_model(preset, tokenizer_of(vocabulary), **sizes)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("preset", "vocabulary", "tied", "parameters"),
    [
        ("llama-26m", 16_000, False, 26_448_768),
        ("llama-66m", 32_000, False, 66_331_136),
        ("llama-26m", 16_000, True, 20_304_768),
        ("llama-66m", 32_000, True, 49_947_136),
    ],
)
def test_parameter_counts_of_the_llama_baselines(preset: str, vocabulary: int, tied: bool, parameters: int) -> None:
    with torch.device("meta"):
        config = build_config(preset, tokenizer_of(vocabulary), tie_word_embeddings=tied)
        model = AutoModelForCausalLM.from_config(config)
    assert sum(p.numel() for p in model.parameters()) == parameters
    published = build_config(preset, tokenizer_of(vocabulary))
    assert (published.tie_word_embeddings, published.max_position_embeddings) == (False, 512)
    assert published.num_attention_heads == published.num_key_value_heads
    assert (published.head_dim, published.rms_norm_eps, published.attention_bias) == (64, 1e-6, False)


def test_another_width_of_llama_derives_its_heads_and_both_rotary_settings_are_saved(tmp_path: Path) -> None:
    config = build_config("llama-26m", tokenizer_of(30), hidden_size=128)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, 2, 64)
    config = build_config("llama-26m", tokenizer_of(30), num_attention_heads=3)
    assert (config.num_key_value_heads, config.head_dim) == (3, 128)
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    # transformers 4 reads the first and 5 the second
    assert saved["rope_theta"] == saved["rope_parameters"]["rope_theta"] == 10_000.0
    other = build_config("llama-26m", tokenizer_of(30), rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert other.to_dict()["rope_theta"] == 5e5


@pytest.mark.parametrize(("preset", "vocabulary"), [("llama-26m", 16_000), ("llama-66m", 32_000)])
@pytest.mark.slow
def test_an_untrained_llama_loses_what_a_guess_does(preset: str, vocabulary: int) -> None:
    torch.manual_seed(0)
    model = build_model(preset, tokenizer_of(vocabulary), objective="causal").eval()
    ids = torch.randint(5, vocabulary, (2, 512))
    with torch.no_grad():
        loss = float(model(input_ids=ids, labels=ids).loss)
    assert math.log(vocabulary) <= loss < math.log(vocabulary) + 0.2


def test_deberta_follows_the_paper() -> None:
    config = build_config("deberta-v3-base", tokenizer_of(50), hidden_size=384, intermediate_size=1280)
    assert (config.num_hidden_layers, config.num_attention_heads, config.max_position_embeddings) == (12, 12, 1024)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.1)
    assert (config.position_buckets, config.norm_rel_ebd, config.share_att_key) == (256, "layer_norm", True)
    assert not config.position_biased_input
    assert build_config("deberta-v3-base", tokenizer_of(50)).num_attention_heads == 12


@pytest.mark.parametrize("preset", PRESETS)
def test_a_saved_preset_loads_with_any_head(preset: str, tmp_path: Path) -> None:
    causal = PRESETS[preset].model_type == "llama"
    model = build_model(preset, tokenizer_of(30), objective="causal" if causal else "masked", **TINY)
    model.save_pretrained(tmp_path)
    classifier, report = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert classifier.config.hidden_size == 32
    assert not report["mismatched_keys"]
    auto_class = AutoModelForCausalLM if causal else AutoModelForMaskedLM
    assert auto_class.from_pretrained(tmp_path).config.vocab_size == 30
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved.get("pooler_hidden_size", 32) == 32
    assert saved["pad_token_id"] == 0
    assert saved["architectures"] == [type(model).__name__]
    assert saved["max_position_embeddings"] >= 512


@pytest.mark.parametrize(
    ("preset", "size", "heads"), [("bert-tiny", 64, 2), ("bert-base", 384, 6), ("bert-tiny", 16, 1)]
)
def test_another_width_keeps_the_head_size(preset: str, size: int, heads: int) -> None:
    assert build_config(preset, tokenizer_of(30), hidden_size=size).num_attention_heads == heads


def test_overrides() -> None:
    config = build_config("bert-tiny", tokenizer_of(30), dropout=0.25, num_hidden_layers=1, hidden_size=None)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.25)
    assert (config.num_hidden_layers, config.hidden_size) == (1, 128)


def test_a_folder_gives_its_configuration_only(tmp_path: Path) -> None:
    ModernBertConfig(vocab_size=99, **TINY).save_pretrained(tmp_path)
    config = build_config(str(tmp_path), tokenizer_of(30), hidden_size=64, dropout=0.3)
    assert (config.model_type, config.vocab_size, config.hidden_size, config.num_attention_heads) == (
        "modernbert",
        30,
        64,
        4,
    )
    assert (config.cls_token_id, config.eos_token_id, config.mlp_dropout) == (1, None, 0.3)


@pytest.mark.parametrize("config", [GPT2Config(n_embd=8, n_layer=3, n_head=2), DistilBertConfig(dim=8, n_heads=2)])
def test_sizes_reach_configurations_with_other_names(config: GPT2Config | DistilBertConfig, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    built = build_config(str(tmp_path), tokenizer_of(30), hidden_size=16, intermediate_size=20, num_hidden_layers=1)
    assert (built.hidden_size, built.num_hidden_layers, built.num_attention_heads) == (16, 1, 4)
    assert 20 in (getattr(built, "n_inner", 0), getattr(built, "hidden_dim", 0))


def test_causal_models(tmp_path: Path) -> None:
    GPT2Config(n_embd=8, n_layer=1, n_head=2).save_pretrained(tmp_path)
    assert type(build_model(str(tmp_path), tokenizer_of(30), objective="causal")).__name__ == "GPT2LMHeadModel"
    with pytest.raises(OptionError, match="a gpt2 model has no masked language head"):
        build_model(str(tmp_path), tokenizer_of(30))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bert-smal", {}, r"--model bert-smal: no such preset; did you mean bert-small\?"),
        (
            "no/such/place/at-all",
            {},
            "--model no/such/place/at-all: neither a preset .* the presets are deberta-v3-base",
        ),
        (
            "bert-tiny",
            {"hiden_size": 3},
            "--hiden_size cannot be set: the configuration of bert-tiny has no such field",
        ),
        ("bert-tiny", {"hidden_size": 100}, "--hidden_size 100 cannot be shared among 3 heads"),
        ("bert-tiny", {"num_attention_heads": 3}, "--hidden_size 128 cannot be shared among 3 heads"),
    ],
)
def test_what_cannot_be_built(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_model(name, tokenizer_of(30), **options)


def test_naming_the_package_is_cheap() -> None:
    code = "import sys, babylm_hf.models; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
