"""A trainer that publishes: the milestones go out while it trains, and a Hub that fails never stops it."""

from __future__ import annotations

import json
import re

import pytest
import torch
from huggingface_hub import HfApi
from tiny import tiny_stream, tiny_trainer
from transformers import AutoModelForMaskedLM

from babylm_hf.cli import main
from babylm_hf.errors import OptionError, PublishError
from babylm_hf.publishing import HubPublisher
from babylm_hf.publishing.retry import Retry
from babylm_hf.training import BabyLMTrainingArguments, PublishCallback, RecordCallback


def trainer_of(folder, rows, hub, **options):
    """A trainer that saves two milestones and publishes them to me/run; nothing waits."""
    api = HfApi(endpoint=hub.url, token=hub.token)
    publisher = HubPublisher(api, "me/run", folder / "run", retry=Retry(attempts=2, first_wait=0.0))
    facts = {"name": "run", "card": {"licence": "apache-2.0", "language": "en", "author": None}}
    return tiny_trainer(
        folder,
        rows,
        callbacks=[RecordCallback(facts), PublishCallback(publisher)],
        milestones="2x2K",
        num_train_epochs=2,
        **options,
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return tiny_stream(tmp_path_factory.mktemp("rows"), 3000)


NAMES = ["chck_2K", "chck_4K"]


def test_milestones_arrive_while_it_trains_and_give_its_logits(tmp_path, rows, hub, api):
    trainer = trainer_of(tmp_path, rows, hub)
    trainer.train()
    trainer.finish()
    assert set(hub.repository("me/run").branches) == {"main", *NAMES}
    assert hub.count("POST .*/commit/") == 3
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    model = trainer.model.eval()
    for name, folder in (("main", tmp_path / "run"), *((name, tmp_path / "run" / name) for name in NAMES)):
        loaded = AutoModelForMaskedLM.from_pretrained("me/run", revision=name, token=hub.token).eval()
        local = AutoModelForMaskedLM.from_pretrained(folder).eval()
        assert torch.equal(loaded(ids).logits, local(ids).logits)
        if name == "main":
            assert torch.equal(loaded(ids).logits, model(ids).logits)
    card = hub.repository("me/run").resolve("chck_2K").files["README.md"].content.decode()
    assert 'name = "me/run"' in card
    order = [line for line in hub.requests if re.search("/commit/", line)]
    assert [line.rsplit("/", 1)[1] for line in order] == [*NAMES, "main"]


def test_a_hub_that_is_away_never_stops_a_run(tmp_path, rows, hub, api, monkeypatch, capsys):
    away = hub.fail(".*", status=503, times=10**9)
    trainer = trainer_of(tmp_path, rows, hub)
    trainer.train()
    with pytest.raises(PublishError, match=r"3 of 3 parts did not arrive .* `babylm-hf publish .* goes on from here"):
        trainer.finish()
    assert trainer.state.global_step == trainer.plan.total_steps
    assert (tmp_path / "run" / "model.safetensors").is_file()
    away.times = 0
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=hub.url, token=hub.token))
    main(["publish", str(tmp_path / "run"), "--repo-id", "me/run"])
    assert set(hub.repository("me/run").branches) == {"main", *NAMES}
    assert "chck_2K      sent and found whole" in capsys.readouterr().out


def test_what_a_killed_session_left_is_sent_by_the_next(tmp_path, rows, hub, api):
    whole = tmp_path / "whole"
    trainer = tiny_trainer(
        whole, rows, callbacks=[RecordCallback({"card": {"licence": "mit", "language": "en"}})],
        milestones="2x2K", save_strategy="steps", save_steps=10_000,
    )  # fmt: skip
    trainer.train()  # killed before it was published: milestones and checkpoints are there, nothing is on the Hub
    again = trainer_of(whole, rows, hub, save_strategy="steps", save_steps=10_000)
    again.train(resume_from_checkpoint="auto")
    again.finish()
    assert set(hub.repository("me/run").branches) == {"main", *NAMES}


def test_the_stock_push_never_happens_and_the_options_are_ours(tmp_path, rows, hub, api, monkeypatch):
    made = []
    monkeypatch.setattr("transformers.Trainer.init_hf_repo", lambda *a, **k: made.append("repository"))
    monkeypatch.setattr("transformers.Trainer.push_to_hub", lambda *a, **k: made.append("push"))
    monkeypatch.setattr("huggingface_hub.HfApi", lambda token=None: HfApi(endpoint=hub.url, token=token))
    options = {"push_to_hub": True, "hub_model_id": "team/run", "hub_token": hub.token, "hub_private_repo": False}
    trainer = tiny_trainer(
        tmp_path, rows, callbacks=[RecordCallback({"card": {"licence": "mit", "language": "en"}})],
        milestones="1x2K", **options,
    )  # fmt: skip
    assert trainer.args.publishing
    trainer.train()
    trainer.finish()
    assert made == []
    repository = hub.repository("team/run")
    assert not repository.private
    assert set(repository.branches) == {"main", "chck_2K"}
    arguments = json.loads(repository.resolve("main").files["training_args.json"].content)
    assert "hub_token" not in arguments
    for commit in repository.commits.values():
        assert all(hub.token.encode() not in blob.content for blob in commit.files.values())


def test_what_cannot_be_published_is_refused_before_the_first_step(tmp_path, rows, hub, api):
    with pytest.raises(OptionError, match="hub_revision"):
        BabyLMTrainingArguments(output_dir=str(tmp_path), push_to_hub=True, hub_revision="x", use_cpu=True)
    repository = hub.store.create("me/run", True)
    repository.edit("main", **{"model.safetensors": b"somebody else's"})
    trainer = trainer_of(tmp_path, rows, hub)
    with pytest.raises(PublishError, match=r"me/run, branch main, holds something else .*choose another"):
        trainer.train()
    assert trainer.state.global_step == 0
    without = tiny_trainer(tmp_path / "b", rows, callbacks=[PublishCallback(trainer_of(tmp_path, rows, hub))])
    with pytest.raises(OptionError, match="needs the run's record"):
        without.train()
