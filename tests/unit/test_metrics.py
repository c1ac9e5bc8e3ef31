"""The `evaluate` metrics: loaded by path with no network, equal to the scores of the evaluation, ready for the Hub."""

from __future__ import annotations

import ast
import doctest
import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from babylm_hf.errors import OptionError
from babylm_hf.evaluation.finetuning import TASKS, classification_scores
from babylm_hf.evaluation.minimal_pairs import MinimalPair, PairResults
from babylm_hf.evaluation.tasks.reading import BASELINE, SPILLOVER, explained
from babylm_hf.metrics import METRICS, export_space, metric_path, push_space


@pytest.fixture(scope="module")
def load():
    import evaluate

    return lambda name: evaluate.load(metric_path(name))


def test_naming_metrics_does_not_import_evaluate():
    code = "import sys; from babylm_hf.metrics import export_space; print({'evaluate', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", list(METRICS))
def test_the_examples_of_every_metric_are_true(name, load, monkeypatch):
    import evaluate

    metric = load(name)
    monkeypatch.setattr(evaluate, "load", lambda asked: {name: metric}[asked])
    test = doctest.DocTestParser().get_doctest(metric.inputs_description, {"evaluate": evaluate}, name, None, 0)
    assert len(test.examples) >= 2
    assert doctest.DocTestRunner().run(test).failed == 0


def test_minimal_pairs_are_counted_as_by_the_evaluation(load):
    draw = np.random.default_rng(0)
    good, bad = draw.integers(-4, 0, 60).astype(float), draw.integers(-4, 0, 60).astype(float)
    good[3], bad[4], good[5], bad[5] = math.nan, math.nan, math.nan, math.nan
    uids = [f"paradigm {index}" for index in draw.integers(0, 4, 60)]
    pairs = tuple(MinimalPair("good", "bad", uid) for uid in uids)
    results = PairResults(pairs, good, bad, "mlm")
    metric = load("minimal_pair_accuracy")
    for ties, scoring in (("half", "p26"), ("first", "p25")):
        found = metric.compute(good=good, bad=bad, uids=uids, ties=ties)
        assert found["accuracy"] == pytest.approx(results.accuracy(scoring))
        assert found["by_uid"] == pytest.approx(results.by_paradigm(scoring))
        assert found["accuracy_over_pairs"] == pytest.approx(results.credit(scoring).mean())
    assert found["ties"] == results.to_dict()["ties"] > 5
    assert metric.compute(good=[1.0], bad=[1.0])["accuracy"] == 0.5
    with pytest.raises(ValueError, match="the policies are"):
        metric.compute(good=[1.0], bad=[1.0], ties="coin")
    with pytest.raises(ValueError, match="1 uids for 2 pairs"):
        metric.compute(good=[1.0, 2.0], bad=[1.0, 1.0], uids=["a"])


@pytest.mark.parametrize("task", list(TASKS))
def test_fine_tuning_scores_are_those_of_fine_tuning(task, load):
    draw = np.random.default_rng(1)
    predictions, references = (draw.integers(0, TASKS[task].labels, 50).tolist() for _ in range(2))
    found = load("babylm_glue").compute(predictions=predictions, references=references, task=task)
    expected = classification_scores(predictions, references, TASKS[task].metrics)
    assert found == pytest.approx({**expected, "score": expected[TASKS[task].metric]})


def test_unknown_tasks_are_refused(load):
    with pytest.raises(ValueError, match="the tasks are boolq, mnli"):
        load("babylm_glue").compute(predictions=[1], references=[1], task="cola")


def test_the_rank_correlation_by_hand(load):
    metric = load("wug_spearman")
    # margins -2, 1, 0, 3 have the ranks 1, 3, 2, 4; the people's 2, 3, 1, 4: rho = 1 - 6 * (1 + 0 + 1 + 0) / (4 * 15)
    found = metric.compute(first=[-2.0, 1.0, 0.0, 3.0], second=[0.0] * 4, references=[0.2, 0.6, 0.1, 0.9])
    assert found["spearman"] == pytest.approx(0.8)
    assert metric.compute(first=[1.0, 1.0], second=[0.0, 0.0], references=[0.2, 0.6]) == {"spearman": 0.0}


