"""Tokenizers of causal models: a beginning but no end, an exact size, the same in every version of transformers."""

from __future__ import annotations

import json

import pytest
from tiny import tiny_causal_tokenizer, tiny_lines, tiny_tokenizer
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from babylm_hf.cli import main
from babylm_hf.corpus import load_tokenizer, require_causal_tokens, train_tokenizer
from babylm_hf.corpus.fast import wrap
from babylm_hf.errors import CorpusError, OptionError


def test_every_text_begins_and_none_ends():
    tokenizer = tiny_causal_tokenizer()
    ids = tokenizer("the cat sees the dog")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == tokenizer.eos_token_id == 1
    assert 1 not in ids[1:]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert list(tokenizer("the cat")) == ["input_ids", "attention_mask"]
    assert tokenizer.mask_token is None
    require_causal_tokens(tokenizer)


def test_a_bare_word_is_the_word_in_a_sentence():
    tokenizer = tiny_causal_tokenizer()
    for word in ("cat", "sees", "unheard-of"):
        bare = tokenizer(word, add_special_tokens=False)["input_ids"]
        inside = tokenizer(f"the {word}", add_special_tokens=False)["input_ids"]
        assert inside[-len(bare) :] == bare


def test_offsets_cover_the_text_and_specials_have_none():
    text = "the cat sees"
    offsets = tiny_causal_tokenizer()(text, return_offsets_mapping=True)["offset_mapping"]
    assert offsets[0] == (0, 0)
    assert offsets[-1][1] == len(text)


def test_the_size_is_exact_or_refused():
    lines = [list(tiny_lines())]
    assert len(train_tokenizer(lines, "bpe", 300, causal=True, exact=True)) == 300
    with pytest.raises(OptionError, match=r"supports a vocabulary of ([\d,]+) pieces, not the 30,000") as error:
        train_tokenizer(lines, "bpe", 30_000, causal=True, exact=True)
    reached = int(str(error.value).split("--vocab_size ")[-1].split()[0])
    assert len(train_tokenizer(lines, "bpe", reached, causal=True, exact=True)) == reached
    with pytest.raises(OptionError, match="leave it at bpe"):
        train_tokenizer(lines, "unigram", 300, causal=True)


def test_it_is_saved_for_old_and_new_transformers(tmp_path):
    tokenizer = tiny_causal_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert saved["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert saved["add_prefix_space"] is True  # transformers 4 takes it for false where it is not said
    assert saved["model_input_names"] == ["input_ids", "attention_mask"]
    for again in (AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)):
        assert again("the cat sees")["input_ids"] == tokenizer("the cat sees")["input_ids"]
        assert (again.bos_token_id, again.eos_token_id, again.pad_token_id) == (1, 1, 0)
    # what the library below both versions reads is the whole behaviour
    backend = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert backend.encode("the cat sees").ids == tokenizer("the cat sees")["input_ids"]


def test_a_tokenizer_that_cannot_serve_is_refused():
    with pytest.raises(CorpusError, match="does not put a beginning-of-text token"):
        require_causal_tokens(tiny_tokenizer())
    backend = Tokenizer.from_str(tiny_causal_tokenizer().backend_tokenizer.to_str())
    end = ("<|endoftext|>", 1)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{end[0]} $A {end[0]}", pair=f"{end[0]} $A $B", special_tokens=[end]
    )
    with pytest.raises(CorpusError, match="puts an end-of-text token after every text"):
        require_causal_tokens(wrap(backend, pad_token="<|pad|>", bos_token=end[0], eos_token=end[0]))
    with pytest.raises(CorpusError, match="has no padding token"):
        require_causal_tokens(wrap(backend, bos_token=end[0], eos_token=end[0]))


def test_one_command_trains_one(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(tiny_lines()), encoding="utf-8")
    out = tmp_path / "made"
    main(["tokenizer", "train", str(text), "--out", str(out), "--vocab_size", "300", "--causal", "--exact"])
    assert "300 pieces" in capsys.readouterr().out
    require_causal_tokens(AutoTokenizer.from_pretrained(out))
