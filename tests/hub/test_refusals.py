"""What is wrong is said before anything is uploaded, with what to do about it."""

from __future__ import annotations

import pytest
from hub.runs import make_run, publisher_of, save_model
from huggingface_hub import HfApi
from synthetic_record import MANIFEST

from babylm_hf.cli import main
from babylm_hf.errors import OptionError, PublishError, RunFolderError
from babylm_hf.publishing import HubPublisher

pytestmark = pytest.mark.usefixtures("no_figures")


def refused(publisher, hub, message, kind=PublishError):
    with pytest.raises(kind, match=message):
        publisher.publish()
    assert hub.count("/commit/|/upload/|preupload") == 0, "nothing was uploaded"


def test_no_token(run, hub, waits, retry, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_api.get_token", lambda: None)
    publisher = HubPublisher(HfApi(endpoint=hub.url), "me/toy", run, retry=retry)
    refused(publisher, hub, r"no access token for the Hub; make one .*`hf auth login` or set HF_TOKEN")


def test_a_token_without_the_right_to_write(run, hub, waits, retry):
    publisher = HubPublisher(HfApi(endpoint=hub.url, token=hub.reading_token), "me/toy", run, retry=retry)
    refused(publisher, hub, r"the access token of me may only read; make one that may write at https://hugging")


def test_an_unknown_token(run, hub, waits, retry):
    publisher = HubPublisher(HfApi(endpoint=hub.url, token="hf_" + "X" * 34), "me/toy", run, retry=retry)
    refused(publisher, hub, "refuses the access token: it is not valid, or has expired; make a new one")


def test_a_namespace_of_others(run, hub, api, retry):
    refused(publisher_of(run, hub, retry, "others/toy"), hub, "me is not a member of others .* publish to me/toy, or")


def test_a_repository_that_may_not_be_written(run, hub, api, retry):
    hub.fail("POST /api/repos/create", status=403, times=9)
    refused(publisher_of(run, hub, retry), hub, r"does not let this token write to me/toy \(403\); give it that right")


@pytest.mark.parametrize("name", ["a/b/c", "me/-toy", "me/to y", "me/toy--x", "", "me/toy.git", "me/" + "x" * 99])
def test_a_name_that_is_none(run, hub, api, name):
    with pytest.raises(OptionError, match=r"is no name for a repository \(namespace/name\)"):
        HubPublisher(api, name, run)


@pytest.mark.parametrize("branch", ["main", "chck_1M"])
def test_a_repository_that_holds_something_else(run, hub, api, retry, branch):
    repository = hub.store.create("me/toy", True)
    repository.branches[branch] = repository.branches["main"]
    repository.edit(branch, config_json=b"{}", **{"model.safetensors": b"theirs"})
    message = rf"me/toy, branch {branch}, holds something else \(config\.json, model\.safetensors\), .*choose another"
    refused(publisher_of(run, hub, retry), hub, message)
    assert repository.resolve(branch).files["model.safetensors"].content == b"theirs"


def test_the_repository_of_another_run(hub, api, retry, tmp_path, publish):
    publish()
    other = make_run(tmp_path / "other", created="2026-03-04T00:00:00+00:00", seed=8)
    before = len(hub.requests)
    with pytest.raises(PublishError, match=r"branch main, holds something else .*choose another"):
        publisher_of(other, hub, retry).publish()
    assert not [line for line in hub.requests[before:] if "/commit/" in line]


def test_an_empty_repository_with_a_card_and_a_licence_is_no_obstacle(hub, api, publish):
    hub.store.create("me/toy", True).edit("main", README_md=b"# To come\n", LICENSE=b"mine")
    publish()
    files = hub.repository("me/toy").resolve("main").files
    assert files["LICENSE"].content == b"mine"
    assert files["README.md"].content.endswith(b"# To come\n")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"licence": "apache 2.0"}, "does not know the licence 'apache 2.0'; did you mean apache-2.0"),
        ({"licence": "my own"}, "does not know the licence 'my own'; see https://huggingface.co/docs"),
        ({"licence": "other"}, "licence 'other' needs `license_name`"),
        ({"language": "english"}, "does not know the language 'english'; did you mean en"),
        ({"language": "xq"}, "does not know the language 'xq'; give its code of ISO 639"),
    ],
)
def test_a_licence_or_language_that_the_hub_does_not_know(run, hub, api, retry, card, message):
    publisher = publisher_of(run, hub, retry)
    publisher.run.record.update(card={**MANIFEST["card"], **card})
    refused(publisher, hub, message)


