"""Published repositories beside local runs in a comparison: their record is read from the Hub."""

from __future__ import annotations

import pytest
from hub.runs import CLEAN, MILESTONES, copy_run, publisher_of, save_model
from synthetic_runs import make_run

from babylm_hf.cli import main
from babylm_hf.comparing import compare, read_configurations
from babylm_hf.errors import RunFolderError
from babylm_hf.publishing import RunRecord, write_card


@pytest.fixture(autouse=True)
def signed_in(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: hub.token)


def full_run(folder, recipe, seed, **options):
    arguments = {**CLEAN["arguments"], "seed": seed}
    make_run(folder, recipe, seed, items=True, **{**CLEAN, "arguments": arguments}, **options)
    record = RunRecord.open(folder / "record")
    for name in (None, *MILESTONES):
        save_model(folder / (name or ""), seed)
        write_card(record, folder / (name or ""), name)
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two of each of two methods; the better one is published."""
    folder, effects = tmp_path_factory.mktemp("made"), {"soft": 0.0, "hard": 0.1}
    return {
        name: [full_run(folder / f"{name}-{seed}", name, seed, shift=shift) for seed in range(2)]
        for name, shift in effects.items()
    }


@pytest.fixture
def published(runs, tmp_path, hub, api, retry, no_figures):
    for seed, run in enumerate(runs["hard"]):
        publisher_of(copy_run(run, tmp_path / f"hard-{seed}"), hub, retry, f"me/hard-{seed}").publish()
    return runs["soft"]


def test_they_are_compared_as_if_they_were_here(runs, published, hub, tmp_path, capsys):
    hub.requests.clear()
    there = compare(read_configurations([*published, "me/hard-0", "hub:me/hard-1@main"]))
    fetched = {request.split("/resolve/")[1].split("/", 1)[1] for request in hub.requests if "/resolve/" in request}
    assert fetched == {"record/run.json", "record/events.jsonl", "record/evaluation/outcomes/blimp.json"}
    ours, theirs = compare(read_configurations([*published, *runs["hard"]])).to_dict(), there.to_dict()
    assert theirs.pop("configurations")[1]["runs"] == {0: "me/hard-0", 1: "hub:me/hard-1@main"}
    del ours["configurations"]
    assert theirs == ours
    blimp = next(one for one in there.differences if one.score.task == "blimp")
    assert (blimp.drawn, blimp.items.n) == ("items", 1000)  # the outcomes of single items are published too
    main(["compare", *published, "me/hard-0", "me/hard-1", "--markdown", str(tmp_path / "c.md")])
    assert "hard" in capsys.readouterr().out
    assert "hard" in (tmp_path / "c.md").read_text(encoding="utf-8")


def test_what_is_meant_by_a_name(published, api, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    api.create_repo("me/bare")
    for source, message in (
        ("me/bare", "me/bare has no run record; repositories published with `babylm-hf publish`"),
        ("me/hard-0@chck_1M", r"me/hard-0@chck_1M has no run record \(milestones have none, main does\)"),
        ("me/nowhere", "me/nowhere is neither a folder nor a repository on the Hub that this token may see"),
        ("me/hard-0@no", "me/hard-0 has no revision no; leave it out for main"),
        ("hub:nowhere", "hub:nowhere is no repository; write hub:namespace/name"),
    ):
        with pytest.raises(RunFolderError, match=message):
            read_configurations([published[0], source])
    make_run(tmp_path / "me" / "hard-0", "other", 0)  # a folder comes first, unless the Hub is named
    assert [one.name for one in read_configurations(["me/hard-0", "hub:me/hard-0"])] == ["other", "hard"]
