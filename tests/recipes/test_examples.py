"""The examples run: a recipe with a policy of its own, and the notebook."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import REPOSITORY, TINY_RECIPE, tiny_tokenizer

from babylm_hf.masking import ConstantRate, MaskingCollator
from babylm_hf.sweep import load_recipe

FIRST_MENTION = load_recipe(REPOSITORY / "examples" / "first_mention.py")


def policy(**options):
    return type(FIRST_MENTION.policy(None))(**options)


def test_repeated_tokens_have_a_quarter_of_the_chance_and_the_mean_is_the_rate():
    ids = np.array([[5, 6, 5, 7, 0], [9, 9, 9, 9, 9]])
    eligible = np.array([[True, True, True, True, False], [True, True, True, True, False]])
    chances = policy(repeated=0.25).probabilities(ids, eligible, 0.26)
    assert np.allclose(chances[0], [0.32, 0.32, 0.08, 0.32, 0])
    assert np.allclose(chances[1] / chances[1, 1], [4, 1, 1, 1, 0])
    assert np.allclose(chances.sum(axis=1), 4 * 0.26)


def test_its_masks_follow_its_chances():
    collator = MaskingCollator(tiny_tokenizer(), rate=ConstantRate(0.26), policy=policy())
    collator.begin_pass(0)
    row = [tiny_tokenizer().cls_token_id, 40, 41, 40, 42, tiny_tokenizer().sep_token_id]
    batch = collator([{"input_ids": row, "example_id": i} for i in range(4000)])
    shares = (batch["labels"] != -100).float().mean(dim=0).numpy()
    assert np.allclose(shares, [0, 0.32, 0.32, 0.08, 0.32, 0], atol=0.03)


def test_it_runs_as_a_recipe_and_its_card_names_it(tmp_path, few_pairs):
    output = tmp_path / "run"
    arguments = [*TINY_RECIPE, "--max_steps", "2", "--output_dir", str(output), "--eval_pairs", few_pairs]
    FIRST_MENTION.run(FIRST_MENTION.parse(arguments))
    card = (output / "README.md").read_text()
    assert "first mention" in card
    manifest = json.loads((output / "record" / "run.json").read_text())
    assert manifest["method"]["parameters"]["policy"] == {"name": "first mention", "repeated": 0.25}
    assert not (output / "record" / "masking.json").exists()


def test_its_demonstration_differs_from_the_one_it_is_compared_with_in_the_policy_alone():
    ours, theirs = (
        recipe.parse(["--demo"]) for recipe in (FIRST_MENTION, load_recipe(REPOSITORY / "recipes" / "regular_mlm.py"))
    )
    for group in ("corpus", "tokenizer", "model", "evaluation"):
        assert getattr(ours, group) == getattr(theirs, group)
    own, other = ours.training.to_public_dict(), theirs.training.to_public_dict()
    assert {name for name, value in own.items() if other[name] != value} <= {"output_dir", "run_name", "logging_dir"}
    assert (ours.masking.mlm_prob, ours.masking.mask_decay) == (theirs.masking.mlm_prob, theirs.masking.mask_decay)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebook_runs(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(REPOSITORY / "examples" / "first_run.ipynb", as_version=4)
    done = nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
