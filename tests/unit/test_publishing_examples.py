"""What a card says that its model answers is what the saved model does answer, and what its own code prints."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
import torch
from hub.runs import save_tokenizer
from synthetic_record import causal_record, synthetic_record
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, BertConfig, GPT2Config

from babylm_hf.publishing import ModelCardRenderer
from babylm_hf.publishing.examples import answers, texts_for


@pytest.fixture
def masked(tmp_path):
    """A folder of a masked model of ten pieces, and the model."""
    folder = tmp_path / "toy_hard_decay"
    save_tokenizer(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = AutoModelForMaskedLM.from_config(BertConfig(vocab_size=10, **sizes)).eval()
    model.save_pretrained(folder)
    return folder, model


def test_the_texts_are_those_given_or_english():
    assert texts_for("masked", "en", None) == ["the dog [MASK] the cat ."]
    assert texts_for("diffusion", "en", None) == ["the dog [MASK] the cat ."]
    assert texts_for("causal", "en", None) == ["the dog"]
    assert texts_for("masked", "sw", None) == []
    assert texts_for("masked", "sw", ["mbwa [MASK] paka"]) == ["mbwa [MASK] paka"]


def test_guesses_are_the_models_own_best(masked):
    folder, model = masked
    (found,) = answers(folder, "masked", ["the dog [MASK] the cat ."])
    assert found["text"] == "the dog [MASK] the cat ."
    expected = model(torch.tensor([[5, 6, 4, 5, 7, 9]])).logits[0, 2].softmax(-1).sort(descending=True)
    assert [share for _, share in found["guesses"]] == pytest.approx(expected.values[:5].tolist())
    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "the", "dog", "cat", "sees", "."]
    assert [piece for piece, _ in found["guesses"]] == [names[i] for i in expected.indices[:5]]


def test_the_card_shows_the_guesses_that_its_code_prints(masked, tmp_path, monkeypatch):
    folder, _ = masked
    record = synthetic_record(folder / "record")
    (found,) = answers(folder, "masked", ["the cat [MASK] ."])
    record.append("resume", step=119, checkpoint=None)
    record.append("example", step=120, words=2_400_000, **found)
    record.append("log", step=120, words=2_400_000)
    card = ModelCardRenderer(record).render()
    assert "| `the cat [MASK] .` | `" in card
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert 'fill("the cat [MASK] .")' in snippet
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(snippet, {})
    for piece, share in found["guesses"]:
        assert repr(piece) in printed.getvalue()
        assert f"{share:.4f}"[:5] in printed.getvalue()


def test_a_causal_card_shows_the_text_that_its_code_prints(tmp_path, monkeypatch):
    folder = tmp_path / "toy_llama"
    save_tokenizer(folder)
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=10, n_embd=8, n_layer=1, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    before = torch.random.get_rng_state()
    (found,) = answers(folder, "causal", ["the dog"])
    assert torch.equal(before, torch.random.get_rng_state()), "asking does not disturb a run"
    record = causal_record(folder / "record")
    record.append("resume", step=119, checkpoint=None)
    record.append("example", step=120, words=2_400_000, **found)
    record.append("log", step=120, words=2_400_000)
    card = ModelCardRenderer(record).render()
    assert "> **the dog** " in card
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(re.search(r"```python\n(.*?)```", card, re.DOTALL)[1], {})
    assert printed.getvalue().strip() == (found["text"] + found["continuation"]).strip()
