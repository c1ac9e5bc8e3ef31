"""A run on the Hub: one commit a branch, every byte as on disk, the models load, and a second time nothing happens."""

from __future__ import annotations

import json
import re

import pytest
import torch
from hub.runs import MILESTONES, assert_all_there, commits, save_model
from huggingface_hub import HfApi, ModelCard
from transformers import AutoModelForMaskedLM

from babylm_hf.cli import main
from babylm_hf.publishing import RunRecord, write_card


def test_each_milestone_is_a_branch_of_one_commit_and_main_is_the_final_model(publish, hub, run):
    outcome = publish()
    assert outcome.sent == [*MILESTONES, "main"]
    repository = hub.repository("me/toy")
    assert set(repository.branches) == {"main", *MILESTONES}
    assert [commits(hub, name) for name in ("main", *MILESTONES)] == [1, 1, 1]
    assert repository.private
    assert_all_there(hub, run)
    found = set(repository.resolve("main").files)
    assert {"losses.csv", "training_config.yaml", "metadata.json", "modelcard.md", "record/run.json"} <= found
    assert {"record/figures/learning_curve.png", "record/events.jsonl"} <= found
    assert not found & {"notes.txt", "training_args.bin", "published.jsonl"}
    assert not [name for name in found if "checkpoint" in name]


def test_what_is_loaded_by_revision_is_what_was_saved(publish, hub, tmp_path):
    publish()
    ids = torch.tensor([[1, 5, 6, 4, 9, 2]])
    for seed, revision in enumerate(["main", *MILESTONES]):
        saved = save_model(tmp_path / "again" / revision, seed)
        loaded = AutoModelForMaskedLM.from_pretrained("me/toy", revision=revision, token=hub.token).eval()
        assert torch.equal(loaded(ids).logits, saved(ids).logits)


def test_the_snippets_of_the_published_card_run(publish, hub, monkeypatch, capsys):
    publish()
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: hub.token)
    card = hub.repository("me/toy").resolve("main").files["README.md"].content.decode()
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert 'name = "me/toy"' in snippets[0]
    assert 'revision="chck_1M"' in snippets[1]
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    assert "token_str" in capsys.readouterr().out
    assert not torch.equal(names["model"].cls.predictions.bias, torch.ones(1))


def test_a_second_time_nothing_is_sent(publish, hub, run):
    publish(tag="v1")
    before = len(hub.requests)
    again = publish(tag="v1")
    assert again.sent == []
    assert again.unchanged == [*MILESTONES, "main", "v1"]
    assert not [line for line in hub.requests[before:] if re.search("/commit/|/upload/|preupload|/tree/", line)]


def test_without_its_ledger_a_run_is_known_again(publish, hub, run):
    publish()
    (run / "published.jsonl").unlink()
    assert publish().sent == []
    (run / "published.jsonl").unlink()
    (run / "README.md").write_text((run / "README.md").read_text() + "\nA word of mine.\n")
    (run / "config.json").write_text((run / "config.json").read_text() + "\n")
    assert publish().sent == ["main"]
    assert commits(hub, "main") == 2
    assert_all_there(hub, run)


def test_the_ledger_says_what_is_where(publish, hub, run):
    publish(tag="v1")
    entries = [json.loads(line) for line in (run / "published.jsonl").read_text().splitlines()]
    assert [(entry["kind"], entry["revision"]) for entry in entries] == [
        *(("commit", name) for name in MILESTONES),
        ("commit", "main"),
        ("tag", "v1"),
    ]
    repository = hub.repository("me/toy")
    for entry in entries[:3]:
        commit = repository.resolve(entry["revision"])
        assert entry["commit"] == commit.oid
        assert {p: f["sha256"] for p, f in entry["files"].items()} == {
            path: blob.sha256 for path, blob in commit.files.items() if path != ".gitattributes"
        }
    assert repository.tags == {"v1": repository.branches["main"]}


def test_scores_and_links_are_on_the_published_card(publish, hub):
    publish()
    files = hub.repository("me/toy").resolve("main").files
    card = ModelCard(files["README.md"].content.decode(), ignore_metadata_errors=False)
    loss = next(result for result in card.data.eval_results if result.metric_type == "loss")
    assert loss.metric_value == json.loads(files["metadata.json"].content)["results"]["held_out"]["loss"] == 3.5
    assert "[`chck_1M`](https://huggingface.co/me/toy/tree/chck_1M)" in card.text
    assert files["modelcard.md"].content == files["README.md"].content


def test_what_was_changed_here_is_sent_in_one_more_commit(publish, hub, run):
    publish()
    save_model(run / "chck_2M", 9)
    (run / "record" / "figures" / "masking.png").unlink()
    (run / "record" / "events.jsonl").write_text(
        "".join(line + "\n" for line in (run / "record" / "events.jsonl").read_text().splitlines() if "log" not in line)
    )
    assert publish().sent == ["chck_2M", "main"]
    assert "record/figures/masking.png" not in hub.repository("me/toy").resolve("main").files
    assert_all_there(hub, run)


