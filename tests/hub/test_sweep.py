"""A sweep trains each seed once, goes on where it stopped, computes what it says, and publishes all of it."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import pytest
from hub.fake_trainer import score
from huggingface_hub import HfApi, ModelCard
from synthetic_record import GOLDEN
from tiny import REPOSITORY, TINY_RECIPE

from babylm_hf.cli import main
from babylm_hf.errors import OptionError, PublishError, RunFolderError
from babylm_hf.publishing.sweep_card import write_sweep_card
from babylm_hf.publishing.sweeps import SweepFolder, final_scores
from babylm_hf.sweep import Sweep, parse_variants, publish_sweep, sweep_options

pytestmark = pytest.mark.usefixtures("no_figures")
VARIANTS = ["hard=", "soft=--soft"]


@pytest.fixture
def sweep(finished, tmp_path):
    """Makes a sweep whose runs are not trained but written."""

    def make(seeds, *rest, variant=VARIANTS, recipe="hard_decay"):
        launcher = f"{sys.executable} {Path(__file__).with_name('fake_trainer.py')} {finished} {tmp_path / 'log'}"
        options = {"recipe": recipe, "seeds": seeds, "variant": variant, "rest": rest, "launcher": launcher}
        return sweep_options({**options, "output_dir": tmp_path / "swept"})

    return make


def log(tmp_path):
    path = tmp_path / "log"
    return path.read_text().splitlines() if path.is_file() else []


def test_each_seed_of_each_variant_is_trained_once(sweep, tmp_path):
    folder = sweep([0, 1], "--lamb").train()
    assert log(tmp_path) == [
        "hard_decay --lamb hard/seed-0",
        "hard_decay --lamb --soft soft/seed-0",
        "hard_decay --lamb hard/seed-1",
        "hard_decay --lamb --soft soft/seed-1",
    ]
    assert [run.label for run in folder.finished()] == ["hard/seed-0", "soft/seed-0", "hard/seed-1", "soft/seed-1"]
    more = sweep([1, 2], "--lamb").train()
    assert len(log(tmp_path)) == 6
    assert more.manifest["seeds"] == [0, 1, 2]
    assert len(more.finished()) == 6


def test_a_run_that_fails_is_named_and_the_next_call_goes_on(sweep, tmp_path, monkeypatch):
    broken = sweep([0], variant=["good=", "bad=--model_name fail"])
    with pytest.raises(RunFolderError, match=r"1 of 2 runs did not finish: bad/seed-0 \(exit status 7\)"):
        broken.train()
    card = (tmp_path / "swept" / "README.md").read_text()
    assert "**This sweep is not complete.** Not finished: bad/seed-0." in card
    broken.variants["bad"] = []
    manifest = json.loads((tmp_path / "swept" / "sweep.json").read_text())
    manifest["variants"]["bad"] = []
    (tmp_path / "swept" / "sweep.json").write_text(json.dumps(manifest))
    broken.train()
    assert len(log(tmp_path)) == 3
    assert "not complete" not in (tmp_path / "swept" / "README.md").read_text()


def test_means_spreads_and_paired_differences(sweep):
    folder = sweep([0, 1, 2]).train()
    blimp = next(s for s in final_scores(folder.facts()) if s.task == "blimp")
    hard, soft = ([score(seed, is_soft) for seed in (0, 1, 2)] for is_soft in (False, True))
    assert blimp.spreads["hard"].mean == pytest.approx(statistics.fmean(hard))
    assert blimp.spreads["soft"].sd == pytest.approx(statistics.stdev(soft))
    difference = blimp.differences("hard")["soft"]
    pairs = [b - a for a, b in zip(hard, soft, strict=True)]
    assert list(difference.values.values()) == pytest.approx(pairs)
    assert (difference.mean, difference.sd) == pytest.approx((0.006, 0.001))
    assert difference.half_width == pytest.approx(4.302653 * 0.001 / 3**0.5)
    card = (folder.path / "README.md").read_text()
    assert "| BLiMP | accuracy | 61.0 ± 1.0 % | 61.6 ± 1.1 % | 60.0 to 62.7 % | 50 % |" in card
    assert "| soft | BLiMP | accuracy | +0.6 | 0.1 | +0.4 to +0.8 | 0: +0.5, 1: +0.6, 2: +0.7 |" in card
    lines = (folder.path / "results.csv").read_text().splitlines()
    assert lines[0] == "variant,seed,task,score,value"
    assert f"soft,2,blimp,accuracy,{score(2, True)}" in lines


def test_the_card_is_word_for_word_the_golden_one_and_keeps_what_is_written(sweep, monkeypatch):
    monkeypatch.setattr("babylm_hf.sweep.find_recipe", lambda name: REPOSITORY / "recipes" / "hard_decay.py")
    folder = sweep([0, 1, 2], "--train_file", "/data/a.txt").train()
    card = (folder.path / "README.md").read_text()
    golden = GOLDEN / "card_sweep.md"
    if not golden.is_file():
        golden.write_text(card, encoding="utf-8")
        pytest.fail(f"{golden.name} was missing and has been written; look at it")
    assert card == golden.read_text(encoding="utf-8"), "delete the golden card to renew it, and look at the difference"
    data = ModelCard(card, ignore_metadata_errors=False).data
    assert (data.license, data.language, "seed-sweep" in data.tags) == ("apache-2.0", "en", True)
    (folder.path / "README.md").write_text(card + "\nMine.\n")
    write_sweep_card(folder)
    assert (folder.path / "README.md").read_text() == card + "\nMine.\n"


def test_one_seed_without_variants(sweep, tmp_path):
    folder = sweep([3], variant=[]).train()
    card = (folder.path / "README.md").read_text()
    assert "over 1 seed (3): " in card
    assert "| BLiMP | accuracy | 63.0 % |" in card
    assert "Differences from" not in card
    assert log(tmp_path) == ["hard_decay  swept/seed-3"]


def test_everything_is_published_and_gathered(sweep, hub, api, retry):
    folder = sweep([0, 1]).train()
    repo_ids = publish_sweep(folder, api, "team/toy", retry=retry)
    names = ["hard/seed-0", "soft/seed-0", "hard/seed-1", "soft/seed-1"]
    assert repo_ids == {**{n: f"team/toy-{n.replace('/', '-')}" for n in names}, "": "team/toy"}
    assert set(hub.repository("team/toy-soft-seed-1").branches) == {"main", "chck_1M", "chck_2M"}
    files = hub.repository("team/toy").resolve("main").files
    assert set(files) == {".gitattributes", "README.md", "sweep.json", "results.csv"}
    assert b"](https://huggingface.co/team/toy-soft-seed-1)" in files["README.md"].content
    (collection,) = hub.store.collections.values()
    assert {item["id"] for item in collection["items"]} == set(repo_ids.values())
    assert collection["private"]
    before = hub.count("/commit/")
    assert publish_sweep(folder, api, "team/toy", retry=retry) == repo_ids
    assert hub.count("/commit/") == before
    assert len(collection["items"]) == 5


def test_a_fault_while_a_sweep_is_published(sweep, hub, api, retry):
    folder = sweep([0, 1], variant=[]).train()
    hub.fail("POST /api/models/team/toy-seed-0/commit/main", status=400)
    with pytest.raises(PublishError, match=r"main: .*400"):
        publish_sweep(folder, api, "team/toy", retry=retry)
    assert "team/toy-seed-1" in hub.store.repositories, "the others have arrived"
    hub.fail("POST /api/collections/.*/items", status=503)
    assert len(publish_sweep(folder, api, "team/toy", retry=retry)) == 3
    (collection,) = hub.store.collections.values()
    assert len(collection["items"]) == 3


@pytest.mark.parametrize(
    ("seeds", "rest", "variant", "message"),
    [
        ([1, 1], [], [], "--seeds must be different"),
        ([-1], [], [], "--seeds must be different whole numbers"),
        ([0], ["--seed", "3"], [], "--seed cannot be an option of a sweep's runs; the sweep sets it"),
        ([0], ["--push_to_hub"], [], "--push_to_hub cannot be .* use --publish"),
        ([0], ["--lamp"], [], "unknown option --lamp; did you mean --lamb"),
        ([0], [], ["a=--lamp"], "unknown option --lamp"),
        ([0], [], ["a=--output_dir x"], "--variant a: --output_dir cannot"),
        ([0], [], ["a"], "--variant 'a' must be NAME=OPTIONS"),
        ([0], [], ["a/b=--lamb"], "--variant 'a/b=--lamb' must be"),
        ([0], [], ["a=", "a="], "--variant a is given twice"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_run(sweep, tmp_path, seeds, rest, variant, message):
    with pytest.raises(OptionError, match=message):
        sweep(seeds, *rest, variant=variant).train()
    assert log(tmp_path) == []


def test_another_sweep_in_the_folder_is_refused(sweep, tmp_path):
    sweep([0]).train()
    with pytest.raises(RunFolderError, match="holds a sweep with another options"):
        sweep([0], "--lamb").train()
    with pytest.raises(RunFolderError, match="holds variant soft with other options"):
        sweep([0], variant=["hard=", "soft=--lamb"]).train()
    with pytest.raises(RunFolderError, match="holds a sweep with another recipe"):
        sweep([0], recipe="soft").train()
    with pytest.raises(OptionError, match=r"there is no recipe nothing; give the path of its file, or one of .*hard"):
        sweep([0], recipe="nothing")
    with pytest.raises(RunFolderError, match="holds no sweep"):
        SweepFolder(tmp_path)


def test_the_command_passes_on_what_it_does_not_know(sweep, tmp_path, monkeypatch, capsys, hub):
    seen = {}
    monkeypatch.setattr("babylm_hf.sweep.sweep_options", lambda options: seen.update(options) or sweep([0]))
    main(
        ["sweep", "hard", "--seeds", "0", "1", "--lamb", "--seed", "3", "--train_file", "a", "b", "--variant", "x=--y"]
    )
    assert seen["rest"] == ["--lamb", "--seed", "3", "--train_file", "a", "b"]
    assert (seen["recipe"], seen["seeds"], seen["variant"]) == ("hard", [0, 1], ["x=--y"])
    assert "card of the sweep: " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["card", "x", "--lamb"])
    assert "unknown option --lamb" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=hub.url, token=hub.reading_token))
    with pytest.raises(SystemExit):
        main(["sweep", "hard", "--seeds", "0", "--publish", "me/toy"])
    assert "may only read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_sweep(tmp_path):
    sweep = Sweep(
        REPOSITORY / "recipes" / "hard_decay.py", [0, 1], [*TINY_RECIPE, "--max_pairs", "2"],
        parse_variants(["hard=", "regular=--masking regular"]), tmp_path / "swept",
    )  # fmt: skip
    folder = sweep.train()
    assert len(folder.finished()) == 4
    held_out = next(s for s in final_scores(folder.facts()) if (s.task, s.name) == ("held_out", "loss"))
    assert set(held_out.differences("hard")["regular"].values) == {0, 1}
    assert held_out.spreads["hard"].sd > 0
