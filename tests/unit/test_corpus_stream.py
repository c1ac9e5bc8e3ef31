"""The token stream holds every token and word once, at any row length, and its cache is whole or absent."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from babylm_hf.corpus import TokenStream, iter_documents, train_tokenizer
from babylm_hf.corpus import build as build_module
from babylm_hf.corpus import cache as cache_module
from babylm_hf.corpus import files as files_module
from babylm_hf.corpus.build import plain_tokenizer
from babylm_hf.errors import CorpusError

LINES = [
    "*MOT:\tlook at the dog .",
    "what does it say ?",
    "",
    "it says woof , the good dog",
    "a café\u00a0and naïve 🙂",
]


@cache
def tokenizer() -> Tokenizer:
    return plain_tokenizer(train_tokenizer([LINES], "bpe", 300))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES * 40) + "\n", encoding="utf-8")
    return path


def build(text: Path, **options: Any) -> TokenStream:
    return TokenStream.build([text], tokenizer(), cache_dir=text.parent / "cache", **options)


def contents(stream: TokenStream) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stream.folder.iterdir()}


def test_the_stream_is_the_documents_one_after_the_other(text: Path) -> None:
    stream = build(text)
    documents = [line for batch in iter_documents([text]) for line in batch]
    expected = [tokenizer().encode(line).ids for line in documents]
    assert stream.tokens.tolist() == [i for ids in expected for i in ids]
    assert stream.document_starts.tolist() == np.cumsum([0, *map(len, expected)])[:-1].tolist()
    words = np.add.reduceat(stream.word_starts, stream.document_starts.astype(np.int64))
    assert words.tolist() == [len(line.split()) for line in documents]
    assert (stream.tokens.dtype, stream.word_starts.dtype, stream.document_starts.dtype) == ("u2", "u1", "u8")


def test_info_tells_what_the_stream_holds(text: Path) -> None:
    stream = build(text)
    info = stream.info
    assert info.num_tokens == stream.num_tokens == len(stream.tokens)
    assert info.num_words == len(text.read_text(encoding="utf-8").split()) == stream.word_starts.sum(dtype=int)
    assert info.num_documents == 160
    assert (info.vocab_size, info.pad_id, info.document) == (300, 0, "line")
    assert [source.path for source in info.sources] == ["text.txt"]
    facts = info.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["sources"][0]["words"] == facts["num_words"]
    assert stream.fingerprint == info.fingerprint
    assert len(info.fingerprint) == 64


@pytest.mark.parametrize("length", [1, 2, 7, 64, 1000, 100_000])
def test_rows_hold_every_token_and_word_once(text: Path, length: int) -> None:
    stream = build(text)
    count = stream.num_rows(length)
    assert count == -(-stream.num_tokens // length)
    batch = stream.fetch(length, np.arange(count))
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (count, length)
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == np.int64
    flat, mask = batch["input_ids"].ravel(), batch["attention_mask"].ravel()
    assert flat[: stream.num_tokens].tolist() == stream.tokens.tolist()
    assert mask.tolist() == [1] * stream.num_tokens + [0] * (len(mask) - stream.num_tokens)
    assert set(flat[stream.num_tokens :].tolist()) <= {stream.info.pad_id}
    words = stream.row_words(length)
    assert words.dtype == np.int64
    padded = np.zeros(count * length, int)
    padded[: stream.num_tokens] = stream.word_starts
    assert words.tolist() == padded.reshape(count, length).sum(1).tolist()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 30), max_size=12), length=st.integers(1, 40))
def test_any_rows_in_any_order_are_the_rows_asked_for(text: Path, rows: list[int], length: int) -> None:
    stream = build(text)
    batch = stream.fetch(length, np.array(rows, np.int64))
    for row, ids in zip(rows, batch["input_ids"], strict=True):
        assert ids.tolist() == stream.fetch(length, [row])["input_ids"][0].tolist()
        assert ids.tolist() == stream.tokens[row * length : (row + 1) * length].tolist()


def test_rows_outside_the_stream_are_an_error(text: Path) -> None:
    stream = build(text)
    for row in (-1, stream.num_rows(8)):
        with pytest.raises(IndexError, match=f"stream with {stream.num_rows(8)} rows"):
            stream.fetch(8, [0, row])
    with pytest.raises(CorpusError, match="at least 1"):
        stream.num_rows(0)


def test_row_words_do_not_depend_on_the_block_they_are_summed_in(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = build(text)
    whole = {length: stream.row_words(length) for length in (1, 5, 64)}
    monkeypatch.setattr("babylm_hf.corpus.stream._BLOCK_TOKENS", 50)
    for length, words in whole.items():
        assert stream.row_words(length).tolist() == words.tolist()


def test_token_counts_count_the_stream(text: Path) -> None:
    stream = build(text)
    counts = stream.token_counts()
    assert counts.dtype == np.int64
    assert counts.tolist() == np.bincount(stream.tokens, minlength=300).tolist()


def test_a_large_vocabulary_takes_wider_ids(text: Path) -> None:
    vocab = {f"w{i}": i for i in range(70_000)} | {"look": 70_000, "<unk>": 70_001}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    stream = TokenStream.build([text], backend, text.parent / "cache")
    assert stream.tokens.dtype == np.uint32
    assert set(stream.tokens.tolist()) == {70_000, 70_001}
    assert stream.num_tokens == stream.info.num_words


@pytest.mark.parametrize("document", ["line", "blank_line"])
def test_chunks_do_not_show(text: Path, monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    whole = contents(build(text, document=document))
    monkeypatch.setattr(files_module, "CHUNK_BYTES", 100)
    assert contents(TokenStream.build([text], tokenizer(), text.parent / "other", document=document)) == whole  # type: ignore[arg-type]


def test_words_without_tokens_are_kept_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = plain_tokenizer(train_tokenizer([LINES], "wordpiece", 200))
    backend.post_processor = None
    text = tmp_path / "text.txt"
    nothing = "\x00 " * 300
    text.write_text(f"{nothing}\nlook at the dog\n{nothing}\nit says woof\n{nothing}\n")
    for size in (1 << 20, 10):
        monkeypatch.setattr(files_module, "CHUNK_BYTES", size)
        stream = TokenStream.build([text], backend, tmp_path / f"cache{size}")
        assert stream.word_starts.sum(dtype=int) == stream.info.num_words == 907
        assert stream.word_starts.max() == 255
    text.write_text("\x00 \x00\n")
    with pytest.raises(CorpusError, match="makes no token of the text"):
        TokenStream.build([text], backend, tmp_path / "cache")
    text.write_text("\x00 " * 300 + "the\n")
    with pytest.raises(CorpusError, match="46 words of the text leave no token"):
        TokenStream.build([text], backend, tmp_path / "cache")


def test_the_same_text_is_tokenised_once(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(text)
    monkeypatch.setattr(build_module, "write_stream", None)  # a second tokenisation would call it
    again = build(text)
    assert (again.folder, again.info) == (first.folder, first.info)
    renamed = text.rename(text.with_name("renamed.txt"))
    other = build(renamed)
    assert other.folder == first.folder
    assert [source.path for source in other.info.sources] == ["renamed.txt"]


def test_what_decides_the_tokens_decides_the_fingerprint(text: Path) -> None:
    fingerprints = {build(text).fingerprint, build(text, document="blank_line").fingerprint}
    lower = plain_tokenizer(train_tokenizer([LINES], "bpe", 300, lowercase=True))
    fingerprints.add(TokenStream.build([text], lower, text.parent / "cache").fingerprint)
    fingerprints.add(TokenStream.build([text, text], tokenizer(), text.parent / "cache").fingerprint)
    text.write_text("another text\n")
    fingerprints.add(build(text).fingerprint)
    assert len(fingerprints) == 5


def test_truncation_and_padding_of_a_tokenizer_are_ignored_and_kept(text: Path) -> None:
    cutting = Tokenizer.from_str(tokenizer().to_str())
    cutting.enable_truncation(4)
    cutting.enable_padding(length=9)
    stream = TokenStream.build([text], cutting, text.parent / "cache")
    assert stream.folder == build(text).folder
    assert cutting.truncation["max_length"] == 4
    assert cutting.padding["length"] == 9


def test_a_stream_opens_from_its_folder_and_pickles_as_its_path(text: Path) -> None:
    stream = build(text)
    sent = pickle.dumps(stream)
    assert len(sent) < 1000
    for other in (pickle.loads(sent), TokenStream.open(stream.folder), TokenStream.open(str(stream.folder))):
        assert other.info == stream.info
        assert other.tokens.tolist() == stream.tokens.tolist()
    with pytest.raises(CorpusError, match="holds no token stream"):
        TokenStream.open(text.parent)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", [*cache_module.STREAM_FILES, "info.json"])
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_stream_is_made_again(text: Path, name: str, damage: Any) -> None:
    stream = build(text)
    whole = contents(stream)
    damage(stream.folder / name)
    if damage is not flip or name == "info.json":
        with pytest.raises(CorpusError, match=r"damaged|missing|holds no token stream"):
            TokenStream.open(stream.folder)
    assert contents(build(text)) == whole
    assert [path.name for path in stream.folder.parent.iterdir()] == [stream.folder.name]


def test_a_build_that_fails_leaves_nothing(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, "write_info", stop)
    with pytest.raises(KeyboardInterrupt):
        build(text)
    assert list((text.parent / "cache").iterdir()) == []


def test_text_that_changes_meanwhile_is_noticed(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = build_module.text_digests

    def change_after(*args: Any) -> Any:
        found = digests(*args)
        text.write_text("something else\n")
        return found

    monkeypatch.setattr(build_module, "text_digests", change_after)
    with pytest.raises(CorpusError, match="changed while it was being tokenised"):
        build(text)
    assert list((text.parent / "cache").iterdir()) == []


def test_threads_that_build_at_once_get_the_same_whole_stream(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Barrier(4)
    write = build_module.write_stream

    def together(*args: Any) -> None:
        write(*args)
        ready.wait(30)  # all have built before any may publish

    monkeypatch.setattr(build_module, "write_stream", together)
    monkeypatch.setattr(cache_module, "_move_away", None)  # the first one's stream is whole and must stay
    found: list[TokenStream] = []
    workers = [threading.Thread(target=lambda: found.append(build(text))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len({stream.folder for stream in found}) == 1
    assert len(found) == 4
    assert all(stream.tokens.tolist() == found[0].tokens.tolist() for stream in found)
    assert [path.name for path in found[0].folder.parent.iterdir()] == [found[0].folder.name]


def test_processes_that_build_at_once_get_the_same_whole_stream(text: Path) -> None:
    text.write_text("\n".join(LINES * 4000) + "\n", encoding="utf-8")
    saved = text.parent / "tokenizer.json"
    tokenizer().save(str(saved))
    code = (
        "import sys\nfrom tokenizers import Tokenizer\nfrom babylm_hf.corpus import TokenStream\n"
        "text, saved, cache = sys.argv[1:]\nsys.stdin.readline()\n"
        "print(TokenStream.build([text], Tokenizer.from_file(saved), cache).folder)"
    )
    command = [sys.executable, "-c", code, str(text), str(saved), str(text.parent / "cache")]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert len({out for out, _ in outputs}) == 1
    assert len(list((text.parent / "cache").iterdir())) == 1
    assert build(text).num_tokens == TokenStream.open(outputs[0][0].strip()).num_tokens


def test_a_damaged_stream_is_replaced_under_an_open_one(text: Path) -> None:
    stream = build(text)
    tokens = stream.tokens.tolist()
    flip(stream.folder / "word_starts.bin")
    build(text)
    assert stream.tokens.tolist() == tokens
    shutil.rmtree(stream.folder)
    assert stream.fetch(8, [0])["input_ids"].tolist() == [tokens[:8]]


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_progress_shows_when_asked(
    text: Path, capfd: pytest.CaptureFixture[str], progress: bool | None, shown: bool
) -> None:
    build(text, progress=progress)
    captured = capfd.readouterr()
    assert ("tokenising: 100%" in captured.err) is shown
    assert captured.out == ""


def test_a_slow_tokenizer_is_refused(text: Path) -> None:
    with pytest.raises(CorpusError, match="object is not a fast tokenizer"):
        TokenStream.build([text], object(), text.parent / "cache")
