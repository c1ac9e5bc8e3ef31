"""What is written here is read by transformers 4.51, as the official pipeline has it: the same ids and logits.

Not in the default run, as it needs that version in a folder of its own: `make old-transformers` fetches it and runs
this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny import tiny_causal_model, tiny_causal_tokenizer, tiny_model, tiny_tokenizer

from babylm_hf.models import build_model

FOLDER = os.environ.get("BABYLM_HF_OLD_TRANSFORMERS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason="make old-transformers sets BABYLM_HF_OLD_TRANSFORMERS"),
]

SENTENCES = ["the dog sees the cat .", "do you know what the girl ate ?"]
READER = """
import json, sys
import numpy, torch, transformers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
folder, kind, out, sentences = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
Auto = AutoModelForCausalLM if kind == "causal" else AutoModelForMaskedLM
tokenizer = AutoTokenizer.from_pretrained(folder)
model = Auto.from_pretrained(folder, trust_remote_code=True).eval()
found = {"version": transformers.__version__, "fast": tokenizer.is_fast, "ids": [], "offsets": []}
logits = []
with torch.no_grad():
    for sentence in sentences:
        row = tokenizer(sentence, return_tensors="pt", return_offsets_mapping=True)
        found["offsets"].append(row.pop("offset_mapping")[0].tolist())
        found["ids"].append(row["input_ids"][0].tolist())
        logits.append(model(**row).logits[0].numpy())
numpy.save(out, numpy.concatenate(logits))
print(json.dumps(found))
"""


def models():
    yield "bert", "masked", tiny_model("bert"), tiny_tokenizer()
    yield "deberta", "masked", tiny_model("deberta"), tiny_tokenizer()
    yield "modernbert", "masked", tiny_model("modernbert"), tiny_tokenizer()
    yield "llama", "causal", tiny_causal_model("llama"), tiny_causal_tokenizer()
    yield "gpt2", "causal", tiny_causal_model("gpt2"), tiny_causal_tokenizer()
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    for preset in ("nhot-deberta-tiny", "diffusion-tiny"):
        torch.manual_seed(0)
        yield preset, "masked", build_model(preset, tiny_tokenizer(), **sizes), tiny_tokenizer()


@pytest.mark.parametrize(
    "name", ["bert", "deberta", "modernbert", "llama", "gpt2", "nhot-deberta-tiny", "diffusion-tiny"]
)
def test_ids_offsets_and_logits_are_the_same(tmp_path, name):
    _, kind, model, tokenizer = next(found for found in models() if found[0] == name)
    for parameter in model.parameters():  # what starts at 0 must not hide what it multiplies
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(1))
    model.eval().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    environment = {**os.environ, "PYTHONPATH": FOLDER, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", READER, str(tmp_path / "model"), kind, str(tmp_path / "logits.npy")]
    done = subprocess.run(
        [*command, json.dumps(SENTENCES)], env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"].startswith("4.51")
    assert found["fast"]
    ours = [tokenizer(sentence, return_offsets_mapping=True) for sentence in SENTENCES]
    assert found["ids"] == [row["input_ids"] for row in ours]
    assert found["offsets"] == [[list(pair) for pair in row["offset_mapping"]] for row in ours]
    with torch.no_grad():
        rows = [model(**tokenizer(sentence, return_tensors="pt")).logits[0].numpy() for sentence in SENTENCES]
    assert np.abs(np.load(tmp_path / "logits.npy") - np.concatenate(rows)).max() < 1e-4
