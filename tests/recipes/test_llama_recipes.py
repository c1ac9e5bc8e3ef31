"""The LLaMA baselines: the cards' settings, a run to its end, and what is refused."""

from __future__ import annotations

import importlib
import json

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from babylm_hf.errors import OptionError

TINY = """
    --demo --demo_words 3000 --vocab_size 300 --hidden_size 32 --intermediate_size 32 --num_hidden_layers 1
    --max_seq_len 32 --batch_size 32 --num_train_epochs 2 --milestones 2x2K --warmup_steps 200
    --logging_steps 5 --save_steps 20 --use_cpu true --disable_tqdm true
""".split()  # noqa: SIM905


def recipe(name):
    return importlib.import_module(name).RECIPE


@pytest.mark.parametrize(
    ("name", "pieces", "rate", "rows", "micro", "mix"),
    [("llama_26m", 16_000, 3e-4, 64, 4, "2MB"), ("llama_66m", 32_000, 2e-4, 128, 8, "10MB")],
)
def test_the_settings_of_the_cards(name, pieces, rate, rows, micro, mix):
    options = recipe(name).parse(["--use_cpu"])
    training, corpus = options.training, options.corpus
    assert (options.model.model, options.model.objective) == (name.replace("_", "-"), "causal")
    assert (options.tokenizer.vocab_size, options.tokenizer.exact_vocab_size) == (pieces, True)
    assert (options.tokenizer.tokenizer_algorithm, corpus.packing, corpus.mix_bytes) == ("bpe", "packed", mix)
    assert (training.rows_per_step(), training.gradient_accumulation_steps, training.max_seq_len) == (
        rows,
        micro,
        "512",
    )
    assert (training.learning_rate, training.get_warmup_steps(80), training.num_train_epochs) == (rate, 200, 5)
    assert (training.adam_beta1, training.adam_beta2, training.adam_epsilon) == (0.9, 0.999, 1e-8)
    assert (training.weight_decay, training.max_grad_norm, training.seed) == (0.0, 1.0, 0)
    assert not training.bf16
    assert not training.fp16


@pytest.mark.parametrize("options", [[], ["--packing", "line"], ["--separate_documents"]])
def test_a_run_leaves_what_is_promised(tmp_path, few_pairs, caplog, options):
    output = tmp_path / "run"
    arguments = [*TINY, "--output_dir", str(output), "--eval_pairs", few_pairs, *options]
    trainer = recipe("llama_26m").run(recipe("llama_26m").parse(arguments))
    assert trainer.state.global_step == trainer.plan.total_steps
    assert any("below the peak" in message for message in caplog.messages)
    for folder in (output, output / "chck_2K", output / "chck_4K"):
        card = (folder / "README.md").read_text()
        assert "Causal language model" in card
        assert "None" not in card
        assert len(AutoTokenizer.from_pretrained(folder)) == 300
        assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == 300
    manifest = json.loads((output / "record" / "run.json").read_text())
    assert manifest["family"] == "causal"
    assert manifest["method"]["parameters"]["packing"] == ("line" if "line" in options else "packed")
    assert "mask_rate" not in manifest["held_out"]
    assert 4 < manifest["baselines"]["unigram_loss"] < 6
    events = [json.loads(line) for line in (output / "record" / "events.jsonl").read_text().splitlines()]
    pairs = [event["metrics"] for event in events if event.get("task") == "toy_pairs"]
    assert len(pairs) == 4
    assert {found["backend"] for found in pairs} == {"causal"}
    assert not [name for event in events if event["kind"] == "log" for name in event if "mask" in name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mlm_prob", "0.3"], "--mlm_prob is about masks"),
        (["--packing", "line", "--separate_documents"], "--separate_documents does nothing with --packing line"),
        (["--objective", "masked", "--separate_documents"], "--separate_documents is for causal models"),
        (["--vocab_size", "9000"], "not the 9,000 of --vocab_size"),
        (["--tokenizer_algorithm", "wordpiece"], "leave it at bpe"),
        (["--model", "bert-tiny", "--objective", "masked", "--model", "llama-tiny"], "pass --objective causal"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, few_pairs, options, said):
    arguments = [*TINY, "--output_dir", str(tmp_path / "run"), "--eval_pairs", few_pairs, *options]
    with pytest.raises(OptionError, match=said):
        recipe("llama_26m").run(recipe("llama_26m").parse(arguments))