def test_a_folder_without_a_record_or_without_its_end(run, hub, api, retry, tmp_path, publish):
    refused(publisher_of(tmp_path / "none", hub, retry), hub, "is not a folder", RunFolderError)
    (tmp_path / "empty").mkdir()
    refused(publisher_of(tmp_path / "empty", hub, retry), hub, "holds no run record", RunFolderError)
    (run / "model.safetensors").unlink()
    refused(publisher_of(run, hub, retry), hub, "no final model; finish the run with --resume_from", RunFolderError)
    outcome = publish(partial=True)
    assert outcome.sent == ["chck_1M", "chck_2M"]
    with pytest.raises(RunFolderError, match="--tag v1 needs the final model"):
        publish(partial=True, tag="v1")


def test_a_model_that_is_not_whole(run, hub, api, retry):
    weights = run / "chck_2M" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-5])
    refused(publisher_of(run, hub, retry), hub, "model.safetensors is not whole: .* save the model again")
    weights.write_bytes(b"not at all")
    refused(publisher_of(run, hub, retry), hub, "model.safetensors is not a safetensors file")
    weights.unlink()
    refused(publisher_of(run, hub, retry), hub, "chck_2M is incomplete: it lacks model.safetensors", RunFolderError)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("generation_config.json", '{"x": "hf_' + "a" * 34 + '"}', "line 1 holds what looks like a Hugging Face token"),
        ("modeling_own.py", "# fine\nPATH = '/home/somebody/data'\n", "line 2 holds what looks like a home directory"),
        ("modeling_own.py", "C = r'C:\\Users\\Some One'\n", "line 1 holds what looks like a home directory"),
        ("modeling_own.py", "api_key = 'abcdefgh12345678'\n", "line 1 holds what looks like a secret"),
        ("README.md", None, "README.md, line .* holds what looks like a GitHub token"),
        ("vocab.json", b"\x80\x04 pickled", "vocab.json is a pickle or an archive"),
        ("record/figures/x.png", b"no picture", "x.png is not a PNG"),
        ("added_tokens.json", '{"cut": ', "added_tokens.json is not JSON"),
    ],
)
def test_secrets_and_strange_files(run, hub, api, retry, file, text, message):
    if text is None:
        text = (run / file).read_text() + "\nghp_" + "b" * 36 + "\n"
    (run / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(publisher_of(run, hub, retry), hub, message)


def test_the_token_in_use_and_this_machine_are_found_anywhere(run, hub, api, retry, publish):
    (run / "vocab.txt").write_text(f"the\n{hub.token}\n")
    with pytest.raises(
        PublishError, match=r"vocab\.txt, line 2 holds what looks like an access token of yours"
    ) as caught:
        publish()
    assert hub.token not in str(caught.value)
    (run / "vocab.txt").write_text(f"{run.resolve()}/x\n")
    refused(publisher_of(run, hub, retry), hub, r"vocab\.txt, line 1 holds what looks like a folder of this machine")
    (run / "vocab.txt").write_text("/home/page\n")  # a piece of a vocabulary may well look like that
    publish()


def test_a_card_edited_here_and_there(run, hub, api, publish):
    publish()
    (run / "README.md").write_text((run / "README.md").read_text() + "\nWritten here.\n")
    card = hub.repository("me/toy").resolve("main").files["README.md"].content
    hub.repository("me/toy").edit("main", README_md=card + b"\nWritten there.\n")
    with pytest.raises(PublishError, match=r"README\.md of main was edited both here and on the Hub"):
        publish()
    assert hub.repository("me/toy").resolve("main").files["README.md"].content.endswith(b"Written there.\n")


def test_a_model_changed_on_the_hub_is_not_overwritten(run, hub, api, publish):
    publish()
    hub.repository("me/toy").edit("main", config_json=b'{"model_type": "bert"}')
    save_model(run, 3)
    with pytest.raises(PublishError, match=r"was changed by somebody since it was published \(config\.json\)"):
        publish()


def test_the_command_says_it_in_one_sentence(run, hub, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["publish", str(run)])
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {run} was not published before; say where with --repo-id")
    with pytest.raises(SystemExit):
        main(["publish", str(run), "--repo-id", "a/b/c"])
    assert "'a/b/c' is no name for a repository" in capsys.readouterr().err
