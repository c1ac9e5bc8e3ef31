"""What the scan finds and lets pass, what the Hub's lists hold, how long a retry waits."""

from __future__ import annotations

import json
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from babylm_hf.errors import PublishError
from babylm_hf.publishing.allowlist import MODEL, RUN, select
from babylm_hf.publishing.leaks import LeakScan, safetensors_header
from babylm_hf.publishing.ledger import Ledger
from babylm_hf.publishing.retry import Retry, is_conflict, is_passing, retry_after
from babylm_hf.publishing.validation import languages, problems_of_card, problems_of_results

SCAN = LeakScan(["my-very-own-secret"], [Path("/data/runs/toy")])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("token: hf_" + "A1" * 17, "a Hugging Face token"),
        ("ghp_" + "x" * 36, "a GitHub token"),
        ("github_pat_" + "x" * 40, "a GitHub token"),
        ("sk-proj-" + "x" * 30, "an API key"),
        ("AKIA" + "Q" * 16, "an access key of AWS"),
        ("AIza" + "x" * 35, "a key of Google"),
        ("xoxb-123456789012", "a Slack token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("https://user:pass1234@example.org/x", "a password within an address"),
        ('"wandb_api_key": "0123456789abcdef"', "a secret"),
        ("PASSWORD = 'correct horse'[0]\npassword='correcthorse'", "a secret"),
        ("see /home/someone/x", "a home directory"),
        ("/Users/someone", "a home directory"),
        (r"C:\Users\someone", "a home directory"),
        (json.dumps(r"C:\Users\someone"), "a home directory"),
        ("/root/x", "a home directory"),
        ("at /data/runs/toy/record", "a folder of this machine"),
        (str(Path.home() / "x"), "(a folder of this machine|a home directory)"),
        ("my-very-own-secret", "an access token of yours"),
    ],
)
def test_what_is_private_is_found_and_not_repeated(text, what):
    with pytest.raises(PublishError, match=rf"a\.txt, line \d holds what looks like {what}") as caught:
        SCAN.check("a.txt", f"fine\n{text}\n".encode())
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub_download and hf_token: Optional[str] = None",
        "https://huggingface.co/me/home/x and https://example.org/home/",
        'the token_type_ids, the pad_token = \'[PAD]\', "mask_token": "[MASK]"',
        "sha256 " + "0123456789abcdef" * 4,
        "max_eval_tokens: 200000, secret: null",
        "/homeward bound, at /home/ alone",
        "task-specific words such as risk-free and desk-top-publishing-for-everybody",
        "@inproceedings{edman-fraser-2025-mask, url = {https://arxiv.org/abs/2510.20475}}",
    ],
)
def test_what_is_not_private_passes(text):
    SCAN.check("a.txt", text.encode())


def test_weights_are_whole_and_their_metadata_is_read(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((3, 2), np.float32)}, path, metadata={"from": "/home/someone/x"})
    head = safetensors_header(path, "model.safetensors")
    with pytest.raises(PublishError, match="a home directory"):
        SCAN.check("model.safetensors", head)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(PublishError, match=r"is not whole: .* bytes are not what its header says"):
        safetensors_header(path, "model.safetensors")


