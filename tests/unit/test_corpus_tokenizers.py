"""Trained tokenizers are the same each time, load everywhere, and say what they cannot do."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tiny import tiny_lines
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from babylm_hf.corpus import algorithm_name, load_tokenizer, require_mask_token, train_tokenizer
from babylm_hf.corpus.fast import wrap
from babylm_hf.corpus.training import SPECIALS, Algorithm, _settled
from babylm_hf.errors import CorpusError, OptionError

ALGORITHMS: tuple[Algorithm, ...] = ("bpe", "wordpiece", "unigram")
TEXT = [
    "The *CHI:\tsees the cats, doesn't she?",
    "a café in 東京 is naïve: 3.14",
    "cats see what the others see here .",
    "zebras quickly jumped over vexing lazy dogs ; why not ?",
    "Ünïcödé ©™ ± µ",
] * 2
SENTENCE = "The cats  don't\tsee a café."


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_special_tokens_have_fixed_ids_and_frame_every_text(algorithm: Algorithm) -> None:
    tokenizer = train_tokenizer([TEXT], algorithm, 350)
    assert tokenizer.convert_tokens_to_ids(list(SPECIALS)) == [0, 1, 2, 3, 4]
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, require_mask_token(tokenizer)) == (0, 3, 4)
    ids = tokenizer(SENTENCE).input_ids
    assert (ids[0], ids[-1]) == (1, 2)
    assert not {0, 1, 2, 3, 4} & set(ids[1:-1])
    pair = tokenizer("the cats", "see").input_ids
    assert (pair[0], pair.count(2), pair[-1]) == (1, 2, 2)
    assert tokenizer("the [MASK] see").input_ids.count(4) == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_text_gives_the_same_tokenizer(algorithm: Algorithm) -> None:
    trained = {train_tokenizer([TEXT], algorithm, 320).backend_tokenizer.to_str() for _ in range(4)}
    assert len(trained) == 1
    in_parts = train_tokenizer(iter([TEXT[:3], [], TEXT[3:]]), algorithm, 320)
    assert {in_parts.backend_tokenizer.to_str()} == trained


def test_sums_in_another_order_do_not_show() -> None:
    random = Random(0)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(800)]
    frequency = [1 / (i + 1) for i in range(len(words))]
    text = [" ".join(random.choices(words, frequency, k=12)) for _ in range(1200)]
    assert len({train_tokenizer([text], "unigram", 400).backend_tokenizer.to_str() for _ in range(3)}) == 1


def test_the_order_in_which_rare_characters_are_put_back_does_not_show() -> None:
    random = Random(0)
    pieces = [("▁the", -3.21004), ("a", -5.0), ("cat", -7.5), ("q", -9.00007), ("▁dog", -9.123456)]
    rare = [chr(0x4E00 + i) for i in range(60)]
    found = set()
    for _ in range(5):
        random.shuffle(rare)
        noise = [(piece, score + random.uniform(-4e-11, 4e-11)) for piece, score in pieces]
        back = [(letter, noise[-1][1] + i * 1e-4) for i, letter in enumerate(rare)]
        found.add(tuple(_settled(sorted(noise + back, key=lambda entry: -entry[1]))))
    (settled,) = found
    kept = [("▁the", -3.21), ("a", -5.0), ("cat", -7.5), ("q", -9.0)]
    assert list(settled) == [*kept, ("▁dog", -9.123), *((letter, -9.123) for letter in sorted(rare))]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_process_trains_the_same_tokenizer(algorithm: Algorithm) -> None:
    code = (
        "import sys, json, hashlib\n"
        "from babylm_hf.corpus import train_tokenizer\n"
        "text, algorithm = json.load(sys.stdin)\n"
        "print(hashlib.sha256(train_tokenizer([text], algorithm, 320).backend_tokenizer.to_str().encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    runs = [
        subprocess.run(command, input=json.dumps([TEXT, algorithm]), capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == 64


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lowercase", [False, True])
def test_a_saved_tokenizer_loads_the_same_and_names_the_class_all_versions_know(
    tmp_path: Path, algorithm: Algorithm, lowercase: bool
) -> None:
    tokenizer = train_tokenizer([TEXT], algorithm, 330, lowercase=lowercase)
    tokenizer.save_pretrained(tmp_path)
    expected = tokenizer(SENTENCE).input_ids
    for loaded in (
        load_tokenizer(tmp_path),
        load_tokenizer(str(tmp_path)),
        load_tokenizer(tmp_path / "tokenizer.json"),
        AutoTokenizer.from_pretrained(tmp_path),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert loaded(SENTENCE).input_ids == expected
        assert (loaded.mask_token_id, loaded.pad_token_id, loaded.sep_token_id) == (4, 0, 2)
    load_tokenizer(tmp_path).save_pretrained(tmp_path / "again")
    for folder in (tmp_path, tmp_path / "again"):
        config = json.loads((folder / "tokenizer_config.json").read_text())
        assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
        # Without it transformers 4 would take the leading space away and tokenise the first word differently.
        assert config.get("add_prefix_space") is (True if algorithm == "bpe" else None)


def test_byte_level_bpe_loses_nothing() -> None:
    tokenizer = train_tokenizer([TEXT], "bpe", 300)
    for text in (" a\tb  c\n", " 東京 ½ \u200b🙂", " Ünknown"):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_a_word_is_the_same_piece_at_the_beginning_and_in_the_middle() -> None:
    tokenizer = train_tokenizer([TEXT], "bpe", 400)
    assert tokenizer("the the", add_special_tokens=False).input_ids == [tokenizer.convert_tokens_to_ids("Ġthe")] * 2


@pytest.mark.parametrize("algorithm", ["bpe", "wordpiece", "unigram", "bpe-gptbert"])
def test_a_mask_in_a_text_hides_a_word_with_its_space(tmp_path: Path, algorithm: Algorithm) -> None:
    train_tokenizer(iter([list(tiny_lines())]), algorithm, 400).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    whole = tokenizer("the dog is", add_special_tokens=False)["input_ids"]
    hidden = tokenizer(f"the {tokenizer.mask_token} is", add_special_tokens=False)["input_ids"]
    assert hidden == [whole[0], tokenizer.mask_token_id, whole[-1]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_lower_casing_happens_in_the_tokenizer(tmp_path: Path, algorithm: Algorithm) -> None:
    small = train_tokenizer([TEXT], algorithm, 320, lowercase=True)
    assert small("THE Cats").input_ids == small("the cats").input_ids
    pieces = set(small.get_vocab()) - set(SPECIALS)
    assert algorithm == "bpe" or pieces == {piece.lower() for piece in pieces}
    mixed = train_tokenizer([TEXT], algorithm, 320)
    mixed.save_pretrained(tmp_path)
    lowered = load_tokenizer(tmp_path, lowercase=True)
    assert lowered("THE Cats").input_ids == mixed("the cats").input_ids
    assert lowered("[MASK]").input_ids[1:-1][-1] == 4
    lowered.save_pretrained(tmp_path / "lowered")
    assert load_tokenizer(tmp_path / "lowered")("THE Cats").input_ids == mixed("the cats").input_ids


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_small_text_gives_a_small_vocabulary_and_a_warning(
    algorithm: Algorithm, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = train_tokenizer([["one two three"]], algorithm, 5000)
    size = len(tokenizer)
    assert size < 5000
    assert f"the text supports a vocabulary of {size}, not 5000" in caplog.text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_vocabulary_that_fits_is_filled_without_a_warning(
    algorithm: Algorithm, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        size = {"bpe": 300, "wordpiece": 120, "unigram": 70}[algorithm]
        assert len(train_tokenizer([TEXT], algorithm, size)) == size
    assert caplog.text == ""


@pytest.mark.parametrize(("algorithm", "size"), [("bpe", 260), ("wordpiece", 5), ("wordpiece", 20), ("unigram", 20)])
def test_a_vocabulary_too_small_for_the_characters_is_refused(algorithm: Algorithm, size: int) -> None:
    with pytest.raises(OptionError, match=f"--vocab_size is {size}"):
        train_tokenizer([TEXT], algorithm, size)


def test_no_text_and_no_such_algorithm_are_refused() -> None:
    for algorithm in ALGORITHMS:
        for nothing in ([], [[]], [["", ""]]):
            with pytest.raises(CorpusError, match="no text to train a tokenizer on"):
                train_tokenizer(nothing, algorithm, 300)
    with pytest.raises(OptionError, match="--tokenizer_algorithm is 'morse'"):
        train_tokenizer([TEXT], "morse", 300)  # type: ignore[arg-type]


def test_a_tokenizer_without_a_mask_token_is_named() -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    with pytest.raises(CorpusError, match=r"has no mask token.*--tokenizer"):
        require_mask_token(wrap(backend))
    assert require_mask_token(wrap(backend, mask_token="a")) == 0


def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorpusError, match=r"tokenizer\.json is not a tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(CorpusError, match=r"gone\.json does not exist"):
        load_tokenizer(tmp_path / "gone.json")
    for name in (tmp_path / "nowhere", tmp_path, "nobody/nothing"):
        with pytest.raises(CorpusError, match=r"tokenizer .* cannot be loaded .*--tokenizer"):
            load_tokenizer(name)


def test_the_algorithm_is_named_for_the_record() -> None:
    names = [algorithm_name(train_tokenizer([TEXT], algorithm, 320)) for algorithm in ALGORITHMS]
    assert names == ["byte-level BPE", "WordPiece", "Unigram"]
