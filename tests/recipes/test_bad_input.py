"""A mistake of the user's ends at once with one sentence, exit status 2, and nothing overwritten."""

from __future__ import annotations

import hashlib
import importlib

import pytest
from tiny import TINY_RECIPE

BASE = [word for word in TINY_RECIPE if word != "--demo"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the dog sees the cat .\n" * 300, encoding="utf-8")
    return path


def refused(capsys, arguments, name="hard_decay"):
    """The sentence with which a recipe refuses to run."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(name).RECIPE.main([str(word) for word in arguments])
    assert stopped.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train_file", "no-such-file.txt"], "no-such-file.txt"),
        (["--max_seq_len", "5:256"], "--max_seq_len"),
        (["--max_seq_len", "0:16,9:32"], "--max_seq_len"),
        (["--max_seq_len", "0:16,x"], "--max_seq_len"),
        (["--mlm_prob", "1.5"], "--mlm_prob"),
        (["--mlm_prob", "0.2", "--mask_decay", "0.3"], "--mask_decay"),
        (["--mlm_prob", "0"], "--mlm_prob"),
        (["--milestones", "1Q"], "--milestones"),
        (["--num_train_epochs", "2.5"], "--num_train_epochs"),
        (["--batch_size", "0"], "--batch_size"),
        (["--eval_strategy", "steps"], "--validation_file"),
        (["--bach_size", "4"], "did you mean --batch_size"),
        (["--max_words", "many"], "--max_words"),
        (["--tokenizer_algorithm", "words"], "--tokenizer_algorithm"),
        (["--resume_from_checkpoint", "nowhere"], "nowhere"),
        (["--model", "debertha-tiny"], "deberta-tiny"),
        (["--max_seq_len", "4096"], "fewer than one row"),
        (["--gradient_accumulation_steps", "5000"], "--gradient_accumulation_steps"),
        (["--track", "strict-small", "--num_train_epochs", "11"], "strict-small"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_options_that_cannot_be(capsys, tmp_path, text, arguments, said):
    output = tmp_path / "run"
    sentence = refused(capsys, [*BASE, "--train_file", text, "--output_dir", output, *arguments])
    assert said in sentence
    assert not list(output.glob("chck_*"))
    assert not (output / "record").exists()


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "text.txt"), (b"good\nbad \xff\xfe\n", "line 2"), (b"\n \n\n", "text.txt")]
)
def test_text_that_cannot_be_read(capsys, tmp_path, text, content, said):
    text.write_bytes(content)
    assert said in refused(capsys, [*BASE, "--train_file", text, "--output_dir", tmp_path / "run"])


def test_nothing_to_train_on(capsys, tmp_path):
    name = "no-such-namespace/no-such-corpus"
    sentence = refused(capsys, [*BASE, "--dataset_name", name, "--output_dir", tmp_path / "run"])
    assert name in sentence
    sentence = refused(capsys, [*BASE, "--output_dir", tmp_path / "run"])
    assert "--train_file" in sentence


def test_a_tokenizer_without_a_mask_token(capsys, tmp_path, text):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"[PAD]": 0, "[UNK]": 1, "the": 2, "dog": 3}
    plain = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        tmp_path / "tokenizer"
    )
    arguments = [*BASE, "--train_file", text, "--tokenizer", tmp_path / "tokenizer", "--output_dir", tmp_path / "run"]
    assert "mask token" in refused(capsys, arguments)


def test_a_folder_that_holds_another_run_is_not_touched(capsys, tmp_path, few_pairs):
    output = tmp_path / "run"
    hard = importlib.import_module("hard_decay").RECIPE
    arguments = [*TINY_RECIPE, "--max_steps", "21", "--output_dir", str(output), "--eval_pairs", few_pairs]
    hard.run(hard.parse(arguments))
    before = digest(output)
    assert "already holds a run" in refused(capsys, arguments)
    for changed, said in (
        (["--seed", "7"], "seed (was 0, is 7)"),
        (["--demo_words", "4000"], "plan corpus_fingerprint"),
        (["--batch_size", "32"], "plan stages"),
        (["--mlm_prob", "0.3"], "masking rate"),
        (["--lr", "0.5"], "learning_rate"),
    ):
        sentence = refused(capsys, [*arguments, "--resume_from_checkpoint", "auto", *changed])
        assert said in sentence
        assert digest(output) == before
