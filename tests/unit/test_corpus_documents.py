"""Sources become documents, and what is wrong with a source is said with its name and line."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from babylm_hf.corpus import HubSource, hub_sources, iter_documents, source_reports, text_digests
from babylm_hf.corpus import files as files_module
from babylm_hf.errors import CorpusError, OptionError

TEXT = "*MOT:\tlook at that .\n\n  \nsecond line\u2028still second\n*CHI:\tno\n"
LINES = ["*MOT:\tlook at that .", "second line\u2028still second", "*CHI:\tno"]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode())
    return path


def documents(*sources: object, **options: str) -> list[str]:
    return [text for batch in iter_documents(sources, **options) for text in batch]  # type: ignore[arg-type]


def test_every_line_with_text_is_a_document(text_file: Path) -> None:
    assert documents(text_file) == LINES
    assert documents(str(text_file)) == LINES


def test_a_blank_line_ends_a_document(text_file: Path) -> None:
    assert documents(text_file, document="blank_line") == [LINES[0], "\n".join(LINES[1:])]


def test_a_report_tells_what_a_source_held(text_file: Path) -> None:
    (report,) = source_reports([text_file])
    assert report.path == "a.txt"
    assert (report.words, report.lines, report.documents) == (len(TEXT.split()), 5, 3)
    assert (report.bytes, report.sha256) == (len(TEXT.encode()), hashlib.sha256(TEXT.encode()).hexdigest())
    assert source_reports([text_file], "blank_line")[0].documents == 2


def test_gzip_and_json_lines_give_the_same_documents(tmp_path: Path) -> None:
    records = "\n".join(json.dumps({"body": line, "id": i}) for i, line in enumerate(LINES))
    (tmp_path / "plain.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "b.jsonl").write_text(records)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(records.encode()))
    assert documents(tmp_path / "plain.gz") == LINES
    assert documents(tmp_path / "b.jsonl", tmp_path / "c.jsonl.gz", text_field="body") == LINES * 2


def test_the_end_of_a_record_or_file_ends_a_document(tmp_path: Path) -> None:
    record = tmp_path / "a.jsonl"
    record.write_text(json.dumps({"text": "one\ntwo\n\nthree"}) + "\n\n" + json.dumps({"text": "four"}) + "\n")
    (tmp_path / "b.txt").write_text("five\nsix")
    assert documents(record, tmp_path / "b.txt", document="blank_line") == ["one\ntwo", "three", "four", "five\nsix"]
    assert documents(record) == ["one", "two", "three", "four"]


def test_a_folder_stands_for_its_text_files_sorted(tmp_path: Path) -> None:
    for name in ("b.train", "a.txt", "sub/c.txt", "README.md", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert documents(tmp_path) == ["a.txt", "b.train", "sub/c.txt"]


def test_windows_lines_and_a_byte_order_mark_leave_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "dos.txt"
    path.write_bytes("\ufeffone two\r\n\r\nthree\r\n".encode())
    assert documents(path) == ["one two", "three"]


@pytest.mark.parametrize("document", ["line", "blank_line"])
def test_chunks_do_not_show(text_file: Path, monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    text_file.write_text("a b\nc\u00e9\u00e9\n\nd " * 50, encoding="utf-8")
    whole = documents(text_file, document=document)
    for size in (1, 2, 7, 64):
        monkeypatch.setattr(files_module, "CHUNK_BYTES", size)
        assert documents(text_file, document=document) == whole


def test_batches_hold_about_a_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("some words on a line\n" * 200_000)
    sizes = [sum(map(len, batch)) for batch in iter_documents([path])]
    assert max(sizes) <= 2 << 20
    assert sum(sizes) == 200_000 * 20


def test_a_hub_data_set_is_read_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps({"words": line}) for line in [*LINES, ""]))
    sources = hub_sources(str(folder), None, "train", "words")
    assert documents(*sources) == LINES
    (report,) = source_reports(sources)
    assert (report.words, report.lines, report.documents) == (len(TEXT.split()), 4, 3)
    assert report.bytes == sum(len(line.encode()) for line in LINES)
    with pytest.raises(CorpusError, match=r"no column 'text' \(it has words\).*--text_field"):
        documents(HubSource(str(folder)))


def test_a_data_set_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nobody/nothing.*--train_file"):
        documents(HubSource("nobody/nothing"))


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    empty, blank = tmp_path / "empty.txt", tmp_path / "blank.txt"
    empty.touch()
    blank.write_text("\n  \n\t\n")
    with pytest.raises(CorpusError, match=r"gone\.txt does not exist"):
        documents(tmp_path / "gone.txt")
    with pytest.raises(CorpusError, match=r"empty\.txt is empty"):
        documents(empty)
    with pytest.raises(CorpusError, match=r"blank\.txt holds no text"):
        documents(blank)
    with pytest.raises(CorpusError, match="no text was given"):
        documents()
    (tmp_path / "none").mkdir()
    with pytest.raises(CorpusError, match="none holds no file that ends in"):
        documents(tmp_path / "none")


@pytest.mark.parametrize("line", [1, 3, 90_000])
def test_a_line_that_is_not_utf8_is_named(tmp_path: Path, line: int) -> None:
    path = tmp_path / "latin.txt"
    rows = [b"plain words on a line"] * 100_000
    rows[line - 1] = "naïve".encode("latin-1")
    path.write_bytes(b"\n".join(rows))
    with pytest.raises(CorpusError, match=rf"latin\.txt is not UTF-8 at line {line} \(byte 0xef\).*iconv"):
        documents(path)


def test_utf16_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "wide.txt"
    path.write_bytes("some words\n".encode("utf-16"))
    with pytest.raises(CorpusError, match="not UTF-8 at line 1 "):
        documents(path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"body": "x"}', "line 3 has no field 'text'.*--text_field"),
        ('["text"]', "line 3 has no field 'text'"),
        ("{text", "line 3 is not a JSON object"),
        ('{"text": 5}', "line 3: the field 'text' holds int, not text"),
        ('{"text": "\\ud83d"}', "line 3: half a surrogate pair"),
    ],
)
def test_a_bad_record_is_named_by_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n")
    with pytest.raises(CorpusError, match=r"bad\.jsonl " + complaint):
        documents(path)


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(TEXT.encode() * 100)[:-12])
    with pytest.raises(CorpusError, match=r"cut\.gz is not a whole gzip file"):
        documents(path)


def test_text_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "endless.txt"
    path.write_text("word " * 500_000)
    monkeypatch.setattr(files_module, "MAX_DOCUMENT", 1 << 18)
    with pytest.raises(CorpusError, match=r"endless\.txt has a line of more than"):
        documents(path)


def test_a_document_too_long_for_the_tokenizer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.txt"
    path.write_text("some words\n" * 200)
    monkeypatch.setattr("babylm_hf.corpus.documents.MAX_DOCUMENT", 1000)
    assert len(documents(path)) == 200
    with pytest.raises(CorpusError, match=r"long\.txt has a document of more than .* --document line"):
        documents(path, document="blank_line")


def test_an_unknown_way_of_cutting_is_an_option_error(text_file: Path) -> None:
    with pytest.raises(OptionError, match="--document is 'page'"):
        documents(text_file, document="page")


def test_digests_follow_text_and_reading_but_not_names(text_file: Path) -> None:
    same = text_file.with_name("renamed.txt")
    same.write_bytes(text_file.read_bytes())
    assert text_digests([text_file]) == text_digests([same])
    other = text_digests([text_file], "blank_line")
    assert other != text_digests([text_file])
    as_records = text_file.rename(text_file.with_name("a.jsonl"))
    assert text_digests([as_records]) not in (other, text_digests([same]))
    same.write_bytes(same.read_bytes() + b"more\n")
    assert text_digests([same]) != text_digests([as_records])
