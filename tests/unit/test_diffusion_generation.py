"""Samplers of the masked diffusion model: what they reveal, what they leave alone, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from tiny_diffusion import BOS, EOS, MASK, PAD, SIZE, SPECIAL, diffusion_config, random_diffusion_model
from transformers.modeling_outputs import MaskedLMOutput

from babylm_hf.models.diffusion.generation_babylm_diffusion import DiffusionGenerationMixin
from babylm_hf.models.diffusion.sampling_babylm_diffusion import Drafts, GenerationOptionError, SamplingOptions

EVERY_SAMPLER = ("ancestral", "confidence", "threshold", "remasking")


@pytest.fixture(scope="module")
def model():
    return random_diffusion_model()


class Scripted(torch.nn.Module, DiffusionGenerationMixin):
    """Logits by a function of (input_ids, mask_rate); remembers the rates and rows that it was shown."""

    def __init__(self, logits):
        super().__init__()
        self.config, self.logits, self.anchor = diffusion_config(), logits, torch.nn.Parameter(torch.zeros(()))
        self.rates, self.rows = [], 0

    def forward(self, input_ids, attention_mask=None, labels=None, mask_rate=None):
        self.rates.append(mask_rate)
        self.rows += len(input_ids)
        return MaskedLMOutput(logits=self.logits(input_ids))


def flat(ids):
    return torch.zeros(*ids.shape, SIZE)


def rising(ids):
    """Token 10 + position, more certain the later it stands."""
    logits = torch.zeros(*ids.shape, SIZE)
    position = torch.arange(ids.shape[1])
    logits[:, position, (10 + position) % SIZE] = 1.0 + position.float()
    return logits


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_no_mask_and_no_special_token_is_left_and_the_prompt_stays(model, sampler):
    prompt = torch.tensor([[BOS, 11, 12, 13], [BOS, 21, 22, 23]])
    made = model.generate(prompt, max_new_tokens=16, sampler=sampler, steps=5, num_return_sequences=3, seed=1)
    assert made.shape == (6, 20)
    assert torch.equal(made[:, :4], prompt.repeat_interleave(3, 0))
    new = made[:, 4:]
    assert not (new == MASK).any()
    for row in new.tolist():
        text = row[: row.index(EOS)] if EOS in row else row
        assert not set(text) & set(SPECIAL)
        assert set(row[len(text) + 1 :]) <= {PAD}


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_infilling_changes_the_masks_only(model, sampler):
    ids = torch.tensor([[BOS, 11, MASK, 13, MASK, EOS, PAD], [BOS, MASK, MASK, MASK, 14, 15, EOS]])
    attention = (ids != PAD).long()
    made = model.infill(ids, attention_mask=attention, sampler=sampler, seed=3)
    gaps = ids == MASK
    assert torch.equal(made[~gaps], ids[~gaps])
    assert not set(made[gaps].tolist()) & {*SPECIAL, EOS}


@pytest.mark.parametrize(
    ("schedule", "counts"),
    [("linear", [2, 3, 2, 3]), ("maskgit", [1, 2, 3, 4]), ("cosine", [4, 3, 2, 1])],
)
def test_reveal_counts_of_the_confidence_sampler(schedule, counts):
    """The counts of the spec's 7.7 for ten tokens in four steps."""
    made = Scripted(flat).generate(
        max_new_tokens=10, sampler="confidence", schedule=schedule, steps=4, return_history=True, seed=0
    )
    left = [int((draft == MASK).sum()) for draft in made.history]
    assert [a - b for a, b in pairwise(left)] == counts
    assert made.steps == made.forward_passes == 4


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cosine_squared", "maskgit"])
@pytest.mark.parametrize("sampler", ["ancestral", "remasking"])
def test_the_share_of_masks_after_each_step_is_that_of_the_schedule(sampler, schedule):
    """64 rows of 100 tokens: a binomial share has a standard deviation of at most 0.00625."""
    made = Scripted(flat).generate(
        max_new_tokens=100,
        num_return_sequences=64,
        sampler=sampler,
        eta=0.3,
        schedule=schedule,
        steps=6,
        stop="length",
        return_history=True,
        seed=5,
    )
    rates = SamplingOptions(schedule=schedule).rates(6)
    shares = [float((draft[:, 1:] == MASK).double().mean()) for draft in made.history]
    assert shares == pytest.approx(rates, abs=0.026)
    assert shares[0] == 1
    assert shares[-1] == 0


