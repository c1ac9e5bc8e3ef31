"""Zero-shot tasks at every milestone of a recipe: in the record, on the card, and refused before the first step."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from evaluation_data import write_layout
from tiny import TINY_RECIPE

from babylm_hf.errors import BabyLMError
from babylm_hf.evaluation.outcomes import credits_of
from babylm_hf.publishing import RunRecord


def test_tasks_are_scored_at_milestones(tmp_path: Path, few_pairs: str) -> None:
    data, output = write_layout(tmp_path / "data"), tmp_path / "run"
    recipe = importlib.import_module("regular_mlm").RECIPE
    tasks = ["--eval_tasks", "blimp", "supplement", "reading", "--eval_data", str(data)]
    recipe.run(recipe.parse([*TINY_RECIPE, "--output_dir", str(output), "--eval_pairs", few_pairs, *tasks]))
    events = [json.loads(line) for line in (output / "record" / "events.jsonl").read_text().splitlines()]
    found = {name: [e for e in events if e["kind"] == "evaluation" and e["task"] == name] for name in tasks[1:4]}
    for name, listed in found.items():
        assert [e["milestone"] for e in listed] == ["untrained", "chck_2K", "chck_4K", None], name
        assert {e["metrics"]["scoring"] for e in listed} == {"p26"}
    assert found["blimp"][0]["metrics"]["items"] == 4
    record = RunRecord.open(output / "record")
    for name in ("blimp", "supplement", "toy_pairs"):  # the outcome of every item of the final model is kept
        final = record.events("evaluation")[-1]["step"]
        metrics = [e["metrics"] for e in record.events("evaluation") if e["task"] == name][-1]
        outcomes = record.outcomes(name)
        assert outcomes["step"] == final
        parts = outcomes["paradigms"].values()
        assert sum(len(one["outcomes"]) for one in parts) == metrics.get("items", metrics.get("pairs"))
        score = sum(one["weight"] * credits_of(one["outcomes"]).mean() for one in parts)
        assert score == pytest.approx(metrics["accuracy"], abs=1e-12)
        assert "outcomes" not in metrics
    assert record.outcomes("reading") is None
    card = (output / "README.md").read_text()
    for title in ("BLiMP", "BLiMP supplement", "Reading times"):
        assert f"### {title}\n" in card
    assert "None" not in card
    assert str(tmp_path) not in card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--eval_tasks", "comps"], "--fast: comps is scored for the final model only"),
        (["--eval_tasks", "ewok"], "the data of ewok are missing; looked for fast_eval/ewok_fast"),
        (["--eval_tasks", "bogus"], "no such task"),
        ([], "--eval_data is the data of --eval_tasks: name the tasks"),
    ],
)
def test_what_cannot_be_scored_is_refused(options: list[str], message: str, tmp_path: Path) -> None:
    data, output = write_layout(tmp_path / "data"), tmp_path / "run"
    recipe = importlib.import_module("regular_mlm").RECIPE
    arguments = [*TINY_RECIPE, "--output_dir", str(output), "--eval_data", str(data), *options]
    with pytest.raises(BabyLMError, match=message):
        recipe.run(recipe.parse(arguments))
    assert not output.exists()