def test_reading_times_against_normal_equations(load):
    """Partial R2 is the squared partial correlation: what is left of time and of surprisal, correlated."""
    draw = np.random.default_rng(2)
    frequency, length, position, earlier, before, surprisal = draw.normal(size=(6, 80))
    time = 3 * frequency + length * position + 2 * surprisal + draw.normal(size=80)
    metric = load("reading_delta_r2")
    base = {"frequencies": frequency, "lengths": length, "positions": position}

    def squared_partial_correlation(columns, rows):
        pairs = [a * b for index, a in enumerate(columns) for b in columns[index + 1 :]]
        design = np.stack([np.ones(80), *columns, *pairs], axis=1)[rows]
        solve = np.linalg.inv(design.T @ design) @ design.T
        left = [y[rows] - design @ (solve @ y[rows]) for y in (time, surprisal)]
        return np.corrcoef(*left)[0, 1] ** 2

    found = metric.compute(surprisals=surprisal, times=time, **base)
    assert found["delta_r2"] == pytest.approx(squared_partial_correlation([frequency, length, position], slice(None)))
    assert found["rows"] == 80
    before[:7] = math.nan
    spill = metric.compute(
        surprisals=surprisal, times=time, **base, previous_lengths=earlier, previous_surprisals=before
    )
    columns = [frequency, length, position, earlier, before]
    assert spill["delta_r2"] == pytest.approx(squared_partial_correlation(columns, slice(7, None)))
    assert spill["rows"] == 73
    table = pd.DataFrame({"Subtlex_log10": frequency, "length": length, "context_length": position, "pred": surprisal})
    table = table.assign(prev_length=earlier, prev_pred=before, time=time)
    assert spill["delta_r2"] == pytest.approx(explained(table, "time", SPILLOVER))
    assert found["delta_r2"] == pytest.approx(explained(table, "time", BASELINE))
    with pytest.raises(ValueError, match="given together"):
        metric.compute(surprisals=surprisal, times=time, **base, previous_lengths=earlier)
    with pytest.raises(ValueError, match="8 complete rows are too few"):
        metric.compute(surprisals=surprisal[:8], times=time[:8], **{name: v[:8] for name, v in base.items()})


# ---- Spaces


@pytest.mark.parametrize("name", list(METRICS))
def test_a_space_has_what_it_needs(name, tmp_path, load):
    import evaluate

    files = {path.name: path.read_text(encoding="utf-8") for path in export_space(name, tmp_path / name)}
    assert set(files) == {f"{name}.py", "app.py", "requirements.txt", "README.md"}
    _, header, card = files["README.md"].split("---\n", 2)
    metadata = yaml.safe_load(header)
    assert metadata["sdk"] == "gradio"
    assert metadata["app_file"] == "app.py"
    assert {"evaluate", "metric"} <= set(metadata["tags"])
    metric = load(name)
    for text in (metric.inputs_description, metric.citation):
        assert text in card
    ast.parse(files["app.py"])
    assert f'evaluate.load("./{name}.py")' in files["app.py"]
    assert "evaluate" in files["requirements.txt"].split()
    assert "babylm_hf" not in files[f"{name}.py"], "on the Hub it stands alone"
    assert evaluate.load(str(tmp_path / name)).name == metric.name, (
        "the folder of the Space loads like that of the package"
    )


def test_requirements_are_what_is_imported(tmp_path):
    needed = {}
    for name in METRICS:
        export_space(name, tmp_path / name)
        needed[name] = (tmp_path / name / "requirements.txt").read_text().split()
    assert needed == {
        "minimal_pair_accuracy": ["evaluate", "datasets", "numpy"],
        "babylm_glue": ["evaluate", "datasets", "scikit-learn"],
        "wug_spearman": ["evaluate", "datasets", "numpy", "scipy"],
        "reading_delta_r2": ["evaluate", "datasets", "numpy"],
    }


def test_a_space_is_pushed_with_its_four_files_only(tmp_path, monkeypatch):
    from huggingface_hub import HfApi

    calls = []
    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **options: calls.append((repo_id, options)))

    def upload(self, **options):
        calls.append(options)
        return type("Commit", (), {"commit_url": "somewhere"})

    monkeypatch.setattr(HfApi, "upload_folder", upload)
    (tmp_path / "private.txt").write_text("not to be published")
    assert push_space("babylm_glue", "someone/babylm_glue", tmp_path) == "somewhere"
    assert calls[0] == (
        "someone/babylm_glue", {"repo_type": "space", "space_sdk": "gradio", "private": False, "exist_ok": True}
    )  # fmt: skip
    assert sorted(calls[1]["allow_patterns"]) == ["README.md", "app.py", "babylm_glue.py", "requirements.txt"]
    assert json.dumps(calls[1]["folder_path"]) == json.dumps(str(tmp_path))


def test_bad_names_are_refused(tmp_path):
    with pytest.raises(OptionError, match="accuracy: no such metric; there are minimal_pair_accuracy"):
        metric_path("accuracy")
    for repo_id in ("babylm_glue", "someone/glue", "a/b/babylm_glue"):
        with pytest.raises(OptionError, match="must be called namespace/babylm_glue"):
            push_space("babylm_glue", repo_id, tmp_path)
    assert not list(tmp_path.iterdir())