def test_text_written_on_the_hub_survives(publish, hub, run):
    publish()
    repository = hub.repository("me/toy")
    card = repository.resolve("main").files["README.md"].content
    edited = card.replace(b"<!-- babylm_hf:begin usage -->", b"Ask me.\n\n<!-- babylm_hf:begin usage -->")
    repository.edit("main", README_md=edited)
    repository.edit("main", extra_md=b"a page of mine")
    assert publish().sent == []
    record = RunRecord.open(run / "record")
    record.update(card={**record.manifest["card"], "author": "B. Researcher"})
    assert publish().sent
    files = repository.resolve("main").files
    text = files["README.md"].content.decode()
    assert "Ask me.\n\n<!-- babylm_hf:begin usage -->" in text
    assert "B. Researcher" in text
    assert files["extra.md"].content == b"a page of mine"


def test_results_with_a_benchmark_are_read_by_the_client(publish, hub, run, api):
    record = RunRecord.open(run / "record")
    facts = {"step": 120, "words": 2_400_000, "metrics": {"accuracy": 0.7, "phenomena": {}}, "milestone": None}
    record.append("evaluation", task="blimp", dataset={"id": "owner/blimp", "revision": "a" * 40}, **facts)
    publish()
    from huggingface_hub import parse_eval_result_entries
    from yaml import safe_load

    files = hub.repository("me/toy").resolve("main").files
    (entry,) = parse_eval_result_entries(safe_load(files[".eval_results/babylm_hf.yaml"].content))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("owner/blimp", "blimp", 0.7)
    assert ".eval_results/babylm_hf.yaml" not in hub.repository("me/toy").resolve("chck_1M").files
    assert (run / ".eval_results" / "babylm_hf.yaml").is_file()


def test_a_release_is_a_tag_and_is_not_moved(publish, hub, run):
    publish(tag="v1")
    tagged = hub.repository("me/toy").tags["v1"]
    save_model(run, 5)
    from babylm_hf.errors import PublishError

    with pytest.raises(PublishError, match="tag v1 of me/toy marks another commit; choose a new one"):
        publish(tag="v1")
    assert hub.repository("me/toy").tags["v1"] == tagged
    assert_all_there(hub, run)
    publish(tag="v2")
    assert hub.repository("me/toy").tags["v2"] == hub.repository("me/toy").branches["main"] != tagged


def test_public_opens_and_nothing_closes(publish, hub, run):
    publish()
    assert hub.repository("me/toy").private
    publish(private=False)
    assert not hub.repository("me/toy").private
    publish()
    assert not hub.repository("me/toy").private


def test_the_command(run, hub, api, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=hub.url, token=hub.token))
    main(["publish", str(run), "--repo-id", "team/toy", "--dry_run"])
    printed = capsys.readouterr().out
    main(["publish", str(run), "--repo-id", "team/toy", "--dry_run", "--json"])
    planned = json.loads(capsys.readouterr().out)["branches"]
    assert [branch["revision"] for branch in planned] == ["chck_1M", "chck_2M", "main"]
    assert hub.requests == []
    listed = set(re.findall(r"^ +[\d,]+  [0-9a-f]{12}  (.+)$", printed.split("branch main")[1], re.MULTILINE))
    assert re.search(r"stays here  checkpoint-120/  \(training state\)", printed)
    assert "training_args.bin  (may be a pickle)" in printed
    main(["publish", str(run), "--repo-id", "team/toy", "--tag", "v1", "--public"])
    assert "chck_1M      sent and found whole" in capsys.readouterr().out
    files = set(hub.repository("team/toy").resolve("main").files) - {".gitattributes"}
    assert files == listed == {file["path"] for file in planned[-1]["files"]}
    assert not hub.repository("team/toy").private
    main(["publish", str(run)])
    assert "3 unchanged: chck_1M, chck_2M, main" in capsys.readouterr().out
    main(["publish", str(run), "--json"])
    assert json.loads(capsys.readouterr().out)["unchanged"] == ["chck_1M", "chck_2M", "main"]
    assert_all_there(hub, run, "team/toy")


def test_no_pickle_token_or_home_directory_is_in_any_blob(publish, hub, run):
    publish()
    for commit in hub.repository("me/toy").commits.values():
        for path, blob in commit.files.items():
            assert not blob.content.startswith((b"\x80\x02", b"\x80\x04", b"PK")), path
            assert hub.token.encode() not in blob.content
            assert b"/home/" not in blob.content
            assert str(run).encode() not in blob.content


def test_a_card_rendered_again_here_keeps_its_text(publish, run):
    publish()
    (run / "chck_1M" / "README.md").write_text((run / "chck_1M" / "README.md").read_text() + "\nMine.\n")
    write_card(RunRecord.open(run / "record"), run / "chck_1M", "chck_1M")
    assert (run / "chck_1M" / "README.md").read_text().endswith("\nMine.\n")
