"""From options to collators: every name of a policy, with every kind of rate."""

from __future__ import annotations

import json
import typing

import numpy as np
import pytest
import torch
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.arguments import MaskingArguments
from babylm_hf.errors import OptionError
from babylm_hf.masking import AdaptivePolicy, NoiseRate, StepRate
from babylm_hf.masking.factory import collator_of, rate_of

KINDS = typing.get_args(typing.get_type_hints(MaskingArguments)["masking"])
COUNTS = np.arange(len(tiny_tokenizer()), 0, -1)


def made(**options):
    collator = collator_of(MaskingArguments(**options), tiny_tokenizer(), seed=3, token_counts=COUNTS)
    collator.total_steps = 100
    return collator


def batch():
    ids = [tiny_tokenizer()(" ".join(tiny_lines()[i : i + 4]))["input_ids"][:24] for i in range(0, 160, 4)]
    ids = torch.tensor([row for row in ids if len(row) == 24])
    return {"input_ids": ids, "example_id": torch.arange(len(ids)), "word_starts": torch.ones_like(ids)}


@pytest.mark.parametrize("noise", [None, "cosine", "bimodal"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reference", [False, True])
def test_every_policy_at_every_rate(kind, noise, reference):
    collator = made(masking=kind, noise_schedule=noise, reference_behaviour=reference, sketch_width=512)
    masked = collator.mask(batch(), pass_index=1, step=50)
    assert (masked["labels"] != -100).any()
    assert ("loss_weights" in masked) == (noise is not None)
    json.dumps(collator.describe())


def test_rates():
    assert isinstance(rate_of(MaskingArguments(mask_schedule="0:0.4,0.5:0.15")), StepRate)
    noise = rate_of(MaskingArguments(noise_schedule="gaussian", noise_mean=0.4, noise_std=0.05, softening=1.0))
    assert isinstance(noise, NoiseRate)
    assert noise.at(0, 10) == pytest.approx(0.4)
    adaptive = made(masking="hard", noise_schedule="cosine").policy
    assert isinstance(adaptive, AdaptivePolicy)
    assert adaptive.weights[10] == pytest.approx(0.36338, abs=1e-5)


def test_a_prior_from_a_file(tmp_path):
    prior = np.where(np.arange(len(COUNTS)) < 50, 0.0, 1.0)
    np.save(tmp_path / "prior.npy", prior)
    np.savetxt(tmp_path / "prior.txt", prior)
    for name in ("prior.npy", "prior.txt"):
        assert np.array_equal(made(mask_prior=str(tmp_path / name)).policy.prior, prior)
    (tmp_path / "words.txt").write_text("a\nb\n")
    for name in ("words.txt", "nothing.npy"):
        with pytest.raises(OptionError, match=f"--mask_prior .*{name}"):
            made(mask_prior=str(tmp_path / name))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mask_schedule": "falling"}, "--mask_schedule"),
        ({"noise_schedule": "cosine", "noise_mean": 0.3}, "no parameters"),
        ({"noise_schedule": "gaussian", "noise_mean": 1.3}, "--noise_mean"),
        ({"noise_schedule": "cosine", "softening": -1.0}, "--softening"),
        ({"masking": "accuracy_morph", "guided_shares": "0.8,0.2"}, "--guided_shares"),
        ({"masking": "accuracy_morph", "guided_shares": "0.8,0.1,0.2"}, "--guided_shares"),
        ({"masking": "hhm", "guided_warmup": -1.0}, "--guided_warmup"),
        ({"masking": "frequency", "frequency_exponent": -1.0}, "--frequency_exponent"),
        ({"masking": "span", "span_length": 0.0}, "--span_length"),
    ],
)
def test_what_is_refused(options, says):
    with pytest.raises(OptionError, match=says):
        made(**options)


def test_frequency_masking_needs_counts():
    with pytest.raises(OptionError, match="token counts"):
        collator_of(MaskingArguments(masking="frequency"), tiny_tokenizer())
