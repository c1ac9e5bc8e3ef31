"""`babylm-hf doctor --online` against the double."""

from __future__ import annotations

from babylm_hf.diagnosis import diagnose


def found(name):
    return [check for check in diagnose(online=True) if check.name == name]


def test_the_owner_of_the_token_is_named(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    check = found("Hub")[-1]
    assert check.state == "ok"
    assert "logged in as me" in check.found
    assert hub.token not in check.found


def test_a_token_that_is_not_known_is_a_failure(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    check = found("Hub")[-1]
    assert (check.state, check.advice) == ("fail", "log in again: hf auth login")


def test_without_a_token_it_is_asked_whether_it_answers(hub):
    assert found("Hub")[-1].found == "answers"


def test_a_hub_that_is_not_there_is_a_failure(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    check = found("Hub")[-1]
    assert check.state == "fail"
    assert "cannot be reached" in check.found
