"""Runs over tasks and seeds: kept, resumed, reported, written as official files; one failure is one failure."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from finetuning_data import save_model, write_task
from tiny import SHARED_DATA

from babylm_hf.cli import main
from babylm_hf.errors import CorpusError, OptionError, ResumeError
from babylm_hf.evaluation.finetuning import Settings, finetune_model, finetuning_predictions, runs
from babylm_hf.evaluation.finetuning.results import FinetuningResult, score_rows
from babylm_hf.evaluation.report import render_table

FAST = Settings(epochs=2, batch_size=16, learning_rate=1e-3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "tiny-v1.5")


@pytest.fixture
def data(tmp_path):
    write_task(tmp_path / "data", "rte", valid=30)
    return write_task(tmp_path / "data", "mrpc", valid=30)


def test_results_are_kept_and_taken_up_again(model, data, tmp_path, monkeypatch):
    options = {"seeds": [1, 2], "settings": FAST, "output_dir": tmp_path / "out"}
    first = finetune_model(model, ["rte", "mrpc"], data, **options)
    assert not first.failures
    assert [(r.task, r.seed) for r in first.results] == [("rte", 1), ("rte", 2), ("mrpc", 1), ("mrpc", 2)]
    assert (tmp_path / "out" / "official" / "rte" / "seed_1.json").is_file()
    lost = tmp_path / "out" / "official" / "mrpc" / "seed_2.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    trained = []
    monkeypatch.setattr(runs, "train_classifier", lambda *a, **k: trained.append(1) or original(*a, **k))
    second = finetune_model(model, ["rte", "mrpc"], data, **options)
    assert trained == [1], "only the missing run is made again"
    assert [r.scores for r in second.results] == [r.scores for r in first.results]
    assert json.loads(lost.read_text()) | {"seconds": 0} == before | {"seconds": 0}, "and it is the same"


original = runs.train_classifier


def test_results_of_another_making_are_not_taken_up(model, data, tmp_path):
    options = {"output_dir": tmp_path / "out"}
    finetune_model(model, ["rte"], data, settings=FAST, **options)
    with pytest.raises(ResumeError, match=r"seed_42\.json was made with another epochs: delete it or"):
        finetune_model(model, ["rte"], data, settings=Settings(epochs=1, batch_size=16, learning_rate=1e-3), **options)
    other = tmp_path / model.name
    shutil.copytree(model, other)
    moved = finetune_model(other, ["rte"], data, settings=FAST, **options)
    assert len(moved.results) == 1, "the same model in another folder is the same model"
    save_model(other, "deberta-v2")
    with pytest.raises(ResumeError, match="made with another weights"):
        finetune_model(other, ["rte"], data, settings=FAST, **options)
    (tmp_path / "out" / "official" / "rte" / "seed_42.json").write_text("{}")
    with pytest.raises(ResumeError, match="not a result of fine-tuning"):
        finetune_model(model, ["rte"], data, settings=FAST, **options)


def test_a_failure_leaves_the_others_alone(model, data, tmp_path, monkeypatch):
    def fails_on_rte(model, tokenizer, data, *rest, **options):
        if data.task.name == "rte":
            raise RuntimeError("out of memory\nsomewhere")
        return original(model, tokenizer, data, *rest, **options)

    monkeypatch.setattr(runs, "train_classifier", fails_on_rte)
    run = finetune_model(model, ["boolq", "rte", "mrpc"], data, settings=FAST)
    assert [result.task for result in run.results] == ["mrpc"]
    assert run.failures["rte, seed 42"] == "RuntimeError: out of memory somewhere"
    assert "boolq.train.jsonl and boolq.valid.jsonl missing" in run.failures["boolq"]


def test_quick_looks_and_held_out_runs_are_marked_and_kept_apart(model, data, tmp_path):
    quick = Settings(max_train_examples=32, epochs=1)
    run = finetune_model(model, ["rte"], data, settings=quick, output_dir=tmp_path)
    assert run.results[0].train_examples == 32
    assert "first 32 training examples only" in run.results[0].marks[0]
    assert "not the official epochs 1" in run.rows()[1].note
    held = finetune_model(
        model, ["rte"], data, settings=Settings(selection="held_out", batch_size=16, epochs=1), output_dir=tmp_path
    )
    assert held.results[0].last is None
    assert held.results[0].train_examples < 48
    assert {path.parent.parent.name for path in tmp_path.rglob("seed_42.json")} == {"official_first_32", "held_out"}


def result(task, seed, score, items=4):
    metric = "f1" if task in ("mrpc", "qqp") else "accuracy"
    return FinetuningResult(task, seed, {metric: score}, None, 1, [], [0] * items, 0.5, 9, 1, 0.1)


def test_rows_have_the_mean_over_tasks_and_the_spread_over_seeds():
    results = [result("rte", 1, 0.5), result("rte", 2, 0.7), result("mrpc", 1, 0.8), result("mrpc", 2, 0.8)]
    mean, mrpc, rte = score_rows(results)
    assert (mrpc.name, rte.name) == ("mrpc", "rte")
    assert mean.score == pytest.approx(0.7)
    assert rte.spread == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert mean.spread == pytest.approx(np.std([0.65, 0.75], ddof=1))
    assert mean.note == "mean over 2 of the 7 tasks"
    table = render_table([mean, mrpc, rte])
    assert "mrpc (F1)" in table
    assert "60.0 ±14.1" in table
    assert score_rows(results[:3])[0].spread is None, "seeds that do not all have the same tasks cannot be compared"
    assert score_rows([]) == []


def test_official_files(model, data, tmp_path):
    run = finetune_model(model, ["mrpc"], data, seeds=[1, 42], settings=FAST, official_results=tmp_path / "results")
    folder = tmp_path / "results" / "tiny-v1" / "main" / "finetune" / "mrpc"
    written = json.loads((folder / "predictions.json").read_text())
    official = next(one for one in run.results if one.seed == 42)
    assert written == finetuning_predictions("mrpc", official.predictions)
    assert written["mrpc"]["predictions"][29] == {"id": "mrpc_29", "pred": official.predictions[29]}
    lines = dict(line.split(": ") for line in (folder / "results.txt").read_text().splitlines())
    assert {name: float(value) for name, value in lines.items()} == official.scores
    assert list(official.scores) == ["accuracy", "f1", "mcc"]
    assert run.warnings == [
        "mrpc: 30 predictions, but the official validation file has 204 lines: a submission with these will be refused."
    ]


def test_bad_calls(model, data, tmp_path):
    with pytest.raises(OptionError, match="--tasks cola: no such task"):
        finetune_model(model, ["cola"], data)
    with pytest.raises(OptionError, match="--seeds"):
        finetune_model(model, ["rte"], data, seeds=[1, 1])
    with pytest.raises(CorpusError, match="no fine-tuning data"):
        finetune_model(model, ["rte"], tmp_path / "nowhere")
    with pytest.raises(OptionError, match="cannot be loaded"):
        finetune_model(tmp_path / "nothing", ["rte"], data)


def test_the_command(model, data, tmp_path, capsys):
    words = ["finetune", str(model), "--data", str(data), "--output_dir", str(tmp_path / "out"), "--epochs", "1"]
    words += ["--batch_size", "16", "--tasks", "rte", "boolq"]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--seeds", "1", "2"])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert "boolq.train.jsonl" in printed.err
    lines = printed.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  rte") for line in lines)
    assert any("rte, seed 2: accuracy" in line for line in lines)
    main([*words[:-1], "--seeds", "1", "--json", "--official-results", str(tmp_path / "results")])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["scores"][1]["score"] == report["results"][0]["scores"]["accuracy"]
    assert "a submission with these will be refused" in printed.err
    assert (tmp_path / "results" / "tiny-v1" / "main" / "finetune" / "rte" / "predictions.json").is_file()


@pytest.mark.skipif(not (SHARED_DATA / "eval_sample").is_dir(), reason="needs the sample of the official data")
def test_the_official_sample(tmp_path):
    model = save_model(tmp_path / "model", positions=512)
    settings = Settings(epochs=1, batch_size=4, max_train_examples=8)
    run = finetune_model(model, ["rte", "mrpc", "wsc"], SHARED_DATA / "eval_sample", settings=settings)
    assert not run.failures
    assert all(set(one.predictions) <= {0, 1} for one in run.results)
