"""Reading the official layout, deciding items, official files and the submission, checkpoints and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_data import language_model, tokenizer_for, write_layout

from babylm_hf.cli import main
from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.evaluation import evaluate_tasks, milestone_tasks
from babylm_hf.evaluation import official_sizes as sizes
from babylm_hf.evaluation.folders import load_task, tasks_in
from babylm_hf.evaluation.models import CheckpointLoader, load_for_scoring, swap_weights
from babylm_hf.evaluation.official import write_official_results
from babylm_hf.evaluation.submission import TRACKS, collate, fast_scores
from babylm_hf.evaluation.tasks.aoa import aoa_score, words_of
from babylm_hf.evaluation.tasks.choice import ChoiceTask, Item, choices, credit, right_margins
from babylm_hf.evaluation.tasks.regression import ordinary_least_squares, r_squared


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(tmp_path_factory.mktemp("evaluation_data"))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run: a final model and three milestones of one causal architecture."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    for seed, name in enumerate(("", "chck_1M", "chck_2M", "chck_10M")):
        language_model("gpt2", seed=seed).save_pretrained(folder / name)
        tokenizer_for("causal").save_pretrained(folder / name)
    return folder


# -- items -----------------------------------------------------------------------------------------------------------


def test_the_two_states_read_ewok_and_entity_tracking_differently(data: Path) -> None:
    old: Any = load_task("ewok", data, state="p25")
    new: Any = load_task("ewok", data, state="p26")
    assert old.items[0].completions == (" You see the cup.", " You do not see the cup.")
    assert old.items[0].sentences[1] == "The cup is on the box. You do not see the cup."
    assert new.items[0].completions == (" You see the cup.",) * 2
    assert new.items[0].sentences[1] == "The cup is in the box. You see the cup."
    assert new.whole_predictions
    assert not old.whole_predictions


def test_entity_tracking_drops_nothing_in_p26(tmp_path: Path) -> None:
    rows = [{"input_prefix": "Box 0 contains ", "options": ["the cup.", "nothing."], "numops": 0}]
    rows.append({"input_prefix": "Box 0 contains ", "options": ["the cup.", "the hat."], "numops": 3})
    folder = tmp_path / "entity_tracking"
    folder.mkdir()
    (folder / "regular.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(load_task("entity_tracking", tmp_path, state="p25").items) == 2  # type: ignore[attr-defined]
    kept: Any = load_task("entity_tracking", tmp_path, state="p26")
    assert [item.uid for item in kept.items] == ["regular_3_ops"]
    fast: Any = load_task("entity_tracking", tmp_path, state="p26", fast=True)
    assert fast.folder == "entity_tracking_fast"


def test_entity_tracking_is_a_mean_of_means(data: Path) -> None:
    task: Any = load_task("entity_tracking", data)
    sets = {name: sorted({i.uid for i in task.items if i.uid.startswith(name)}) for name in ("regular", "ambiref")}
    assert all(sets.values())
    values = []
    for item in task.items:
        right = item.uid.startswith("regular")
        values += [np.array([0.0 if (k == 0) == right else -1.0]) for k in range(len(item.sentences))]
    result = task.result(values, "half")
    assert result.score == pytest.approx(1 / 3)
    assert result.metrics["phenomena"] == {"regular": 1.0, "ambiref": 0.0, "move_contents": 0.0}


def test_the_supplement_counts_under_its_files(data: Path) -> None:
    task: Any = load_task("supplement", data)
    assert {item.uid for item in task.items} == {"hypernym", "turn_taking"}


@pytest.mark.parametrize(
    ("scores", "first", "half"),
    [
        ([-1.0, -2.0], 0, 1.0),
        ([-2.0, -1.0], 1, 0.0),
        ([-1.0, -1.0], 0, 0.5),
        ([np.nan, -1.0], 0, 0.0),
        ([-1.0, np.nan], 1, 1.0),
        ([np.nan, np.nan], 0, 0.5),
        ([-1.0, -1.0, -1.0, -2.0], 0, 1 / 3),
    ],
)
def test_ties_and_numbers_that_are_none(scores: list[float], first: int, half: float) -> None:
    table, label = np.array([scores]), np.array([0])
    assert choices(table, "first")[0] == first == int(torch.tensor(scores).argmax())
    assert credit(table, label, "half")[0] == pytest.approx(half)


def test_the_coin_is_fair_and_falls_alike() -> None:
    table = np.zeros((4000, 4))
    drawn = choices(table, "coin")
    assert np.array_equal(drawn, choices(table, "coin"))
    assert np.all(np.abs(np.bincount(drawn, minlength=4) / 4000 - 0.25) < 0.03)
    assert right_margins(np.array([[-1.0, -3.0, -1.5]]), np.array([2]))[0] == pytest.approx(-0.5)


def test_items_differ_in_candidates() -> None:
    two = Item(("a", "b"), ("a", "b"), 0, "u", (None, None), source="x.jsonl, line 1")
    three = Item(("a", "b", "c"), ("a", "b", "c"), 0, "u", (None,) * 3, source="x.jsonl, line 2")
    with pytest.raises(CorpusError, match=r"x.jsonl, line 2: the item has 3 candidates, those before it 2"):
        ChoiceTask("t", "t", [two, three], 0.5)


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("ewok", {"Domain": "d"}, r"bad.jsonl, line 1: an item of EWoK needs the text field Context1"),
        ("comps", {"prefix_acceptable": "A"}, "line 1: .*prefix_unacceptable"),
        ("entity_tracking", {"input_prefix": "a", "options": "b", "numops": 1}, "line 1: .* the list field options"),
        ("wug_adj", {"sentences": "one", "ratio": 0.5}, "line 1: .* two sentences with a tab"),
        ("wug_past", {"sentences": "a\tb", "ratio": "high"}, "line 1: .* the number field ratio"),
        ("global_piqa_nonparallel",
         {"prompt": "a", "label": 2, "example_id": "x", "solution0": "b", "solution1": "c"}, "line 1: the label 2"),
    ],
)  # fmt: skip
def test_items_without_their_fields(task: str, row: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(CorpusError, match=message):
        load_task(f"{task}={tmp_path}", None)


def test_where_data_are_looked_for(data: Path, tmp_path: Path) -> None:
    assert tasks_in(data) == ["blimp", "supplement", "ewok", "entity_tracking", "comps", "global_piqa_parallel",
                              "global_piqa_nonparallel", "reading"]  # fmt: skip
    assert "wug_adj" in tasks_in(data, state="p25")
    assert tasks_in(data, fast=True)[:3] == ["blimp", "supplement", "entity_tracking"]
    for place in (data, data / "full_eval", data / "full_eval" / "comps"):
        assert load_task("comps", place).folder == "comps"
    assert len(load_task("blimp", data, fast=True).items) == 4  # type: ignore[attr-defined]
    with pytest.raises(OptionError, match="--fast: comps is scored for the final model only"):
        load_task("comps", data, fast=True)
    with pytest.raises(CorpusError, match=r"the data of blimp are missing; looked for full_eval/blimp_filtered"):
        load_task("blimp", tmp_path)
    with pytest.raises(OptionError, match="--tasks bogus: no such task"):
        load_task("bogus", data)
    with pytest.raises(CorpusError, match="there is no task in it"):
        tasks_in(tmp_path)
    with pytest.raises(CorpusError, match=r"--data .*missing: no such folder"):
        evaluate_tasks("m", ["blimp"], tmp_path / "missing")


# -- regressions and curves ------------------------------------------------------------------------------------------


def test_regressions_agree_with_scipy() -> None:
    from scipy.stats import linregress

    draw = np.random.default_rng(0)
    x, noise = draw.normal(size=60), draw.normal(size=60)
    y = 2 * x + noise
    fit, expected = ordinary_least_squares(y, np.stack([np.ones(60), x], 1)), linregress(x, y)
    assert fit.coefficient == pytest.approx(expected.slope)
    assert fit.p == pytest.approx(expected.pvalue)
    assert fit.r_squared == pytest.approx(expected.rvalue**2) == r_squared(y, np.stack([np.ones(60), x], 1))
    left = y - expected.slope * x - expected.intercept
    likelihood = np.sum(-0.5 * np.log(2 * np.pi * left.var()) - left**2 / (2 * left.var()))
    assert fit.aic == pytest.approx(4 - 2 * likelihood)


@pytest.mark.parametrize("state", ["p25", "p26"])
def test_words_learned_in_children_s_order_correlate(state: Any, tmp_path: Path) -> None:
    months, words = np.arange(16, 31), [f"word{i}" for i in range(8)]
    known = {w: 1 / (1 + np.exp(-0.8 * (months - (18 + i)))) for i, w in enumerate(words)}
    lines = [",".join(["word", *map(str, months)])]
    lines += [",".join([w, *(f"{v:.4f}" for v in known[w])]) for w in words]
    human = tmp_path / "cdi_human.csv"
    human.write_text("\n".join(lines) + "\n")
    steps = [f"chck_{i}M" for i in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 100)]
    records = [
        {"step": s, "target_word": w, "surprisal": 2 + 14 / (1 + np.exp(6 * (np.log10(words_of(s)) - 6.3 - 0.1 * i)))}
        for s in steps
        for i, w in enumerate(words)
    ]
    tokenizer = tokenizer_for("masked")
    found = aoa_score(records, human, tokenizer, state)
    if state == "p26":  # ceilings of several pieces a word may put some thresholds outside the curves
        assert found["words"] <= 8
    else:
        assert found["words"] == 8
        assert found["aoa"] > 0.95
    shuffled = [{**r, "surprisal": 5.0} for r in records]
    assert aoa_score(shuffled, human, tokenizer, state) == {"aoa": 0.0, "words": 0}


# -- checkpoints -----------------------------------------------------------------------------------------------------


def test_weights_are_swapped_into_one_model(run_folder: Path) -> None:
    loader = CheckpointLoader()
    first, tokenizer = loader.load(run_folder / "chck_1M")
    again, same = loader.load(run_folder / "chck_2M")
    assert again is first
    assert same is tokenizer
    fresh, _ = load_for_scoring(run_folder / "chck_2M")
    for (name, one), other in zip(again.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    language_model("gpt2", positions=64).save_pretrained(run_folder.parent / "other")
    tokenizer.save_pretrained(run_folder.parent / "other")
    other, _ = loader.load(run_folder.parent / "other")
    assert other is not first
    assert not swap_weights(first, run_folder.parent / "other" / "model.safetensors")


def test_milestones_of_a_run_score_as_on_their_own(run_folder: Path, data: Path) -> None:
    found = evaluate_tasks(run_folder, ["blimp", "entity_tracking", "aoa"], data, milestones=[])
    assert [result.revision for result in found] == ["chck_1M", "chck_2M", "chck_10M"]
    for result in found:
        (alone,) = evaluate_tasks(run_folder / str(result.revision), ["blimp"], data)
        np.testing.assert_allclose(alone.results["blimp"].scores, result.results["blimp"].scores, atol=1e-5)
    assert not np.allclose(found[0].results["blimp"].scores, found[1].results["blimp"].scores)


def test_floor_and_precision_are_marked(run_folder: Path, data: Path) -> None:
    found = evaluate_tasks(run_folder, ["blimp"], data, floor=True, bf16=True)
    assert [(result.revision, result.precision) for result in found] == [("untrained", "bf16"), (None, "bf16")]
    with pytest.raises(OptionError, match="needs scores in fp32"):
        write_official_results(found, run_folder / "results")


def test_what_cannot_be_loaded(run_folder: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no revision chck_1M: pass the milestone's own folder"):
        evaluate_tasks(run_folder, ["blimp"], data, revisions=["chck_1M"])
    with pytest.raises(OptionError, match="has no folders called chck_"):
        evaluate_tasks(tmp_path, ["blimp"], data, milestones=[])
    with pytest.raises(OptionError, match=r"--milestones chck_9M: .* holds no model"):
        evaluate_tasks(run_folder, ["blimp"], data, milestones=["chck_9M"])
    with pytest.raises(OptionError, match="needs its tokenizer"):
        evaluate_tasks(language_model("gpt2"), ["blimp"], data)
    with pytest.raises(OptionError, match="Nothing to score"):
        evaluate_tasks(run_folder)


# -- official files --------------------------------------------------------------------------------------------------


def test_the_official_tree(run_folder: Path, data: Path, tmp_path: Path) -> None:
    names = ["blimp", "supplement", "entity_tracking", "comps", "reading", "global_piqa_parallel"]
    write_official_results(evaluate_tasks(run_folder, names, data), tmp_path)
    write_official_results(evaluate_tasks(run_folder, ["blimp", "aoa"], data, milestones=[]), tmp_path)
    main_folder = tmp_path / "tiny" / "main" / "zero_shot" / "causal"
    found = json.loads((main_folder / "blimp" / "blimp_filtered" / "predictions.json").read_text())
    task: Any = load_task("blimp", data)
    assert list(found) == list(dict.fromkeys(item.uid for item in task.items))
    for uid, part in found.items():
        items = [item for item in task.items if item.uid == uid]
        assert [entry["id"] for entry in part["predictions"]] == [f"{uid}_{n}" for n in range(len(items))]
        assert all(entry["pred"] in item.sentences for entry, item in zip(part["predictions"], items, strict=True))
    report = (main_folder / "blimp" / "blimp_filtered" / "best_temperature_report.txt").read_text()
    assert report.startswith("TEMPERATURE: 1.00\n\n### UID ACCURACY\n")
    assert "### AVERAGE ACCURACY" in report
    comps = json.loads((main_folder / "comps" / "comps" / "predictions.json").read_text())
    assert comps["base"]["predictions"][0]["pred"].startswith("A ")
    reading = json.loads((main_folder / "reading" / "predictions.json").read_text())["reading"]["predictions"]
    assert len(reading) == 50
    assert np.isnan(reading[0]["prev_pred"])
    files = {"correlations.txt", "predictive_power.jsonl", "predictive_power_spillover.jsonl", "report.txt"}
    assert files < {file.name for file in (main_folder / "reading").iterdir()}
    assert (tmp_path / "tiny" / "chck_2M" / "zero_shot" / "causal" / "blimp" / "blimp_filtered").is_dir()
    surprisal = json.loads((main_folder / "AoA_word" / "surprisal.json").read_text())
    assert [r["step"] for r in surprisal["results"]] == ["chck_1M"] * 3 + ["chck_2M"] * 3 + ["chck_10M"] * 3
    assert {r["word_count"] for r in surprisal["results"]} == {10**6, 2 * 10**6, 10**7}
    assert [r["target_word"] for r in surprisal["results"][:3]] == ["dog", "dog", "cup"]


def full_tree(folder: Path, state: Any) -> Path:
    """Predictions of the official sizes, all wrong."""
    main_folder = folder / "m" / "main"

    def put(path: str, parts: dict[str, int]) -> None:
        file = main_folder / path / "predictions.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({n: {"predictions": [{"id": n, "pred": "x"}] * k} for n, k in parts.items()}))

    zero = "zero_shot/mlm"
    put(f"{zero}/blimp/blimp_filtered", sizes.BLIMP)
    put(f"{zero}/blimp/supplement_filtered", sizes.SUPPLEMENT)
    put(f"{zero}/ewok/ewok_filtered", sizes.EWOK)
    put(f"{zero}/entity_tracking/entity_tracking", sizes.ENTITY_TRACKING[state])
    put(f"{zero}/comps/comps", sizes.COMPS)
    put(f"{zero}/reading", {"reading": sizes.READING})
    if state == "p25":
        put(f"{zero}/wug_adj/wug_adj_nominalization", {"wug_adj": 200})
        put(f"{zero}/wug_past/wug_past_tense", {"wug_past": 50})
    else:
        for name, count in sizes.GLOBAL_PIQA.items():
            put(f"{zero}/{name}/{name}", dict.fromkeys(map(str, range(count)), 1))
    for name, count in sizes.GLUE.items():
        put(f"finetune/{name}", {name: count})
    aoa = main_folder / zero / "AoA_word"
    aoa.mkdir()
    records = [{"step": step, "surprisal": 1.0} for step in TRACKS["strict-small"] for _ in range(sizes.AOA)]
    (aoa / "surprisal.json").write_text(json.dumps({"results": records}))
    (aoa / "aoa_score.json").write_text('{"aoa": 0.1}')
    return folder


def test_sizes_are_those_of_the_specification() -> None:
    assert (len(sizes.BLIMP), sum(sizes.BLIMP.values())) == (67, 59_875)
    assert sum(sizes.EWOK.values()) == 7_618
    assert sum(sizes.COMPS.values()) == 91_028
    assert sum(sizes.ENTITY_TRACKING["p26"].values()) == 6_780
    totals = [sum(n for k, n in sizes.ENTITY_TRACKING["p25"].items() if k.startswith(s)) for s in ("r", "a", "m")]
    assert totals == [3_152, 3_224, 3_107]
    assert [len(TRACKS[track]) for track in ("strict-small", "strict")] == [19, 28]


@pytest.mark.parametrize("state", ["p25", "p26"])
def test_a_whole_submission(state: Any, tmp_path: Path) -> None:
    folder = full_tree(tmp_path, state)
    made = collate("ns/m", folder, backend="mlm", state=state)
    assert made.problems == []
    keys = {"blimp", "blimp_supplement", "ewok", "comps", "reading", "aoa", "glue"}
    keys |= {"entity_tracking", "wug_adj", "wug_past"} if state == "p25" else {
        "entity_tracking_filtered", "aoa_surprisals", "global_piqa_parallel", "global_piqa_nonparallel"}  # fmt: skip
    assert set(made.content) == keys
    assert set(made.content["glue"]) == set(sizes.GLUE)
    short = folder / "m" / "main" / "finetune" / "rte" / "predictions.json"
    short.write_text(json.dumps({"rte": {"predictions": []}}))
    shutil.rmtree(folder / "m" / "main" / "zero_shot" / "mlm" / "comps")
    if state == "p25":
        with pytest.raises(CorpusError, match=r"comps.predictions.json: the predictions are missing"):
            collate("ns/m", folder, backend="mlm", state=state)
        return
    made = collate("ns/m", folder, backend="mlm", state=state)
    assert made.content["comps"] is None
    assert "rte" not in made.content["glue"]
    assert len(made.problems) == 2
    assert "0 predictions of rte, there should be 139" in made.problems[1]


def test_scores_of_checkpoints_are_those_of_their_predictions(run_folder: Path, data: Path) -> None:
    names = ["blimp", "ewok", "entity_tracking", "global_piqa_parallel", "reading", "wug_adj"]
    for state in ("p25", "p26"):
        wanted = [n for n in names if not (n == "global_piqa_parallel" and state == "p25")]
        (found,) = evaluate_tasks(run_folder, wanted, data, state=state)  # type: ignore[arg-type]
        for name in wanted:
            result = found.results[name]
            scores = fast_scores(load_task(name, data, state=state), result.predictions or {})  # type: ignore[arg-type]
            if name == "reading":
                assert scores["rt"] == pytest.approx(result.metrics["eye_tracking"])
                assert scores["spr"] == pytest.approx(result.metrics["self_paced_reading"])
            elif name in ("wug_adj", "global_piqa_parallel"):
                assert scores[name] == pytest.approx(result.score)
            else:
                assert result.metrics["ties"] == 0
                assert scores == pytest.approx(result.metrics["paradigms"])


# -- the commands and training ---------------------------------------------------------------------------------------


def test_the_command(run_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results"
    arguments = ["evaluate", str(run_folder), "--data", str(data), "--official-results", str(results)]
    main([*arguments, "--tasks", "blimp", "reading", "wug_adj"])
    printed = capsys.readouterr().out
    assert "causal, fp32, scoring p26, ties count as half" in printed
    assert "untrained GPT-2" in printed
    main([*arguments, "--tasks", "aoa", "blimp", "--milestones", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [one["revision"] for one in found["evaluations"]] == ["chck_1M", "chck_2M", "chck_10M"]
    assert set(found["evaluations"][0]["tasks"]) == {"aoa", "blimp"}
    assert set(found["aoa"]) >= {"aoa", "words"}
    assert (results / "tiny" / "main" / "zero_shot" / "causal" / "AoA_word" / "aoa_score.json").is_file()
    main(["submission", str(run_folder), "--results", str(results), "--backend", "causal", "--data", str(data)])
    captured = capsys.readouterr()
    written = Path(captured.out.strip())
    assert written.name == "all_full_preds_and_fast_scores_causal.json"
    assert json.loads(written.read_text())["comps"] is None
    told = captured.err.splitlines()
    assert all(line.startswith("missing: ") for line in told)
    (fast,) = [line for line in told if "blimp_fast" in line]  # not one for each of the track's milestones
    assert "{chck_1M,chck_2M,chck_3M," in fast


def test_checkpoints_side_by_side(
    run_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures"
    arguments = ["evaluate", str(run_folder), "--data", str(data), "--milestones", "--figures", str(figures), "--floor"]
    main([*arguments, "--tasks", "blimp", "entity_tracking", "global_piqa_parallel", "reading"])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if str(tmp_path.parent) not in line) <= 80
    start = next(number for number, line in enumerate(lines) if line.startswith("times 100"))
    assert lines[start].split()[2:] == ["blimp", "entity", "piqa", "4", "reading"]
    table = [line.split() for line in lines[start + 1 : start + 4]]
    assert [row[0] for row in table] == ["chck_1M", "chck_2M", "chck_10M"]
    suite = evaluate_tasks(run_folder / "chck_2M", ["blimp", "reading"], data)[0].results
    assert (table[1][1], table[1][4]) == tuple(f"{100 * suite[name].score:.1f}" for name in ("blimp", "reading"))
    drawn = {file.name for file in figures.iterdir()}
    assert drawn == {"phenomena_chck_1M.png", "phenomena_chck_2M.png", "phenomena_chck_10M.png", "words.png"}


def test_figures_go_into_a_folder(run_folder: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(SystemExit):
        main(["evaluate", str(run_folder), "--data", str(data), "--figures", str(tmp_path / "taken")])


def test_a_failed_task_is_told_and_the_others_are_printed(
    run_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(run_folder), "--data", str(data), "--tasks", "blimp", "mine=nowhere"])
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "blimp" in printed
    assert "mine has no score: nowhere: no such file or folder" in printed


def test_tasks_of_a_run(data: Path) -> None:
    tasks = milestone_tasks(["blimp", "entity_tracking", "reading"], data, "causal")
    assert list(tasks) == ["blimp", "entity_tracking", "reading"]
    found = tasks["blimp"](language_model("gpt2"), tokenizer_for("causal"), "chck_1M")
    assert found["items"] == 4
    assert found["scoring"] == "p26"
    assert "phenomena" in found
    json.dumps(found)
    with pytest.raises(OptionError, match=r"--eval_tasks: entity_tracking: .* longer than the model's 40 positions"):
        tasks["entity_tracking"](language_model("gpt2", positions=40), tokenizer_for("causal"), None)
    with pytest.raises(OptionError, match="--fast: comps"):
        milestone_tasks(["comps"], data, "causal")
    with pytest.raises(OptionError, match="--eval_tasks aoa"):
        milestone_tasks(["aoa"], data, "causal")