def test_only_what_is_on_the_list_is_taken(tmp_path):
    names = [
        *("README.md", "config.json", "modeling_own.py", "vocab.txt", ".eval_results/a.yaml", "LICENSE"),
        *("optimizer.pt", "rng_state.pth", "training_args.bin", "data.txt", ".env", "x.pkl", "Modeling.py.bak"),
        *("record/run.json", "record/events.jsonl", "record/losses.csv", "record/notes.md", "record/mask.npy"),
        *("checkpoint-5/model.safetensors", "chck_1M/config.json", "logs/x.json", "record/evaluation/blimp/a.json"),
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    run = select(tmp_path, RUN, SCAN)
    assert {file.path for file in run.files} == {
        *("README.md", "config.json", "modeling_own.py", "vocab.txt", ".eval_results/a.yaml", "LICENSE"),
        *("record/run.json", "record/events.jsonl", "losses.csv", "record/evaluation/blimp/a.json"),
    }
    assert run.left_out["checkpoint-5/"] == "training state"
    assert run.left_out["optimizer.pt"] == run.left_out["x.pkl"] == "may be a pickle"
    assert run.left_out["chck_1M/"].startswith("a milestone")
    assert "record/run.json" not in {file.path for file in select(tmp_path, MODEL, SCAN).files}
    (tmp_path / "vocab.json").symlink_to("/etc/hostname")
    assert "vocab.json" in select(tmp_path, RUN, SCAN).left_out


def test_weights_in_parts_are_all_there(tmp_path):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(PublishError, match=r"lacks model-00001-of-00002\.safetensors, model-00002"):
        select(tmp_path, MODEL, SCAN)


GOOD = {"license": "mit", "language": ["en", "swh", "zh-Hans"], "datasets": ["owner/name"], "tags": ["a"]}


def card(**changes):
    return f"---\n{json.dumps({**GOOD, **changes})}\n---\ntext\n"


def test_a_good_card_has_no_problems():
    index = [{"name": "m", "results": [{"task": {"type": "fill-mask"}, "dataset": {"type": "x", "name": "X"},
              "metrics": [{"type": "loss", "value": 3.5}]}]}]  # fmt: skip
    assert problems_of_card(card(**{"model-index": index})) == []
    assert {"en", "eng", "swh", "multilingual", "code"} <= languages()
    assert len(languages()) > 8000


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"license": None}, "names no licence"),
        ({"license": "MIT License"}, "does not know the licence 'MIT License'"),
        ({"license": "other"}, "needs `license_name`"),
        ({"language": False}, "does not know the language False"),
        ({"language": "en_US"}, "does not know the language 'en_US'"),
        ({"datasets": ["two words"]}, "data set 'two words' is not an id"),
        ({"tags": [1]}, "every tag must be text"),
        ({"pipeline_tag": "fill_mask"}, "pipeline_tag 'fill_mask' is none of"),
        ({"model-index": {}}, "must be a list of models"),
        ({"model-index": [{"name": "m", "results": [{}]}]}, "result 1 has no task type"),
        ({"model-index": [{"name": "m", "results": [{"task": {"type": "t"}}]}]}, "needs type and name"),
    ],
)  # fmt: skip
def test_what_the_hub_would_not_take_is_named(changes, problem):
    assert any(problem in found for found in problems_of_card(card(**changes)))


def test_a_card_without_metadata_and_results_of_another_shape():
    assert problems_of_card("# Hello\n") == ["README.md has no metadata; render it with `babylm-hf card`"]
    good = "- dataset: {id: owner/blimp, task_id: blimp}\n  value: 0.7\n"
    assert problems_of_results(good, "x") == []
    for bad in ("a: [", "value: 1", "- value: 1", good.replace("0.7", "many"), good.replace("owner/blimp", "'a b'")):
        assert problems_of_results(bad, "x"), bad


def answer(status, **headers):
    error = RuntimeError("upload failed")
    error.__cause__ = OSError()
    error.__cause__.response = SimpleNamespace(status_code=status, headers=headers)
    return error


def test_which_failures_pass():
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    assert [status for status in (400, 401, 403, 404, 408, 409, 412, 429, 500, 503) if is_passing(answer(status))] == [
        *(408, 429, 500, 503)
    ]
    assert [status for status in (400, 409, 412, 503) if is_conflict(answer(status))] == [409, 412]
    assert is_passing(ConnectionResetError())
    assert is_passing(HTTPError("no route"))
    assert not is_passing(OfflineModeIsEnabled("off"))
    assert not is_passing(ValueError("no"))


def test_waiting():
    assert retry_after(answer(429, **{"Retry-After": "12"})) == 12
    assert 25 < retry_after(answer(429, **{"Retry-After": formatdate(__import__("time").time() + 30)})) <= 30
    assert retry_after(answer(429, **{"Retry-After": "99999"})) == 600
    assert retry_after(answer(429, **{"Retry-After": "soon"})) is None
    waited = []
    tries = []

    def work():
        tries.append(1)
        raise answer(503)

    with pytest.raises(RuntimeError):
        Retry(attempts=4, first_wait=2, longest_wait=5, sleep=waited.append)(work, "work")
    assert len(tries) == 4
    assert [2 <= waited[0] <= 2.5, 4 <= waited[1] <= 5, 5 <= waited[2] <= 6.25] == [True] * 3


def test_the_ledger_tells_repositories_apart(tmp_path):
    mine, other = (Ledger(tmp_path / "l", "https://hub", name) for name in ("me/a", "me/b"))
    mine.note("commit", "main", commit="1", files={"x": {"sha256": "s", "remote": "s"}})
    other.note("commit", "main", commit="2", files={})
    mine.note("commit", "main", commit="3", files={"y": {"sha256": "t", "remote": "t"}})
    assert mine.commit("main")["commit"] == "3"
    assert mine.files("main") == {"y": {"sha256": "t", "remote": "t"}}
    assert other.commit("main")["commit"] == "2"
    assert mine.commit("chck_1M") is None
