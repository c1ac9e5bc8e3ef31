"""`babylm-hf inspect`: the plan it shows is the plan that is run, and its probabilities are the model's."""

from __future__ import annotations

import json

import pytest
import torch
from synthetic_record import synthetic_record
from tiny import REPOSITORY, TINY_RECIPE, tiny_causal_model, tiny_causal_tokenizer, tiny_model, tiny_tokenizer

from babylm_hf.cli import main
from babylm_hf.commands.inspect import _score_table
from babylm_hf.inspection import predict
from babylm_hf.inspection.runs import changed_options
from babylm_hf.publishing import RunRecord


def test_a_plan_is_shown_and_measured_without_touching_the_output(capsys, tmp_path):
    png = tmp_path / "plan.png"
    out = tmp_path / "out"
    own = ["--cache_dir", str(tmp_path / "cache"), "--output_dir", str(out)]
    recipe = str(REPOSITORY / "recipes" / "hard_decay.py")
    main(["inspect", "plan", recipe, "--measure", "2", "--json", "--png", str(png), *TINY_RECIPE, *own])
    facts = json.loads(capsys.readouterr().out)
    assert sum(stage["steps"] for stage in facts["stages"]) == facts["plan"]["total_steps"]
    assert facts["rates"][0]["mask_rate"] == pytest.approx(0.40)
    assert facts["rates"][-1]["mask_rate"] < 0.2
    assert facts["rates"][-1]["words"] == facts["plan"]["total_words"]
    timed = facts["time"]
    assert [stage["seq_length"] for stage in timed["stages"]] == [16, 32]
    assert timed["seconds"] == pytest.approx(sum(s["steps"] * s["seconds_per_step"] for s in timed["stages"]))
    assert png.read_bytes().startswith(b"\x89PNG")
    assert not out.exists()


def test_the_plan_of_a_run_that_is_there_already_can_be_asked_for(capsys, tmp_path):
    taken = tmp_path / "run"
    (taken / "checkpoint-20").mkdir(parents=True)
    before = sorted(taken.rglob("*"))
    main(["inspect", "plan", "hard_decay", "--measure", "1", *TINY_RECIPE, "--output_dir", str(taken)])
    shown = capsys.readouterr()
    assert "milestones" in shown.out
    assert "words in" not in shown.err, "the steps that are measured are no run to tell of"
    assert sorted(taken.rglob("*")) == before


def test_a_run_is_told_from_its_record(capsys, tmp_path):
    record = RunRecord.create(tmp_path / "record", {"name": "mine", "recipe": "hard", "plan": {"total_steps": 9}})
    record.update(arguments={"learning_rate": 0.1, "seed": 0}, defaults={"learning_rate": 0.001, "seed": 0})
    record.append("log", step=5, words=50, seconds=2.0, loss=3.0)
    record.append("resume", step=4, checkpoint="checkpoint-4")
    record.append("milestone", step=6, words=60, name="chck_60")
    main(["inspect", "run", str(tmp_path), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["changed"] == {"learning_rate": [0.001, 0.1]}
    assert facts["steps"] == [6, 9]
    assert facts["state"] == "not finished"
    assert facts["words_per_second"] == 30
    assert [event["step"] for event in facts["resumes"]] == [4]
    main(["inspect", "run", str(tmp_path)])
    assert "chck_60" in capsys.readouterr().out


def test_the_scores_of_a_run_are_one_table(capsys, tmp_path):
    synthetic_record(tmp_path / "record")
    main(["inspect", "run", str(tmp_path)])
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 80
    start = next(i for i, line in enumerate(printed) if line.endswith("held_out loss  toy_pairs accuracy"))
    assert [line.split() for line in printed[start + 1 :]] == [
        ["0", "0", "7.5", "50.0", "%"],
        ["chck_1M", "50", "1,000,000", "5.833", "56.2", "%"],
        ["chck_2M", "100", "2,000,000", "4.167", "62.5", "%"],
        ["final", "120", "2,400,000", "3.5", "65.0", "%"],
    ]


def test_many_tasks_make_several_tables():
    row = {"name": "final", "step": 5, "words": 50, "scores": {f"task_{i} accuracy": f"{i} %" for i in range(9)}}
    lines = _score_table([row])
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("final") for line in lines) > 1
    text = " ".join(" ".join(lines).split())
    assert all(f"task_{i} accuracy" in text and f"{i} %" in text for i in range(9))


def test_an_empty_value_is_no_change():
    assert changed_options({"arguments": {"report_to": []}, "defaults": {"report_to": "none"}}) == {}


def test_masked_predictions_are_those_of_the_model():
    model, tokenizer = tiny_model().eval(), tiny_tokenizer()
    found = predict(model, tokenizer, "the dogs sleep .", top=3)
    ids = tokenizer("the dogs sleep .")["input_ids"]
    places = [i for i, token in enumerate(ids) if token not in tokenizer.all_special_ids]
    assert len(found) == len(places)
    masked = torch.tensor([ids])
    masked[0, places[1]] = tokenizer.mask_token_id
    with torch.no_grad():
        chances = model(input_ids=masked).logits[0, places[1]].softmax(-1)
    assert found[1].probability == pytest.approx(float(chances[ids[places[1]]]), rel=1e-4)
    assert found[1].rank == 1 + int((chances > chances[ids[places[1]]]).sum())
    assert [p for _, p in found[1].guesses] == pytest.approx(chances.topk(3).values.tolist(), rel=1e-4)
    (only,) = predict(model, tokenizer, f"the {tokenizer.mask_token} sleep .")
    assert only.rank is None


def test_a_causal_model_also_goes_on():
    model, tokenizer = tiny_causal_model().eval(), tiny_causal_tokenizer()
    found = predict(model, tokenizer, "the dogs sleep .", top=2)
    assert found[-1].probability is None
    assert all(p.rank for p in found[:-1])


def test_predictions_are_printed_and_drawn(capsys, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    main(["inspect", "predict", str(tmp_path), "the dogs sleep .", "--png", str(tmp_path / "a.png")])
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 80
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
