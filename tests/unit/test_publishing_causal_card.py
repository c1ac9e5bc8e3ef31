"""The card of a causal model: its own words, and code that runs as it stands."""

from __future__ import annotations

import re

import pytest
import torch
from huggingface_hub import ModelCard
from synthetic_record import causal_record
from tiny import tiny_causal_model, tiny_causal_tokenizer

from babylm_hf.publishing import ModelCardRenderer


def test_it_says_nothing_of_masks(tmp_path):
    card = ModelCardRenderer(causal_record(tmp_path / "record")).render()
    data = ModelCard(card, ignore_metadata_errors=False).data
    assert data.pipeline_tag == "text-generation"
    assert "causal-lm" in data.tags
    text = card.lower().replace("nothing is masked", "")
    assert "mask" not in text
    assert "a row may hold several documents" in text
    assert "[`chck_1m`](chck_1m)" in text


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"packing": "line"}, "One document a row"),
        ({"packing": "packed", "separate_documents": True}, "No token sees another document of its row"),
    ],
)
def test_it_says_how_rows_were_cut(tmp_path, parameters, said):
    record = causal_record(tmp_path / "record")
    record.manifest["method"]["parameters"] = parameters
    assert said in ModelCardRenderer(record).render()


def test_its_snippets_generate_with_the_final_model_and_load_a_milestone(tmp_path, monkeypatch, capsys):
    run = tmp_path / "toy_llama"
    for seed, folder in enumerate([run, run / "chck_1M"]):
        tiny_causal_model(seed=seed).save_pretrained(folder)
        tiny_causal_tokenizer().save_pretrained(folder)
    snippets = re.findall(r"```python\n(.*?)```", ModelCardRenderer(causal_record(run / "record")).render(), re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    assert capsys.readouterr().out.strip().startswith("The dog")
    assert names["text"].shape[1] > names["start"]["input_ids"].shape[1]
    assert names["text"][0, 0] == tiny_causal_tokenizer().bos_token_id
    for name, seed in (("model", 0), ("early", 1)):
        assert torch.equal(names[name].lm_head.weight, tiny_causal_model(seed=seed).lm_head.weight)
