"""`babylm-hf generate` and `likelihood` for diffusion, masked and causal models, and whose code they run."""

from __future__ import annotations

import json

import pytest
import torch
from tiny import tiny_lines, tiny_model, tiny_tokenizer
from tiny_diffusion import random_diffusion_model
from transformers import GPT2Config, GPT2LMHeadModel

from babylm_hf.cli import main
from babylm_hf.errors import OptionError
from babylm_hf.evaluation import causal_likelihood, nelbo
from babylm_hf.evaluation.text_rows import rows_of_texts
from babylm_hf.models.remote_code import code_modules, trust_option, trusts
from babylm_hf.models.text_generation import generate_texts, infill_texts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind of model, with the tiny tokenizer."""
    tokenizer, size = tiny_tokenizer(), len(tiny_tokenizer())
    special = {
        "mask_token_id": tokenizer.mask_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": None,
        "special_token_ids": list(tokenizer.all_special_ids),
    }
    torch.manual_seed(0)
    models = {
        "diffusion": random_diffusion_model(vocab_size=size, **special),
        "masked": tiny_model(),
        "causal": GPT2LMHeadModel(
            GPT2Config(
                vocab_size=size,
                n_embd=32,
                n_layer=1,
                n_head=2,
                n_positions=160,
                bos_token_id=tokenizer.cls_token_id,
                eos_token_id=tokenizer.sep_token_id,
            )
        ),
    }
    made = {}
    for name, model in models.items():
        made[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(made[name])
        tokenizer.save_pretrained(made[name])
    return made


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(tiny_lines()[:20]) + "\n", encoding="utf-8")
    return path


def said(capsys, *arguments):
    main([str(word) for word in arguments])
    return capsys.readouterr().out


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", ["diffusion", "masked", "causal"])
def test_every_kind_of_model_continues_a_prompt(capsys, folders, kind):
    prompt = " ".join(tiny_lines()[0].split()[:3])
    command = ("generate", folders[kind], "--prompt", prompt, "--num", 2, "--max_new_tokens", 6, "--json")
    first, again = (json.loads(said(capsys, *command, "--seed", 4)) for _ in range(2))
    assert first == again
    assert first["seed"] == 4
    assert len(first["texts"]) == 2
    for written in first["texts"]:
        assert written["text"].startswith(prompt)
        assert 0 < written["new_tokens"] <= 6
        assert "[" not in written["text"]
    unseeded = json.loads(said(capsys, *command))
    repeated = json.loads(said(capsys, *command, "--seed", unseeded["seed"]))
    assert repeated["texts"] == unseeded["texts"]
    assert len(said(capsys, "generate", folders[kind], "--max_new_tokens", 3).strip()) > 0


@pytest.mark.parametrize("sampler", ["ancestral", "confidence", "threshold", "remasking"])
def test_the_drafts_are_shown_step_by_step(capsys, folders, sampler):
    command = ("generate", folders["diffusion"], "--max_new_tokens", 5, "--sampler", sampler, "--seed", 1)
    shown = said(capsys, *command, "--show_steps", "--schedule", "cosine").splitlines()
    assert shown[0].split() == ["0", "_", "_", "_", "_", "_"]
    masks = [line.count("_") for line in shown[: shown.index("")]]
    assert masks[-1] == 0
    assert len(masks) > 1
    drafts = json.loads(said(capsys, *command, "--show_steps", "--num", 3, "--json"))["drafts"]
    assert all(len(draft) == 3 for draft in drafts)


@pytest.mark.parametrize("kind", ["diffusion", "masked"])
def test_masks_of_a_text_are_filled(capsys, folders, kind):
    words = tiny_lines()[0].split()
    gapped = " ".join([words[0], "[MASK]", *words[2:]])
    filled = json.loads(said(capsys, "generate", folders[kind], "--infill", gapped, "--json", "--seed", 0))
    (written,) = filled["texts"]
    assert written["new_tokens"] == 1
    assert written["text"].startswith(words[0])
    assert written["text"].endswith(" ".join(words[2:]))
    assert "no [MASK]" in refused(capsys, "generate", folders[kind], "--infill", "nothing to fill")


def test_options_that_a_model_has_no_use_for_are_refused(capsys, folders):
    causal = folders["causal"]
    assert "--sampler" in refused(capsys, "generate", causal, "--sampler", "confidence")
    assert "--show_steps" in refused(capsys, "generate", causal, "--show_steps")
    assert "--infill" in refused(capsys, "generate", causal, "--infill", "the [MASK]")
    assert "--num" in refused(capsys, "generate", causal, "--num", 0)
    assert "--temperature" in refused(capsys, "generate", causal, "--temperature", -1)
    assert "top_p" in refused(capsys, "generate", folders["diffusion"], "--top_p", 2)
    assert "steps" in refused(capsys, "generate", folders["diffusion"], "--steps", 0)


def test_greedy_writing_of_a_causal_model_is_that_of_transformers(folders):
    model, tokenizer = GPT2LMHeadModel.from_pretrained(folders["causal"]).eval(), tiny_tokenizer()
    prompt = " ".join(tiny_lines()[0].split()[:3])
    made = generate_texts(model, tokenizer, prompt, num=2, max_new_tokens=5, temperature=0)
    ids = torch.tensor([tokenizer(prompt)["input_ids"][:-1]])
    expected = model.generate(ids, do_sample=False, max_new_tokens=5, pad_token_id=tokenizer.pad_token_id)
    assert [t.text for t in made] == [tokenizer.decode(expected[0], skip_special_tokens=True).strip()] * 2


def test_a_mask_takes_the_space_before_it_along(folders):
    """What is filled in at temperature 0 does not depend on how the gap is typed."""
    model, tokenizer = tiny_model(), tiny_tokenizer()
    texts = {infill_texts(model, tokenizer, gap, temperature=0)[0].text for gap in ("the[MASK] a", "the  [MASK] a")}
    assert len(texts) == 1


@pytest.mark.parametrize("kind", ["diffusion", "masked", "causal"])
def test_likelihood_is_printed(capsys, folders, text, kind):
    found = json.loads(said(capsys, "likelihood", folders[kind], "--text", text, "--json"))
    lines = list(tiny_lines()[:20])
    made = rows_of_texts(tiny_tokenizer(), lines, 128, begin=kind == "causal")
    assert found["rows"] == 20
    assert found["text_bytes"] == sum(len(line.encode()) for line in lines)
    assert found["bits_per_byte"] > 1
    if kind == "causal":
        model = GPT2LMHeadModel.from_pretrained(folders[kind]).eval()
        expected = causal_likelihood(model, made.rows, tiny_tokenizer())
        assert found["standard_error"] == 0
    else:
        assert found["standard_error"] > 0
        if kind == "diffusion":
            return  # its class comes from the folder
        expected = nelbo(tiny_model(), made.rows, tiny_tokenizer())
    assert found["nats_per_token"] == pytest.approx(expected.nats_per_token, rel=1e-5)


def test_the_table_of_likelihood(capsys, folders, text):
    shown = said(capsys, "likelihood", folders["diffusion"], "--text", text, "--draws", 4, "--max_texts", 5)
    assert "±" in shown
    assert "order agnostic, 4 draws" in shown
    assert "5 rows" in shown
    other = said(
        capsys,
        *("likelihood", folders["diffusion"], "--text", text, "--form", "continuous", "--schedule", "cosine"),
    )
    assert "cosine schedule" in other
    assert "±" not in said(capsys, "likelihood", folders["causal"], "--text", text)
    assert "--draws" in refused(capsys, "likelihood", folders["causal"], "--text", text, "--draws", 4)
    assert "--schedule" in refused(capsys, "likelihood", folders["diffusion"], "--text", text, "--schedule", "linear")
    assert "missing.txt" in refused(capsys, "likelihood", folders["causal"], "--text", "missing.txt")


def test_our_own_code_is_trusted_and_no_other(capsys, folders, tmp_path):
    folder = tmp_path / "model"
    random_diffusion_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    assert trusts(folder)
    assert trust_option(folder, False)
    assert not trusts(folders["masked"])  # it has no code
    assert trust_option(folders["masked"], False) is False
    assert not trusts("someone/model")
    code = next(folder.glob("modeling_*.py"))
    original = code.read_bytes()
    code.write_bytes(original + b"\n")
    assert not trusts(folder)
    assert "--trust_remote_code" in refused(capsys, "generate", folder, "--max_new_tokens", 2)
    with pytest.raises(OptionError, match="code of its own"):
        trust_option(folder, False)
    assert trust_option(folder, True)
    code.write_bytes(original)
    assert trusts(folder)
    (folder / "more").mkdir()
    (folder / "more" / "extra.py").write_text("print()\n")
    assert not trusts(folder)
    (folder / "more" / "extra.py").unlink()
    code.unlink()
    assert not trusts(folder)
    code.write_bytes(original)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"]["AutoModel"] = f"someone/else--{config['auto_map']['AutoModel']}"
    (folder / "config.json").write_text(json.dumps(config))
    assert any("--" in module for module in code_modules(folder))
    assert not trusts(folder)
