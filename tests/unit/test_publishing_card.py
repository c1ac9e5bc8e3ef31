"""The card word for word, its metadata as the Hub reads it, and that it tells the truth about the run."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import synthetic_record
from huggingface_hub import ModelCard
from jinja2 import UndefinedError
from synthetic_record import GOLDEN, MANIFEST

from babylm_hf.errors import RunFolderError
from babylm_hf.publishing import ModelCardRenderer, RunRecord, write_card
from babylm_hf.publishing.blocks import split_body
from babylm_hf.publishing.card import template_folder


@pytest.fixture
def record(tmp_path):
    return synthetic_record.synthetic_record(tmp_path / "run" / "record")


def test_the_cards_are_word_for_word_the_golden_ones(tmp_path):
    for file, text in synthetic_record.golden_cards(tmp_path).items():
        assert text == (GOLDEN / file).read_text(encoding="utf-8"), f"python tests/synthetic_record.py renews {file}"


def test_the_hub_reads_metadata_and_scores_as_the_record_has_them(record):
    data = ModelCard(ModelCardRenderer(record).render(), ignore_metadata_errors=False).data
    assert (data.license, data.language, data.library_name) == ("apache-2.0", "en", "transformers")
    assert data.pipeline_tag == "fill-mask"
    assert {"babylm", "babylm_hf", "masked-lm", "hard_decay", "babylm-strict-small"} <= set(data.tags)
    assert data.model_name == "toy_hard_decay"
    found = {(r.dataset_type, r.dataset_config, r.metric_type): r.metric_value for r in data.eval_results}
    expected = {}
    for event in record.events("evaluation")[-2:]:
        for name, value in event["metrics"].items():
            if name in ("eval_loss", "eval_perplexity", "eval_accuracy", "accuracy"):
                expected[event["task"], None, name.removeprefix("eval_")] = value
        expected |= {(event["task"], n, "accuracy"): v for n, v in event["metrics"].get("phenomena", {}).items()}
    assert found == expected
    assert len(found) == 7


def test_a_milestone_tells_what_was_known_then(record):
    card = ModelCardRenderer(record).render("chck_1M")
    assert "1,000,000 words in 1.25 passes" in card
    assert "| 50 of 120 |" in card
    for later in ("chck_2M", "2,400,000", "12 min", "65.0 %"):
        assert later not in card.split("---\n")[2], later
    loss = next(r for r in ModelCard(card).data.eval_results if r.metric_type == "loss")
    assert loss.metric_value == pytest.approx(7.5 - 4.0 * 50 / 120)
    before = len(record.events())
    record.append("log", step=121, words=9_000_000, loss=1.0)
    record.append("resume", step=121, checkpoint="checkpoint-121")
    assert len(record.events()) == before + 1, "a log and a resume came; the end went, because the run goes on"
    assert ModelCardRenderer(record).render("chck_1M") == card, "the same text whenever it is rendered"


def test_rendering_does_not_depend_on_the_process(record):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from babylm_hf.publishing import ModelCardRenderer, RunRecord\n"
        "sys.stdout.reconfigure(encoding='utf-8', newline='')\n"
        "sys.stdout.write(ModelCardRenderer(RunRecord.open(sys.argv[1])).render())\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))\n"
    )
    root = str(GOLDEN.parents[2])
    done = subprocess.run([sys.executable, "-c", code, str(record.folder), root], capture_output=True, check=True)
    assert done.stdout.decode() == ModelCardRenderer(record).render()


def test_nothing_private_is_printed(record):
    card = ModelCardRenderer(record).render()
    assert "hf_secret" not in card
    assert "/home/" not in card
    assert "someone" not in card


def test_data_cannot_break_out_of_its_cell(tmp_path):
    evil = "x | y\n# Heading <img src=x> <!-- babylm_hf:end data -->"
    data = {**MANIFEST["data"], "licence": evil, "sources": [{**MANIFEST["data"]["sources"][0], "path": evil}]}
    record = synthetic_record.synthetic_record(tmp_path / "record", data=data, name=evil, command=f"run {evil}")
    card = ModelCardRenderer(record).render()
    plain = ModelCardRenderer(synthetic_record.synthetic_record(tmp_path / "plain")).render()
    assert [part.name for part in split_body(card)] == [part.name for part in split_body(plain)]
    in_code = re.compile(r"^```\w+$.*?^```$", re.MULTILINE | re.DOTALL)
    assert "\n# Heading" not in in_code.sub("", card)
    assert r"Licence of the text: x \| y # Heading \<img src=x\> \<!-- babylm_hf:end data --\>." in card
    assert ModelCardRenderer(record).render(existing=card) == card


def test_what_a_person_wrote_survives_rendering_again(record):
    renderer = ModelCardRenderer(record)
    card = renderer.render()
    edited = card.replace("<!-- babylm_hf:begin usage -->", "Ask me anything.\n\n<!-- babylm_hf:begin usage -->")
    edited = edited.replace("license: apache-2.0", "license: mit\nwidget:\n- text: hello")
    edited = edited.replace("1,104,512", "9,999,999")
    again = renderer.render(existing=edited)
    assert "Ask me anything.\n\n<!-- babylm_hf:begin usage -->" in again
    assert again.replace("Ask me anything.\n\n", "").replace("widget:\n- text: hello\n", "") == card


def test_an_unfinished_run_says_so_and_does_not_claim_older_scores(tmp_path):
    folder = tmp_path / "record"
    record = synthetic_record.synthetic_record(folder)
    record.append("resume", step=110, checkpoint="checkpoint-110")
    card = ModelCardRenderer(record).render()
    assert "**This run is not complete.** It ended after 110 of 120 planned steps" in card
    assert "**Not of this model:** measured earlier in the run, at step 100." in card
    assert ModelCard(card).data.eval_results is None
    assert "65.0 %" not in card


def test_chance_and_floor_are_named(record):
    card = ModelCardRenderer(record).render()
    assert "| npi licensing | 100 | 80.0 % | 4.0 | 50 % | 50.0 % |" in card
    assert "**At chance:** in anaphor agreement it cannot" in card
    assert "| loss of a unigram model | 5.432 |" in card


@pytest.mark.parametrize(
    ("policy", "rate", "said"),
    [
        ({"name": "uniform", "reference": False}, {"name": "constant", "mlm_prob": 0.15}, "the same chance of being"),
        ({"name": "uniform"}, {"name": "constant", "mlm_prob": 0.15}, "At every step 15.0 % of the tokens"),
        ({"name": "uniform"}, {"name": "linear decay", "mlm_prob": 0.1, "mask_decay": -0.2}, "0.1 + 0.2\\thinspace"),
        ({**MANIFEST["method"]["parameters"]["policy"], "name": "adaptive (soft)"}, {}, r"\ln V"),
        ({**MANIFEST["method"]["parameters"]["policy"], "positions": "mask"}, {}, "shown as the mask token count"),
        ({"name": "by lottery", "tickets": 3}, {}, "by lottery; its parameters are listed"),
    ],
)
def test_each_method_is_described_with_its_own_numbers(tmp_path, policy, rate, said):
    parameters = {**MANIFEST["method"]["parameters"], "policy": policy, "rate": rate}
    record = synthetic_record.synthetic_record(tmp_path, method={**MANIFEST["method"], "parameters": parameters})
    assert said in ModelCardRenderer(record).render()


def test_the_least_record_has_a_card(tmp_path):
    card = ModelCardRenderer(RunRecord.create(tmp_path, {"family": "masked"})).render()
    assert "Nothing was measured." in card
    assert "The record does not say what the model was trained on." in card
    assert ModelCard(card).data.pipeline_tag == "fill-mask"


def test_a_published_run_links_its_branches(tmp_path):
    card = {**MANIFEST["card"], "repo_id": "me/toy"}
    text = ModelCardRenderer(synthetic_record.synthetic_record(tmp_path, card=card)).render()
    assert "[`chck_1M`](https://huggingface.co/me/toy/tree/chck_1M)" in text
    assert 'from_pretrained(name, revision="chck_1M")' in text
    assert 'name = "me/toy"  # on the Hub' in text


def test_write_card_puts_figures_beside_it_and_keeps_the_hand_written(record, tmp_path):
    run = record.folder.parent
    write_card(record, run)
    (run / "README.md").write_text((run / "README.md").read_text() + "\nMy note.\n")
    # The trainer renders into a folder that is going to take the place of the run's own files.
    temporary = tmp_path / "new"
    path = write_card(record, temporary)
    assert path == temporary / "README.md"
    assert path.read_text().endswith("\nMy note.\n")
    assert {figure.name for figure in (record.folder / "figures").iterdir()} == {"learning_curve.png", "masking.png"}
    for figure in ("learning_curve", "masking"):
        assert f"](record/figures/{figure}.png)" in path.read_text()
    milestone = write_card(record, run / "chck_1M", milestone="chck_1M").read_text()
    assert "My note." not in milestone
    assert "![" not in milestone, "a milestone's folder has no figures"


def test_mistakes_are_named(record, tmp_path):
    renderer = ModelCardRenderer(record)
    with pytest.raises(RunFolderError, match="no milestone chck_9M; recorded so far: chck_1M, chck_2M"):
        renderer.render("chck_9M")
    other = RunRecord.create(tmp_path / "other", {"family": "quantum"})
    with pytest.raises(RunFolderError, match=r"'quantum' .* known: .*masked"):
        ModelCardRenderer(other).render()
    (tmp_path / "masked.md.jinja").write_text(
        '{% extends "base.md.jinja" %}{% block usage %}{{ nothing }}{% endblock %}'
    )
    with pytest.raises(UndefinedError, match="nothing"):
        ModelCardRenderer(record, templates=tmp_path).render()


def test_the_templates_are_found_without_the_installed_package(monkeypatch):
    installed = template_folder()
    monkeypatch.setattr("importlib.resources.files", lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name)))
    checkout = template_folder()
    names = {path.name for path in installed.glob("*.jinja")}
    assert names == {path.name for path in checkout.glob("*.jinja")} >= {"base.md.jinja", "masked.md.jinja"}


def test_a_recipe_with_other_masks_does_not_go_by_the_recipes_name(tmp_path):
    method = {**MANIFEST["method"], "title": None}
    changes = {"masking": ["hard", "soft"], "mlm_prob": [0.4, 0.15]}
    record = synthetic_record.synthetic_record(tmp_path / "record", method=method, recipe_changes=changes)
    card = ModelCardRenderer(record).render()
    assert "AMLM-Hard-Decay" not in card
    assert "**Adaptive hard masking, linear decay rate.**" in card
    assert "The recipe `hard_decay` was changed in 2 options, see [hyper-parameters](#hyper-parameters)." in card
    assert "| `masking` | `soft` | `hard` | – |" in card
    assert "This model is not theirs, and differs from it in the options listed above." in card
    assert "hard_decay" not in ModelCard(card).data.tags
