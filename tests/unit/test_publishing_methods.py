"""The card's description of a method: every policy and rate has its own words, with the numbers of the run."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from synthetic_record import MANIFEST
from tiny import tiny_tokenizer

from babylm_hf.arguments import MaskingArguments
from babylm_hf.masking.factory import collator_of
from babylm_hf.publishing import ModelCardRenderer, RunRecord

POLICIES = {
    "random": ["exact number of targets"],
    "frequency": ["frequency rank", "rises from 0 in the first pass to 0.02 in the last", r"\mu"],
    "whole_word": ["either all pieces of a word are targets or none"],
    "span": ["neighbouring words", "mean 5.0 and cut at 10"],
    "accuracy_morph": ["80 % of them are drawn evenly, 15 % and 5 % are guided", "30 % of the run", r"\min\left(0.9"],
    "entity_accuracy_morph": ["a quarter if the word repeats"],
    "cms_morph": [r"\min(5, \ln(1 + h))", "70 % of them"],
    "hhm": ["50 % of them", "10,000 tokens"],
    "entity_only": ["75 % of them are drawn evenly, 25 % and 0 % are guided"],
    "frequency_only": ["weighs 0.25"],
    "random_sketch": ["A control"],
}
RATES = {
    "cosine": ({"mask_decay": 0.25, "mlm_prob": 0.4, "mask_schedule": "cosine"}, ["from 40.0 % to 15.0 %", r"\cos"]),
    "steps": ({"mask_schedule": "0:0.4,0.5:0.15"}, ["40.0 % at first, 15.0 % from 50 % of the run on."]),
    "noise": ({"noise_schedule": "cosine"}, ['noise schedule "cosine" with mean 36.3 %', "|d*m*/d*t| / *m*"]),
    "softened": ({"noise_schedule": "gaussian"}, ["|d*m*/d*t|<sup>0.1</sup> / *m*"]),
}


def method_text(folder, **options):
    tokenizer = tiny_tokenizer()
    counts = np.arange(len(tokenizer)) + 1
    collator = collator_of(MaskingArguments(**options), tokenizer, token_counts=counts)
    manifest = copy.deepcopy(MANIFEST)
    manifest["method"]["parameters"] = collator.describe()
    card = ModelCardRenderer(RunRecord.create(folder / "record", manifest)).render()
    start = card.index("**Policy.**" if "noise_schedule" not in options else "**Rate.**")
    return card[card.index("**Rate.**") : card.index("**Loss.**", start)]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_its_own_words(tmp_path, policy):
    text = method_text(tmp_path, masking=policy)
    for words in POLICIES[policy]:
        assert words in text
    assert "its parameters are listed below" not in text


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_has_its_own_words(tmp_path, rate):
    options, expected = RATES[rate]
    text = method_text(tmp_path, masking="regular", **options)
    for words in expected:
        assert words in text
    assert "its parameters are listed below" not in text
