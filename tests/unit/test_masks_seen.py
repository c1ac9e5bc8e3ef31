"""Seeing the masks of a run: groups of tokens, the masking kept in the record, the command that asks it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.arguments import MaskingArguments
from babylm_hf.cli import main
from babylm_hf.errors import RunFolderError
from babylm_hf.masking.factory import collator_of
from babylm_hf.masking.groups import frequency_bands, group_means, word_classes
from babylm_hf.masking.inspection import sentence_probabilities
from babylm_hf.masking.saved import load_masking, save_masking

MADE_WITH = {"seed": 3, "num_passes": 4, "batch_tokens": 512, "trained": []}


def test_frequency_bands_are_powers_of_ten_without_special_ids():
    bands = frequency_bands([0, 1, 9, 10, 99, 100, 5000], special_ids=[6])
    assert {name: np.flatnonzero(chosen).tolist() for name, chosen in bands.items()} == {
        "1-9": [1, 2],
        "10-99": [3, 4],
        "100-999": [5],
    }


def test_word_classes_read_the_pieces():
    tokenizer = tiny_tokenizer()
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    classes = word_classes(tokenizer)
    named = {name: {pieces[i] for i in np.flatnonzero(chosen)} for name, chosen in classes.items()}
    everyone = sum(chosen.astype(int) for chosen in classes.values())
    assert everyone.max() == 1, "no piece is in two classes"
    assert not everyone[list(tokenizer.all_special_ids)].any()
    assert everyone.sum() == len(tokenizer) - len(set(tokenizer.all_special_ids))
    assert "the" in {piece.strip("▁Ġ") for piece in named["function word"]}


def test_a_tagger_decides_before_the_list():
    tokenizer = tiny_tokenizer()
    classes = word_classes(tokenizer, lambda word: "determiner" if word == "the" else None)
    (the,) = np.flatnonzero(classes["determiner"])
    assert tokenizer.decode([the]).strip() == "the"
    assert not classes.get("function word", np.zeros(len(tokenizer), bool))[the]


def test_group_means_are_multiples_of_the_mean_over_all_groups():
    groups = {"a": np.array([True, True, False, False]), "b": np.array([False, False, True, False])}
    assert group_means([1.0, 2.0, 6.0, 100.0], groups) == pytest.approx({"a": 0.5, "b": 2.0})
    assert group_means(np.zeros(4), groups) == {}


def saved_run(folder, options, policy_weights=None):
    tokenizer = tiny_tokenizer()
    counts = np.arange(len(tokenizer)) + 1
    collator = collator_of(options, tokenizer, token_counts=counts, **MADE_WITH)
    collator.total_steps = 40
    if policy_weights is not None:
        collator.policy.weights = policy_weights(len(tokenizer)).astype(np.float32)
    save_masking(folder / "record", options, collator, counts, step=10, pass_index=1, total_steps=40, **MADE_WITH)
    tokenizer.save_pretrained(folder)
    return tokenizer, collator


@pytest.mark.parametrize("method", ["regular", "hard", "frequency", "accuracy_morph", "hhm"])
def test_what_was_saved_masks_as_the_run_does(tmp_path, method):
    options = MaskingArguments(masking=method, mlm_prob=0.4, mask_decay=0.25)
    uneven = (lambda size: 1 + np.arange(size) % 5) if method == "hard" else None
    tokenizer, collator = saved_run(tmp_path, options, uneven)
    saved = load_masking(tmp_path / "record", tokenizer)
    assert (saved.step, saved.pass_index, saved.total_steps) == (10, 1, 40)
    sentence, where = tiny_lines()[0], {"step": 10, "pass_index": 1, "total_steps": 40, "draws": 64}
    assert sentence_probabilities(saved.collator, tokenizer, sentence, **where) == sentence_probabilities(
        collator, tokenizer, sentence, **where
    )


def test_special_tokens_that_are_learnt_stay_so(tmp_path):
    tokenizer = tiny_tokenizer()
    made_with = {**MADE_WITH, "trained": [tokenizer.sep_token_id]}
    options, counts = MaskingArguments(masking="regular", mlm_prob=0.4), np.ones(len(tokenizer))
    collator = collator_of(options, tokenizer, token_counts=counts, **made_with)
    save_masking(tmp_path, options, collator, counts, step=0, pass_index=0, total_steps=9, **made_with)
    saved = load_masking(tmp_path, tokenizer)
    shown = {t.token_id: t.probability for t in sentence_probabilities(saved.collator, tokenizer, "the dog")}
    assert shown[tokenizer.sep_token_id] == pytest.approx(0.4)
    assert shown[tokenizer.cls_token_id] == 0


def test_a_prior_is_kept_without_its_path(tmp_path):
    tokenizer = tiny_tokenizer()
    path = tmp_path / "prior.npy"
    np.save(path, np.arange(len(tokenizer), dtype=float))
    saved_run(tmp_path / "run", MaskingArguments(masking="regular", mask_prior=str(path)))
    path.unlink()
    assert "prior.npy" not in (tmp_path / "run" / "record" / "masking.json").read_text()
    saved = load_masking(tmp_path / "run" / "record", tokenizer)
    assert saved.collator.policy.prior.tolist() == list(range(len(tokenizer)))


def test_damage_is_named(tmp_path):
    tokenizer, _ = saved_run(tmp_path, MaskingArguments(masking="regular"))
    (tmp_path / "record" / "masking.safetensors").write_bytes(b"short")
    with pytest.raises(RunFolderError, match="cannot be read"):
        load_masking(tmp_path / "record", tokenizer)
    with pytest.raises(RunFolderError, match=r"masking\.json is missing"):
        load_masking(tmp_path, tokenizer)


def test_the_command_prints_every_token_and_the_rate_of_the_step(capsys, tmp_path):
    saved_run(tmp_path, MaskingArguments(masking="regular", mlm_prob=0.4, mask_decay=0.3))
    sentence = tiny_lines()[0]
    rates = []
    for step in (0, 39):
        main(["masks", str(tmp_path), sentence, "--step", str(step), "--json"])
        shown = SimpleNamespace(**json.loads(capsys.readouterr().out))
        assert shown.step == step
        rates.append(max(token["probability"] for token in shown.tokens))
    assert rates[0] == pytest.approx(0.4)
    assert rates[1] < 0.12
    main(["masks", str(tmp_path), sentence, "--png", str(tmp_path / "masks.png")])
    assert (tmp_path / "masks.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("step 11 of 40")
    assert len(lines) == len(shown.tokens) + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to show"),
        (["--png", "x.png", "--figures", "x"], "--png draws the masks of a sentence"),
        (["a dog", "--step", "41"], "--step 41 is not in the run"),
        (["--figures", "x"], "record"),
    ],
)
def test_the_command_refuses_in_one_sentence(capsys, tmp_path, arguments, said):
    saved_run(tmp_path, MaskingArguments(masking="regular"))
    with pytest.raises(SystemExit) as stopped:
        main(["masks", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
