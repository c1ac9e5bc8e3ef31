"""Every recipe parses and runs; the run leaves what the README promises."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest
from tiny import REPOSITORY, TINY_RECIPE

NAMES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.py"))
DECAYING = {"hard_decay": "hard", "soft_decay": "soft"}
CONSTANT = {"hard": "hard", "soft": "soft", "regular_mlm": "regular"}


def recipe(name):
    return importlib.import_module(name).RECIPE


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_named_after_its_file_and_parses(name):
    found = recipe(name)
    assert found.name == name
    assert found.paper["bibtex"].startswith("@")
    options = found.parse([])
    assert options.training.output_dir == f"runs/{name}"
    assert found.parse(["--demo"]).training.output_dir == f"runs/{name}_demo"


@pytest.mark.parametrize("name", [*DECAYING, *CONSTANT])
def test_the_published_settings_are_the_defaults(name):
    options = recipe(name).parse([])
    expected = (0.40, 0.25, DECAYING[name]) if name in DECAYING else (0.15, 0.0, CONSTANT[name])
    masking, training, model = options.masking, options.training, options.model
    assert (masking.mlm_prob, masking.mask_decay, masking.policy_name()) == expected
    assert (masking.mask_update_steps, masking.first_mask_update, masking.mask_lambda) == (200, 0, 0.2)
    assert (training.max_seq_len, training.batch_size, training.num_train_epochs) == ("0:64,5:256", 256, 10)
    assert (training.learning_rate, training.lamb, training.warmup_steps) == (7e-3, True, 0.01)
    assert (model.hidden_size, model.intermediate_size, options.tokenizer.vocab_size) == (384, 1280, 40_000)
    assert training.track == "strict-small"


@pytest.mark.parametrize("name", ["accuracy_morph", "random_mlm"])
def test_the_published_settings_of_accuracy_morph(name):
    options = recipe(name).parse([])
    masking, training = options.masking, options.training
    assert masking.policy_name() == {"accuracy_morph": "accuracy_morph", "random_mlm": "random"}[name]
    assert (masking.mlm_prob, masking.mask_update_steps, masking.smoothing, masking.min_seen) == (0.15, 200, 1.0, 3.0)
    assert (masking.score_cap, masking.sketch_width, masking.sketch_depth) == (0.9, 65_536, 4)
    assert (training.max_seq_len, training.batch_size, training.max_steps) == ("128", 64, 10_000)
    assert (training.learning_rate, training.weight_decay, training.lr_scheduler_type) == (5e-4, 0.01, "linear")
    assert (training.get_warmup_steps(10_000), training.lamb, training.max_grad_norm) == (600, False, 1.0)
    assert (options.model.model, options.tokenizer.vocab_size) == ("bert-small", 30_522)
    assert recipe(name).parse(["--policy", "hhm"]).masking.policy_name() == "hhm"


def test_the_flags_of_the_reference_are_understood():
    command = (
        "--train_data a --valid_data b --tokenizer t.model --mask_update_steps 200 --logging_steps 200 --eval_steps 10 "
        "--save_steps 10 --intermediate_size 1280 --hidden_size 384 --max_seq_len 0:64,5:256 --lamb --all_checkpoints "
        "--mlm_prob 0.4 --mask_decay 0.25 --seed 3 --batch_size 128 --grad_acc 2 --lr 0.001 --epochs 5 --cpus 1 "
        "--model_path deberta-small --output_path out --first_mask_update 10 --dropout 0.2 --weight_decay 0.1 "
        "--mask_replace_prob 0.7 --random_replace_prob 0.2 --soft --lower --log_mlm_probs"
    )
    options = recipe("regular_mlm").parse(command.split())
    assert options.corpus.train_file == ["a"]
    assert options.corpus.validation_file == ["b"]
    assert (options.training.learning_rate, options.training.num_train_epochs) == (0.001, 5)
    assert (options.training.gradient_accumulation_steps, options.training.dataloader_num_workers) == (2, 1)
    assert (options.training.output_dir, options.training.seed) == ("out", 3)
    assert options.masking.policy_name() == "soft"
    assert recipe("hard").parse(["--regular_mlm"]).masking.policy_name() == "regular"


@pytest.mark.parametrize("name", ["hard_decay", "soft", "regular_mlm", "accuracy_morph", "random_mlm"])
def test_a_run_leaves_what_is_promised(tmp_path, few_pairs, name):
    output = tmp_path / "run"
    arguments = [*TINY_RECIPE, "--output_dir", str(output), "--log_mlm_probs", "--eval_pairs", few_pairs]
    trainer = recipe(name).run(recipe(name).parse(arguments))
    assert trainer.state.global_step == trainer.plan.total_steps
    for folder in (output, output / "chck_2K", output / "chck_4K"):
        found = {path.name for path in folder.iterdir()}
        assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "training_args.json"} <= found
        assert not [n for n in found if n.endswith((".bin", ".pt", ".pth", ".partial"))]
        card = (folder / "README.md").read_text()
        assert card.startswith("---\n")
        assert ("| `the dog [MASK] the cat .` | `" in card) == (folder == output)
        assert "None" not in card
    record = output / "record"
    assert {"run.json", "events.jsonl", "losses.csv", "training_config.yaml", "metadata.json"} <= {
        path.name for path in record.iterdir()
    }
    assert (record / "modelcard.md").read_bytes() == (output / "README.md").read_bytes()
    measured = json.loads((record / "metadata.json").read_text())["results"]["held_out"]["loss"]
    losses = (record / "losses.csv").read_text().splitlines()
    assert losses[-1].startswith(f"{trainer.state.global_step},")
    assert str(measured) in losses[-1], "the files beside the model know its last measurement"
    manifest = json.loads((record / "run.json").read_text())
    assert manifest["recipe"] == name
    assert 4 < manifest["baselines"]["unigram_loss"] < 7
    text = (record / "run.json").read_text() + (output / "README.md").read_text()
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text
    events = [json.loads(line) for line in (record / "events.jsonl").read_text().splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds.count("milestone") == 2
    assert kinds.count("evaluation") == 2 * 4  # held-out text and pairs: untrained, at two milestones, at the end
    assert kinds.count("stage") == 2
    weights = list((record / "mask_weights").glob("*.npy"))
    assert bool(weights) == (name not in ("regular_mlm", "random_mlm"))


def test_auto_goes_on_from_wherever_a_run_was_killed(tmp_path, few_pairs):
    output = tmp_path / "run"
    arguments = [
        *TINY_RECIPE,
        "--output_dir",
        str(output),
        "--eval_pairs",
        few_pairs,
        "--save_steps",
        "1000",
        "--save_total_limit",
        "9",
    ]
    arguments += ["--resume_from_checkpoint", "auto"]
    whole = recipe("hard_decay").run(recipe("hard_decay").parse(arguments))
    weights = (output / "model.safetensors").read_bytes()
    steps = [milestone.step for milestone in whole.plan.milestones]
    # Killed after the first milestone: its checkpoint is there. Killed before it: only the record is.
    for left in ([f"checkpoint-{steps[0]}", "chck_2K"], []):
        for path in output.iterdir():
            if path.name not in (*left, "record"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        recipe("hard_decay").run(recipe("hard_decay").parse(arguments))
        assert (output / "model.safetensors").read_bytes() == weights
        assert {"chck_2K", "chck_4K"} <= {path.name for path in output.iterdir()}


def test_a_rerun_gives_the_same_numbers(tmp_path, few_pairs):
    losses = []
    for folder in ("a", "b"):
        arguments = [
            *TINY_RECIPE,
            "--max_steps",
            "6",
            "--output_dir",
            str(tmp_path / folder),
            "--eval_pairs",
            few_pairs,
        ]
        trainer = recipe("hard_decay").run(recipe("hard_decay").parse(arguments))
        losses.append([line for line in trainer.state.log_history if "loss" in line])
    assert [line["loss"] for line in losses[0]] == [line["loss"] for line in losses[1]]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_knows_what_it_has_otherwise_than_its_recipe(name, tmp_path):
    found = recipe(name)
    assert found.changed(found.parse(["--output_dir", str(tmp_path)])) == {}
    changed = found.changed(found.parse(["--output_dir", str(tmp_path), "--soft", "--vocab_size", "77", "--seed", "3"]))
    assert changed.pop("vocab_size") == (found.defaults.get("vocab_size", 40_000), 77)
    assert set(changed) <= {"masking"}
    assert changed.get("masking", ("soft", "soft"))[1] == "soft"