@pytest.mark.parametrize("remasking", ["cap", "rescale", "confidence"])
def test_remasking_turns_the_wanted_share_back_into_masks(remasking):
    """From 60 % masks to 40 %: back with s = min(eta, .4 / .4) or eta min(1, 1); the marginal stays at 40 %."""
    model = Scripted(flat)
    canvas = torch.full((200, 100), MASK)
    options = SamplingOptions(sampler="remasking", remasking=remasking, eta=0.2)
    run = Drafts(model, canvas, torch.ones_like(canvas), options, set(SPECIAL), torch.Generator().manual_seed(0))
    shown = torch.rand(canvas.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    run.ids[shown] = 10
    run.revealed[shown] = torch.rand(int(shown.sum()), generator=torch.Generator().manual_seed(2)).double()
    run.remasking(0.6, 0.4)
    back = (run.ids == MASK) & shown
    assert float(back.double().sum() / shown.sum()) == pytest.approx(0.2, abs=0.02)
    assert float((run.ids == MASK).double().mean()) == pytest.approx(0.4, abs=0.02)
    low, high = shown & (run.revealed < 0.3), shown & (run.revealed > 0.7)
    doubtful, sure = (float((back & part).sum() / part.sum()) for part in (low, high))
    if remasking == "confidence":
        assert doubtful > 1.3 * sure
    else:
        assert doubtful == pytest.approx(sure, abs=0.04)


def test_cap_and_rescale_differ_near_the_end():
    """With 90 % shown and 5 % to be masked after, at most .05 / .9 may turn back: cap has all of it, rescale eta of
    it."""
    shares = {}
    for remasking in ("cap", "rescale"):
        canvas = torch.full((300, 100), MASK)
        options = SamplingOptions(sampler="remasking", remasking=remasking, eta=0.5)
        run = Drafts(Scripted(flat), canvas, torch.ones_like(canvas), options, set(), torch.Generator().manual_seed(0))
        run.ids[:, :90] = 10
        run.remasking(0.1, 0.05)
        shares[remasking] = float((run.ids[:, :90] == MASK).double().mean())
    assert shares["cap"] == pytest.approx(0.05 / 0.9, abs=0.006)
    assert shares["rescale"] == pytest.approx(0.5 * 0.05 / 0.9, abs=0.006)


def test_the_most_confident_positions_come_first():
    drafts = []
    Scripted(rising).generate(
        max_new_tokens=8, sampler="confidence", steps=8, temperature=0, stop="length", on_draft=drafts.append
    )
    order = [int((b != a).nonzero()[0, 1]) for a, b in pairwise(drafts)]
    assert order == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("confidence", ["margin", "entropy", "random"])
def test_other_measures_of_confidence(confidence):
    drafts = []
    Scripted(rising).generate(
        max_new_tokens=8,
        sampler="confidence",
        confidence=confidence,
        steps=8,
        temperature=0,
        stop="length",
        on_draft=drafts.append,
        seed=0,
    )
    order = [int((b != a).nonzero()[0, 1]) for a, b in pairwise(drafts)]
    assert sorted(order) == list(range(1, 9))
    assert (order == [8, 7, 6, 5, 4, 3, 2, 1]) is (confidence != "random")


def test_the_threshold_reveals_what_passes_it_and_at_least_one():
    """In `rising` the token at position t has probability e^(1+t) / (e^(1+t) + 32): above .9 from t = 5 on."""
    drafts = []
    Scripted(rising).generate(
        max_new_tokens=8, sampler="threshold", threshold=0.9, temperature=0, stop="length", on_draft=drafts.append
    )
    assert [int((draft == MASK).sum()) for draft in drafts] == [8, 4, 3, 2, 1, 0]
    limited = Scripted(rising).generate(
        max_new_tokens=8, sampler="threshold", threshold=1.0, steps=3, stop="length", return_history=True
    )
    assert [int((draft == MASK).sum()) for draft in limited.history] == [8, 7, 6, 0]


def test_temperature_zero_is_deterministic_and_a_seed_repeats(model):
    options = {"max_new_tokens": 12, "stop": "length"}
    greedy = [model.generate(sampler="confidence", temperature=0, **options) for _ in range(2)]
    assert torch.equal(*greedy)
    for sampler in EVERY_SAMPLER:
        first, again, other = (model.generate(sampler=sampler, seed=seed, **options) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        generator = torch.Generator().manual_seed(1)
        assert torch.equal(first, model.generate(sampler=sampler, generator=generator, **options))


def test_tokens_are_drawn_from_the_model_at_its_temperature():
    """10,000 draws of tokens with odds 4 : 2 : 1; at temperature 1/2 the odds are 16 : 4 : 1."""

    def odds(ids):
        logits = torch.full((*ids.shape, SIZE), -1e9)
        logits[..., 10:13] = torch.tensor([4.0, 2.0, 1.0]).log()
        return logits

    for options, expected in (
        ({}, [4 / 7, 2 / 7, 1 / 7]),
        ({"temperature": 0.5}, [16 / 21, 4 / 21, 1 / 21]),
        ({"top_p": 0.8}, [4 / 6, 2 / 6, 0]),
        ({"top_p": 0.5}, [1, 0, 0]),
    ):
        made = Scripted(odds).generate(
            max_new_tokens=100, num_return_sequences=100, steps=1, seed=2, stop="length", **options
        )[:, 1:]
        shares = [float((made == token).double().mean()) for token in (10, 11, 12)]
        assert shares == pytest.approx(expected, abs=0.02)


def test_end_of_text_ends_the_text():
    def ends(ids):
        logits = rising(ids)
        logits[:, 5, EOS] = 100.0
        return logits

    model = Scripted(ends)
    made = model.generate(max_new_tokens=40, sampler="confidence", steps=40, temperature=0, return_dict=True)
    row = made.sequences[0].tolist()
    assert row[5] == EOS
    assert set(row[6:]) == {PAD}
    assert not set(row[1:5]) & {PAD, MASK}
    free = Scripted(ends).generate(max_new_tokens=40, sampler="confidence", temperature=0, stop="length")
    assert not set(free[0, 1:].tolist()) & {EOS, PAD}
    # Written in blocks, nothing after the block that ends the text is ever computed.
    blocks = model.generate(
        max_new_tokens=40, sampler="confidence", temperature=0, steps=40, block_length=8, return_dict=True
    )
    assert blocks.sequences[0].tolist() == row
    assert blocks.forward_passes <= 8


def test_blocks_are_filled_from_left_to_right():
    made = Scripted(rising).generate(
        max_new_tokens=8, block_length=4, steps=8, sampler="confidence", temperature=0, return_history=True
    )
    order = [int((b != a).nonzero()[0, 1]) for a, b in pairwise(made.history)]
    assert order == [4, 3, 2, 1, 8, 7, 6, 5]


def test_the_model_is_told_the_present_share_of_masks_and_asked_only_when_something_is_revealed():
    model = Scripted(flat)
    made = model.generate([BOS, 11, 12], max_new_tokens=6, sampler="confidence", steps=3, seed=0, return_dict=True)
    assert [round(float(rate), 4) for rate in model.rates] == [0.75, 0.5, 0.25]
    assert made.forward_passes == 3
    many = Scripted(flat).generate(max_new_tokens=4, steps=200, seed=0, return_dict=True, stop="length")
    assert many.forward_passes <= 4


def test_left_padded_prompts_are_not_seen(model):
    """A prompt with padding in front is continued as it is without.

    One token at a time: of two that are equally probable, rounding would decide which is shown first.
    """
    options = {"max_new_tokens": 1, "sampler": "confidence", "temperature": 0, "stop": "length"}
    for prompt in ([BOS, 11, 12], [BOS, 13], [BOS, 20, 21, 22, 23]):
        short = model.generate(torch.tensor([prompt]), **options)
        padded = torch.tensor([[PAD, PAD, *prompt]])
        long = model.generate(padded, attention_mask=(padded != PAD).long(), **options)
        assert torch.equal(short[0], long[0, 2:])


def test_suppressed_tokens_are_never_drawn(model):
    allowed = {20, 21}
    made = model.generate(
        max_new_tokens=30, suppress_tokens=[i for i in range(SIZE) if i not in allowed], seed=0, stop="length"
    )
    assert set(made[0, 1:].tolist()) <= allowed


def test_the_mode_and_gradients_of_the_model_are_as_before(model):
    model.train()
    made = model.generate(max_new_tokens=3, seed=0)
    assert model.training
    assert not made.requires_grad
    model.eval()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sampler": "beam"}, "sampler"),
        ({"schedule": "square"}, "schedule"),
        ({"schedule": [1.0, 0.5]}, "schedule"),
        ({"confidence": "luck"}, "confidence"),
        ({"remasking": "loop"}, "remasking"),
        ({"steps": 0}, "steps"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"eta": 2}, "eta"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"num_beams": 4}, "num_beams"),
        ({"stop": "now"}, "stop"),
        ({"input_ids": [BOS, MASK]}, "infill"),
        ({"seed": 1, "generator": torch.Generator()}, "seed"),
        ({"input_ids": [[BOS, 9]], "attention_mask": [[1, 0]]}, "attention_mask"),
    ],
)
def test_what_cannot_work_is_named(model, options, named):
    with pytest.raises(GenerationOptionError, match=named):
        model.generate(**options)


def test_infilling_needs_a_mask(model):
    with pytest.raises(GenerationOptionError, match="no mask token"):
        model.infill([BOS, 11, 12])


def test_a_saved_model_generates_without_this_package(model, tmp_path):
    """Its code files travel with it, those that they import included."""
    model.save_pretrained(tmp_path / "model")
    code = """
import sys
sys.modules["babylm_hf"] = None  # whoever imports it fails
from transformers import AutoModelForMaskedLM
model = AutoModelForMaskedLM.from_pretrained(sys.argv[1], trust_remote_code=True)
print(model.generate(max_new_tokens=9, seed=3).tolist(), model.infill([1, 9, 4, 11], seed=3).tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")},
    )
    here = model.generate(max_new_tokens=9, seed=3).tolist(), model.infill([1, 9, 4, 11], seed=3).tolist()
    assert done.stdout.strip() == f"{here[0]} {here[1]}"
