"""A converted SentencePiece BPE model gives the ids that the sentencepiece library gives."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from babylm_hf.corpus import load_tokenizer
from babylm_hf.corpus.sentencepiece import _merges, convert, read_model
from babylm_hf.errors import CorpusError

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PUBLISHED = SHARED_DATA / "tokenizer" / "bb24.model"
needs_data = pytest.mark.skipif(not PUBLISHED.is_file(), reason="the development data is not here")
TEXT = [
    "the cats see a ball and the dog sees the cats",
    "*CHI:\tdon't want the café naïve , 3.14 ... ------ aaaaaaa !!!!",
    "東京 и大阪 this was ﬁne  with   spaces 🙂",
] * 20
SETTINGS = {
    "published": {"byte_fallback": True, "normalization_rule_name": "nmt_nfkc", "character_coverage": 0.9995},
    "plain": {"normalization_rule_name": "identity", "character_coverage": 1.0},
    "spaces": {"byte_fallback": True, "remove_extra_whitespaces": False, "normalization_rule_name": "nmt_nfkc"},
    "no_prefix": {"add_dummy_prefix": False, "normalization_rule_name": "nmt_nfkc_cf"},
}


@cache
def trained(name: str) -> bytes:
    """A small model file."""
    library = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=file,
        model_type="bpe",
        vocab_size=360,
        hard_vocab_limit=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
        user_defined_symbols=["[MASK]"],
        minloglevel=2,
        **SETTINGS[name],
    )
    return file.getvalue()


@cache
def pair(name: str, folder: Path) -> tuple[Any, Any]:
    """Library and conversion of the same model."""
    library = pytest.importorskip("sentencepiece")
    path = folder / f"{name}.model"
    path.write_bytes(trained(name))
    return library.SentencePieceProcessor(model_file=str(path)), convert(path)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sentencepiece")


# No combining marks after characters that normalise: there the library's own port of the normaliser loses the mark.
LETTERS = st.one_of(
    st.sampled_from(
        ["a", "the", "cat", " ", "  ", "\t", "\u3000", "\u200b", "-", ".", "!", "aaa", "é", "ﬁ", "½", "東", "ま"]
    ),
    st.characters(min_codepoint=1, max_codepoint=0x2FF, exclude_categories=["Cs", "Mn"]),
    st.sampled_from("🙂👍Ω№…“”’"),
)


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=200, deadline=None)
@given(text=st.lists(LETTERS, max_size=25).map("".join).filter(lambda text: "[" not in text))
@example(text="a \n")
@example(text=" a \n b ")
def test_ids_are_those_of_the_library(models: Path, name: str, text: str) -> None:
    library, converted = pair(name, models)
    # Of a text that normalises to nothing the library keeps the leading space if told to keep extra spaces; we nothing.
    assume(name != "spaces" or converted.normalizer.normalize_str(text))
    assert converted.encode(text, add_special_tokens=False).ids == library.encode(text)


@pytest.mark.parametrize("name", SETTINGS)
def test_decoding_gives_the_normalised_text(models: Path, name: str) -> None:
    library, converted = pair(name, models)
    for text in TEXT[:3]:
        ids = library.encode(text)
        assert converted.decode(ids) == library.decode(ids)


def test_a_loaded_model_frames_the_text_and_knows_its_special_tokens(models: Path) -> None:
    library, _ = pair("published", models)
    tokenizer = load_tokenizer(models / "published.model")
    assert tokenizer("the cats").input_ids == [1, *library.encode("the cats"), 2]
    assert (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id) == (0, 1, 2)
    assert (tokenizer.unk_token_id, tokenizer.mask_token_id) == (3, 4)
    assert tokenizer("the [MASK]").input_ids.count(4) == 1


def test_roles_and_kinds_are_read_from_the_file(models: Path) -> None:
    pair("published", models)
    model = read_model(models / "published.model")
    assert model.roles == {"pad": 0, "bos": 1, "eos": 2, "unk": 3}
    assert (model.algorithm, model.byte_fallback, model.dummy_prefix) == (2, True, True)
    assert model.pieces[4][0] == "[MASK]"
    assert model.pieces[5][0] == "<0x00>"
    assert len(model.charsmap) > 1000


def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    library = pytest.importorskip("sentencepiece")
    path = tmp_path / "unigram.model"
    with open(path, "wb") as file:
        library.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT), model_writer=file, vocab_size=60, hard_vocab_limit=False, minloglevel=2
        )
    with pytest.raises(CorpusError, match=r"unigram\.model is a unigram model and only BPE"):
        load_tokenizer(path)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x0a\xff\xff", bytes(range(256))])
def test_other_files_are_not_taken_for_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.model"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"other\.model is not a SentencePiece model"):
        load_tokenizer(path)
    with pytest.raises(CorpusError, match=r"gone\.model cannot be read"):
        load_tokenizer(tmp_path / "gone.model")


@needs_data
def test_the_published_tokenizer_agrees_on_every_line_of_the_dev_files() -> None:
    library = pytest.importorskip("sentencepiece").SentencePieceProcessor(model_file=str(PUBLISHED))
    converted = convert(PUBLISHED)
    lines = [
        line
        for path in sorted((SHARED_DATA / "corpus" / "dev").glob("*.dev"))
        for line in path.read_bytes().decode().split("\n")
    ]
    assert len(lines) > 50_000
    found = [encoding.ids for encoding in converted.encode_batch_fast(lines, add_special_tokens=False)]
    assert [
        i for i, (ours, theirs) in enumerate(zip(found, library.encode(lines), strict=True)) if ours != theirs
    ] == []


@needs_data
def test_the_published_tokenizer_has_the_merges_of_its_description() -> None:
    model = read_model(PUBLISHED)
    assert len(model.pieces) == 40_000
    assert len(_merges(model)) == 79_710  # Edman & Fraser 2025, tokenizers/bb24.model
