"""The card of a diffusion model: its snippet runs, and its formulas are those of the run."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from synthetic_record import DIFFUSION, synthetic_record
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.arguments import MaskingArguments
from babylm_hf.corpus import train_tokenizer
from babylm_hf.masking.factory import collator_of
from babylm_hf.models import build_model
from babylm_hf.publishing import ModelCardRenderer


def save_model(folder, seed):
    tokenizer = train_tokenizer(iter([list(tiny_lines())]), "bpe-gptbert", 400)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = build_model("diffusion-tiny", tokenizer, **sizes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def test_the_snippets_of_the_card_load_fill_and_generate(tmp_path, monkeypatch, capsys):
    run = tmp_path / "toy_diffusion"
    final, early = save_model(run, 0), save_model(run / "chck_1M", 1)
    card = ModelCardRenderer(synthetic_record(run / "record", **DIFFUSION)).render()
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    printed = capsys.readouterr().out.splitlines()
    assert "token_str" in printed[0]
    assert printed[1].startswith("the dog")
    assert printed[2].startswith("the dog")
    assert "<mask>" not in "".join(printed[1:])
    for loaded, saved in ((names["model"], final), (names["early"], early)):
        assert torch.equal(loaded.head.dense.weight, saved.head.dense.weight)


def method_text(folder, config=None, **options):
    collator = collator_of(MaskingArguments(**options), tokenizer := tiny_tokenizer(), token_counts=range(400))
    assert len(tokenizer) == 400
    manifest = copy.deepcopy(DIFFUSION)
    manifest["method"]["parameters"] = collator.describe()
    manifest["model"]["config"] |= config or {}
    card = ModelCardRenderer(synthetic_record(folder / "record", **manifest)).render()
    return card[card.index("begin method") : card.index("end method")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"noise_schedule": "cosine", "masking": "regular"},
            [
                r"m(t) = 1 - \cos\negthinspace\left(",
                "is 36.3 %",
                r"\frac{|dm/dt|}{m}",
                "upper bound",
                "with probability *m*",
            ],
        ),
        ({"noise_schedule": "linear", "masking": "regular"}, ["$$m(t) = t$$", "is 50.0 %"]),
        (
            {"noise_schedule": "gaussian", "masking": "frequency", "noise_mean": 0.25},
            [r"\mathcal{N}(0.25,\thinspace 0.1^2)", "^{0.1}", "no bound", "between 0.001 and 1", "rare tokens"],
        ),
        (
            {"noise_schedule": "cosine", "masking": "frequency", "loss_weighting": "token"},
            [r"\frac{1}{q_j}\frac{dq_j}{dm}", "upper bound"],
        ),
        (
            {"noise_schedule": "cosine", "masking": "frequency", "mask_replace_prob": 1.0, "random_replace_prob": 0.0},
            ["small tilt", "100 % of the hidden tokens are shown as the mask token."],
        ),
        (
            {"noise_schedule": "bimodal", "masking": "frequency", "reference_behaviour": True},
            ["of the mode that was drawn", "reproduces the published code", "rows of a batch"],
        ),
    ],
)
def test_every_schedule_has_its_own_formula(tmp_path, options, expected):
    text = method_text(tmp_path, **options)
    for words in expected:
        assert words in text
    assert "The mask token itself has no probability." in text


def test_the_card_tells_what_the_configuration_chose(tmp_path):
    text = method_text(tmp_path, {"suppress_mask": False}, noise_schedule="cosine", masking="regular")
    assert "competes with the others" in text
