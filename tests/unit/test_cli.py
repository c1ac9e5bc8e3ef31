"""The command `babylm-hf`: every command once, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tiny import SHARED_DATA, tiny_lines, tiny_model, tiny_tokenizer

from babylm_hf.cli import main
from babylm_hf.corpus.toy import toy_minimal_pairs


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(tiny_lines()) + "\n", encoding="utf-8")
    return path


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_help_needs_no_torch():
    code = "import sys; from babylm_hf import cli; cli.build_parser().format_help(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_corpus_stats(capsys, text):
    main(["corpus", "stats", str(text), "--json"])
    (report,) = json.loads(capsys.readouterr().out)
    assert report["words"] == sum(len(line.split()) for line in tiny_lines())
    assert report["documents"] == len(tiny_lines())
    main(["corpus", "stats", str(text)])
    assert "total" in capsys.readouterr().out


def test_a_tokenizer_is_trained_and_never_overwritten(capsys, text, tmp_path):
    out = tmp_path / "tokenizer"
    main(["tokenizer", "train", str(text), "--out", str(out), "--algorithm", "wordpiece", "--vocab_size", "200"])
    before = (out / "tokenizer.json").read_bytes()
    assert "not empty" in refused(capsys, "tokenizer", "train", text, "--out", out, "--vocab_size", "100")
    assert (out / "tokenizer.json").read_bytes() == before


@pytest.mark.skipif(not (SHARED_DATA / "tokenizer").is_dir(), reason="needs the SentencePiece model of the reference")
def test_a_sentencepiece_model_is_converted(capsys, tmp_path):
    main(["tokenizer", "convert", str(SHARED_DATA / "tokenizer" / "bb24.model"), "--out", str(tmp_path / "out")])
    assert "40,000 pieces" in capsys.readouterr().out
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_pairs_are_scored(capsys, tmp_path):
    model, pairs = tmp_path / "model", tmp_path / "pairs"
    tiny_model().save_pretrained(model)
    tiny_tokenizer().save_pretrained(model)
    pairs.mkdir()
    for paradigm, rows in toy_minimal_pairs(2, seed=0).items():
        (pairs / f"{paradigm}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(["evaluate", str(model), "--data", str(pairs), "--json"])
    (evaluation,) = json.loads(capsys.readouterr().out)["evaluations"]
    results = evaluation["tasks"]["pairs"]
    assert results["items"] == 2 * len(results["paradigms"])
    assert evaluation["failures"] == {}
    main(["evaluate", str(model), "--data", str(pairs), "--subsample", "8"])
    printed = capsys.readouterr().out
    assert "on 8 of its items" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("pairs ")]
    assert f"{100 * results['score']:5.1f}" in line
    assert max(map(len, printed.splitlines()[1:])) <= 80  # the first line has the path of the model


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["corpus", "stats", "no-such-file"], "no-such-file"),
        (["tokenizer", "train", "no-such-file", "--out", "out"], "no-such-file"),
        (["evaluate", "model", "--data", "no-such-folder"], "no-such-folder"),
        (["card", "no-such-run"], "no-such-run"),
        (["evaluat"], "evaluat"),
        (["tokenizer", "train", "x"], "--out"),
    ],
    ids=str,
)
def test_mistakes_end_with_a_sentence(capsys, arguments, said):
    sentence = refused(capsys, *arguments)
    assert sentence.startswith("error: ")
    assert said in sentence
    assert sentence.count("\n") == 1
