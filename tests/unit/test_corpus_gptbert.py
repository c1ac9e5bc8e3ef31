"""The tokenizer of GPT-BERT: its pieces, its special tokens, and the end of text in training rows."""

from __future__ import annotations

import pytest
from tiny import tiny_lines, tiny_tokenizer
from tokenizers import Tokenizer

from babylm_hf.corpus import TokenStream, load_tokenizer, train_tokenizer
from babylm_hf.corpus.gptbert import LONGEST_PIECE, SPECIALS, with_end_of_text
from babylm_hf.errors import OptionError


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(iter([list(tiny_lines())]), "bpe-gptbert", 500)


def pieces(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])


def splits(tokenizer, text):
    backend = tokenizer.backend_tokenizer
    normal = backend.normalizer.normalize_str(text)
    return [piece.replace("Ġ", "_").replace("Ċ", "|") for piece, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]


def test_the_sixteen_special_tokens_come_first_and_stay_whole(tokenizer, tmp_path):
    assert [tokenizer.convert_tokens_to_ids(name) for name in SPECIALS] == list(range(16))
    assert SPECIALS[:5] == ("<unk>", "<s>", "</s>", "<pad>", "<mask>")
    assert len(tokenizer) == 500
    tokenizer.save_pretrained(tmp_path)
    for found in (tokenizer, load_tokenizer(tmp_path), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))):
        encoded = found.encode("the dog <mask> the cat .</s>")
        ids = encoded if isinstance(encoded, list) else encoded.ids
        assert ids.count(4) == 1
        assert ids[0] == 1
        assert ids[-1] == 2
    assert (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) == (4, 3, 2)


def test_a_text_begins_with_one_special_token_and_has_none_at_its_end(tokenizer):
    assert pieces(tokenizer, "the dog")[0] == "<s>"
    assert pieces(tokenizer, "the dog")[-1] not in SPECIALS
    assert pieces(tokenizer, "a")[:1] + pieces(tokenizer, "b")[:1] == ["<s>", "<s>"]
    pair = tokenizer("the dog", "the cat")["input_ids"]
    first, second = tokenizer("the dog")["input_ids"], tokenizer("the cat")["input_ids"]
    assert pair == [*first, 2, *second]


def test_a_word_is_the_same_piece_wherever_it_stands(tokenizer):
    alone = pieces(tokenizer, "dog")[1:]
    assert pieces(tokenizer, "the dog")[-len(alone) :] == alone
    assert pieces(tokenizer, "the <mask> dog")[-len(alone) :] == alone
    assert pieces(tokenizer, "the<mask>dog") == pieces(tokenizer, "the <mask> dog")
    assert pieces(tokenizer, "the <mask>.")[-1] == pieces(tokenizer, "the dog.")[-1] == "."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello World", ["_Hello", "_World"]),
        ("HTMLParser it's fine", ["_HTMLParser", "_it's", "_fine"]),
        ("parseHTML", ["_parse", "HTML"]),
        ("1984 and 7", ["_1", "9", "8", "4", "_and", "_7"]),
        ("wait...what?!", ["_wait", "...", "what", "?!"]),
        ("one  \ntwo", ["_one", "|", "_two"]),
        ("ﬁne ①", ["_fine", "_1"]),
        ("x" * 60, ["_" + "x" * (LONGEST_PIECE - 1), "x" * LONGEST_PIECE, "x" * (61 - 2 * LONGEST_PIECE)]),
    ],
)
def test_text_is_split_as_specified(tokenizer, text, expected):
    assert splits(tokenizer, text) == expected


def test_text_comes_back(tokenizer):
    for text in ("Hello, World! It's 3 o'clock.", "one\ntwo\n\nthree", "naïve – café"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_training_it_twice_gives_the_same(tokenizer):
    again = train_tokenizer(iter([list(tiny_lines())]), "bpe-gptbert", 500)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_a_vocabulary_without_room_is_refused():
    with pytest.raises(OptionError, match="at least 272"):
        train_tokenizer(iter([["a"]]), "bpe-gptbert", 271)


def test_training_rows_know_where_a_text_ends(tokenizer, tmp_path):
    lines = list(tiny_lines())[:200]
    text = tmp_path / "text.txt"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    stream = TokenStream.build([text], with_end_of_text(tokenizer), cache_dir=tmp_path / "cache")
    expected = [i for line in lines for i in (*tokenizer(line)["input_ids"], tokenizer.eos_token_id)]
    assert stream.tokens[:].tolist() == expected
    assert int(stream.token_counts()[tokenizer.eos_token_id]) == len(lines)
    assert stream.info.num_words == int(stream.word_starts[:].sum()) == sum(len(line.split()) for line in lines)


def test_end_of_text_needs_a_token_for_it():
    with pytest.raises(OptionError, match="end_of_text"):
        with_end_of_text(tiny_tokenizer())
