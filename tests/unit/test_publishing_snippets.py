"""The code a card shows runs as it stands, beside the folder that holds the card."""

from __future__ import annotations

import re

import pytest
import torch
from synthetic_record import GOLDEN, MANIFEST, synthetic_record
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from babylm_hf.publishing import ModelCardRenderer


def save_model(folder, seed):
    pieces = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "the", "dog", "cat", "sees", "."]
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "cls", "sep", "unk", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    model = AutoModelForMaskedLM.from_config(config)
    model.save_pretrained(folder)
    return model


def test_the_snippets_of_the_final_card_load_the_final_model_and_a_milestone(tmp_path, monkeypatch, capsys):
    run = tmp_path / "toy_hard_decay"
    final, early = save_model(run, 0), save_model(run / "chck_1M", 1)
    card = ModelCardRenderer(synthetic_record(run / "record")).render()
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    assert "token_str" in capsys.readouterr().out
    for loaded, saved in ((names["model"], final), (names["early"], early)):
        assert torch.equal(loaded.cls.predictions.bias, saved.cls.predictions.bias)
        assert torch.equal(loaded.get_input_embeddings().weight, saved.get_input_embeddings().weight)


@pytest.mark.parametrize("own", ["diffusion", "nhot"])
def test_what_comes_with_code_is_loaded_without_a_question(tmp_path, own):
    if own == "diffusion":
        card = (GOLDEN / "card_diffusion.md").read_text(encoding="utf-8")
    else:
        model = {**MANIFEST["model"], "architecture": "nhot-deberta-v2"}
        card = ModelCardRenderer(synthetic_record(tmp_path / "record", model=model)).render()
    loads = re.findall(r"(?:from_pretrained|pipeline)\(.*\)$", card, re.MULTILINE)
    assert len(loads) >= 3
    assert all("trust_remote_code=True" in load for load in loads), "transformers would ask, also for the tokenizer"
