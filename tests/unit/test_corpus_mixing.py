"""Mixing: byte shares, order, determinism, filters, manifests, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from synthetic_record import MANIFEST
from tiny import tiny_tokenizer

from babylm_hf.arguments import CorpusArguments
from babylm_hf.cli import main
from babylm_hf.corpus import Mix, TokenStream, cached_mix, mix, mix_facts, mix_of, source_reports, write_mix
from babylm_hf.corpus import files as corpus_files
from babylm_hf.corpus.mix_sources import find_mix_sources, read_blocks
from babylm_hf.corpus.mixing import parse_bytes
from babylm_hf.corpus.overlap import vocabulary_overlap
from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.publishing import ModelCardRenderer, RunRecord, provenance
from babylm_hf.publishing.facts import _mix

LETTERS = st.sampled_from(["a", "é", "中", " ", "\t", " ", " ", "’", "\x1c", "\U0001f600"])
LINES = st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=40)
TEXTS = st.lists(LINES, min_size=1, max_size=4)
EXAMPLES = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, texts: list[list[str]]) -> list[Path]:
    """One file a text; its number and a word at the head of every line make lines unlike and never blank."""
    paths = []
    for i, lines in enumerate(texts):
        path = folder / f"source{i}.txt"
        path.write_text("".join(f"w{i}.{n} {line}\n" for n, line in enumerate(lines)), encoding="utf-8")
        paths.append(path)
    return paths


def source_of(line: bytes) -> int:
    return int(line[1 : line.index(b".")])


@EXAMPLES
@given(TEXTS, st.integers(20, 400))
def test_round_robin_gives_equal_bytes_in_turns_and_repeats_nothing(tmp_path, texts, size):
    paths = write(tmp_path, texts)
    lines = [path.read_bytes().splitlines(keepends=True) for path in paths]
    out = tmp_path / "mix.out"
    size = max(size, len(lines) * max(len(of_source[0]) for of_source in lines))
    manifest = mix(paths, out, Mix(size=size, allow_short=True))
    # The definition, one document at a time.
    expected, taken, open_ = [], [0] * len(lines), list(range(len(lines)))
    for turn in range(1000):
        for i in list(open_):
            if turn >= len(lines[i]) or taken[i] + len(lines[i][turn]) > size // len(lines):
                open_.remove(i)
                continue
            taken[i] += len(lines[i][turn])
            expected.append(lines[i][turn])
    assert out.read_bytes() == b"".join(expected)
    assert [entry["bytes"] for entry in manifest["sources"]] == taken
    full = [entry["bytes"] for entry in manifest["sources"] if not entry["short_by"]]
    assert max(full, default=0) - min(full, default=0) < max(len(line) for of_source in lines for line in of_source)
    short = [max(0, size // len(lines) - sum(map(len, of_source))) for of_source in lines]
    assert [entry["short_by"] for entry in manifest["sources"]] == short
    assert len(set(expected)) == len(expected)


@EXAMPLES
@given(
    TEXTS,
    st.sampled_from(
        [Mix(method="proportional"), Mix(method="temperature", temperature=2.5), Mix(), Mix(size=150, allow_short=True)]
    ),
)
def test_every_method_takes_whole_documents_in_order_and_reaches_its_shares(tmp_path, texts, how):
    paths = write(tmp_path, texts)
    out = tmp_path / "mix.out"
    try:
        manifest = mix(paths, out, how)
    except CorpusError as error:
        if "first document" not in str(error):
            raise
        reject()
    mixed = out.read_bytes().splitlines(keepends=True)
    longest = max(map(len, b"".join(path.read_bytes() for path in paths).splitlines(keepends=True)))
    for i, (path, entry) in enumerate(zip(paths, manifest["sources"], strict=True)):
        taken = b"".join(line for line in mixed if source_of(line) == i)
        assert path.read_bytes().startswith(taken)
        assert entry["sha256"] == hashlib.sha256(taken).hexdigest()
        assert (entry["bytes"], entry["words"]) == (len(taken), len(taken.decode().split()))
        assert entry["documents"] == entry["lines"] == taken.count(b"\n")
        if not entry["short_by"]:
            assert 0 <= entry["bytes_wanted"] - entry["bytes"] < longest
        if not how.size:
            assert entry["short_by"] == 0
    assert manifest["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    if how.method == "proportional":
        assert sorted(mixed) == sorted(b"".join(path.read_bytes() for path in paths).splitlines(keepends=True))


@EXAMPLES
@given(TEXTS, st.integers(1, 60))
def test_the_mix_does_not_depend_on_how_the_files_are_read(tmp_path, texts, chunk):
    paths = write(tmp_path, texts)
    how = Mix(method="shares", shares=tuple(range(1, len(texts) + 1)), allow_short=True, size=10_000)
    mix(paths, tmp_path / "once", how)
    before = corpus_files.CHUNK_BYTES
    corpus_files.CHUNK_BYTES = chunk
    try:
        mix(paths, tmp_path / "again", how)
    finally:
        corpus_files.CHUNK_BYTES = before
    assert (tmp_path / "once").read_bytes() == (tmp_path / "again").read_bytes()


@EXAMPLES
@given(st.lists(st.text(LETTERS | st.sampled_from("\n\n\r"), max_size=6), max_size=60))
@pytest.mark.parametrize("document", ["line", "blank_line"])
@pytest.mark.parametrize("chunk", [1 << 20, 7])
def test_documents_are_those_of_the_token_stream(tmp_path, monkeypatch, document, chunk, parts):
    path = tmp_path / "text.txt"
    path.write_bytes("".join(parts).encode() + b"\nend")
    (report,) = source_reports([path], document)
    from babylm_hf.corpus import iter_documents

    documents = [text for batch in iter_documents([path], document) for text in batch]
    monkeypatch.setattr(corpus_files, "CHUNK_BYTES", chunk)
    blocks = list(read_blocks(find_mix_sources([path])[0], document, "text"))
    texts = [text.decode().rstrip("\n") for block in blocks for text in block.texts]
    assert texts == documents
    assert [int(n) for block in blocks for n in block.words] == [len(text.split()) for text in documents]
    assert [int(n) for block in blocks for n in block.lines] == [text.count("\n") + 1 for text in documents]
    assert sum(int(block.sizes.sum()) for block in blocks) == sum(len(t) for block in blocks for t in block.texts)
    assert report.documents == len(texts)


def test_shares_hold_at_every_point_of_the_mix(tmp_path):
    paths = write(tmp_path, [["x" * 10] * 600, ["yy" * 10] * 600, ["z"] * 600])
    out = tmp_path / "mix"
    manifest = mix(paths, out, Mix(method="shares", shares=(0.6, 0.3, 0.1), size=10_000))
    assert [entry["bytes_wanted"] for entry in manifest["sources"]] == [6000, 3000, 1000]
    taken = [0, 0, 0]
    for line in out.read_bytes().splitlines(keepends=True):
        taken[source_of(line)] += len(line)
        for got, share in zip(taken, (0.6, 0.3, 0.1), strict=True):
            assert abs(got - share * sum(taken)) <= 2 * 30


def test_temperature_lies_between_proportional_and_equal(tmp_path):
    paths = write(tmp_path, [["text"] * 900, ["text"] * 100])
    shares = [
        mix(paths, tmp_path / "mix", Mix(method="temperature", temperature=t))["sources"][1]["share"]
        for t in (1.0, 2.0, 1e9)
    ]
    assert shares[0] == pytest.approx(0.1, abs=0.02)
    assert shares[1] == pytest.approx(0.25, abs=0.02)
    assert shares[2] == pytest.approx(0.5, abs=0.02)


def test_filters_keep_the_first_of_equal_documents(tmp_path):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("one two three\nyes\none two three\nfour five six\n")
    second.write_text("four five six\nseven eight nine\nno\nseven eight nine\nten ten ten\n")
    manifest = mix([first, second], tmp_path / "mix", Mix(method="proportional", min_words=2, drop_duplicates=True))
    text = (tmp_path / "mix").read_text()
    assert sorted(text.splitlines()) == ["four five six", "one two three", "seven eight nine", "ten ten ten"]
    assert [entry["left_out"] for entry in manifest["sources"]] == [
        {"too_short": 1, "duplicates": 1},
        {"too_short": 1, "duplicates": 2},
    ]
    assert manifest["filters"] == {"min_words": 2, "drop_duplicates": True}


def test_files_of_every_kind_and_several_as_one_source(tmp_path):
    (tmp_path / "a.txt").write_text("a one\na two\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"b one\r\nb two"))
    (tmp_path / "c.jsonl").write_text('{"text": "c one\\nc two"}\n{"text": "c three"}\n')
    sources = [f"ab={tmp_path}/a.txt,{tmp_path}/b.txt.gz", tmp_path / "c.jsonl"]
    manifest = mix(sources, tmp_path / "mix", Mix(method="proportional"))
    assert (tmp_path / "mix").read_text().splitlines() == [
        "a one", "c one", "a two", "c two", "b one", "c three", "b two",
    ]  # fmt: skip
    names = [(entry["path"], [file["path"] for file in entry["files"]]) for entry in manifest["sources"]]
    assert names == [("ab", ["a.txt", "b.txt.gz"]), ("c.jsonl", ["c.jsonl"])]
    digest = hashlib.sha256((tmp_path / "a.txt").read_bytes()).hexdigest()
    assert manifest["sources"][0]["files"][0] == {"path": "a.txt", "bytes": 12, "sha256": digest}


def test_a_source_that_runs_out_is_told_by_how_much(tmp_path):
    paths = write(tmp_path, [["x"] * 10, ["y" * 50] * 100])
    with pytest.raises(CorpusError, match=r"source0\.txt has 70 bytes, 430 fewer than its share of 500.*--allow_short"):
        mix(paths, tmp_path / "mix", Mix(size=1000))
    assert list(tmp_path.glob("*mix*")) == []
    manifest = mix(paths, tmp_path / "mix", Mix(size=1000, allow_short=True))
    assert [entry["short_by"] for entry in manifest["sources"]] == [430, 0]
    assert (tmp_path / "mix").read_bytes().count(b"x\n") == 10


@pytest.mark.parametrize(
    ("names", "how", "said"),
    [
        (["a.txt", "a.txt"], {}, "given twice"),
        (["a.txt", "again=a.txt"], {}, "given twice"),
        (["a.txt", "copy.txt"], {}, "holds the same bytes as"),
        (["a.txt", "sub/a.txt"], {}, "two sources are called a.txt"),
        (["a.txt", "none.txt"], {}, "none.txt does not exist"),
        (["a.txt", "empty.txt"], {}, "is empty"),
        (["a.txt", "latin.txt"], {}, "not UTF-8 at line 2"),
        (["a.txt", "b.txt"], {"method": "shares", "shares": (1.0,)}, "1 shares for 2 sources"),
        (["a.txt", "b.txt"], {"method": "proportional", "min_words": 50}, "leave nothing of a.txt"),
        (["a.txt", "b.txt"], {"size": 9}, "first document of a.txt is larger than its share"),
    ],
    ids=str,
)
def test_sources_that_cannot_be_mixed(tmp_path, monkeypatch, names, how, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name, text in {
        "a.txt": b"one two\n",
        "copy.txt": b"one two\n",
        "sub/a.txt": b"three\n",
        "b.txt": b"four\n",
    }.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises((CorpusError, OptionError), match=said):
        mix(names, "mix", Mix(**how))
    assert not (tmp_path / "mix").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "shares"}, "needs shares"),
        ({"shares": (1.0, 2.0)}, "needs shares"),
        ({"method": "shares", "shares": (1.0, 0.0)}, "must be positive"),
        ({"method": "temperature"}, "needs a temperature"),
        ({"method": "temperature", "temperature": 0.0}, "must be positive"),
        ({"size": 0}, "positive size"),
        ({"min_words": -1}, "0 or more"),
        ({"method": "alphabetical"}, "round_robin"),
    ],
    ids=str,
)
def test_options_that_cannot_work(options, said):
    with pytest.raises(OptionError, match=said):
        Mix(**options)


def test_sizes():
    assert [parse_bytes(text) for text in ("2MB", "667 KB", "1.5kb", "2MiB", "10_000", "3b")] == [
        2_000_000, 667_000, 1500, 2 << 20, 10_000, 3,
    ]  # fmt: skip
    for text in ("2 apples", "MB", "-1", "1.5.2"):
        with pytest.raises(OptionError, match="--bytes"):
            parse_bytes(text)


def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_files, "CHUNK_BYTES", 1 << 16)
    peaks = []
    for lines in (10_000, 40_000):
        paths = write(tmp_path, [["some text of middling length, as lines are"] * lines, ["short"] * lines])
        tracemalloc.start()
        mix(paths, tmp_path / "mix", Mix(allow_short=True, size=10**9))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_recipe_mixes_once_and_its_record_knows_the_sources(tmp_path):
    paths = write(tmp_path, [["some words of a line"] * 50, ["other words"] * 90])
    arguments = CorpusArguments(train_file=[str(path) for path in paths], mix_bytes="2KB")
    text = cached_mix(arguments.train_file, mix_of(arguments), tmp_path / "cache")
    stamp = text.stat().st_mtime_ns
    assert cached_mix(arguments.train_file, mix_of(arguments), tmp_path / "cache") == text
    assert text.stat().st_mtime_ns == stamp
    text.write_bytes(text.read_bytes()[:-1])  # a damaged one is made again
    assert cached_mix(arguments.train_file, mix_of(arguments), tmp_path / "cache").stat().st_mtime_ns > stamp
    arguments.mix_bytes = "1KB"
    assert cached_mix(arguments.train_file, mix_of(arguments), tmp_path / "cache") != text

    stream = TokenStream.build([text], tiny_tokenizer(), tmp_path / "cache")
    facts = mix_facts([text], stream.info.sources)
    assert [source["path"] for source in facts["sources"]] == ["source0.txt", "source1.txt"]
    assert sum(source["words"] for source in facts["sources"]) == stream.info.num_words
    assert _mix(facts["mix"])["shares"][0].startswith("source0.txt 4")
    text.write_text("something else\n")
    other = TokenStream.build([text], tiny_tokenizer(), tmp_path / "cache")
    assert mix_facts([text], other.info.sources) == {}
    assert mix_facts([paths[0]], other.info.sources) == {}


def test_options_for_a_mix_need_one():
    assert mix_of(CorpusArguments()) is None
    with pytest.raises(OptionError, match="--mix_min_words is for a mix"):
        mix_of(CorpusArguments(mix_min_words=3))
    how = mix_of(CorpusArguments(mix_method="shares", mix_shares="2,1", document="blank_line"))
    assert (how.shares, how.document, how.size) == ((2.0, 1.0), "blank_line", None)


def test_the_recorded_command_names_no_folder_of_the_machine():
    words = [
        "/home/me/recipes/hard.py",
        "--train_file",
        "wiki=/data/a.txt,~/b.txt",
        "/data/c.txt",
        "--x=/data/d",
        "e/f",
    ]
    shown = provenance.command(words)
    assert shown == "accelerate launch recipes/hard.py --train_file wiki=a.txt,b.txt c.txt --x=d e/f"


def test_the_card_tells_how_the_text_was_mixed(tmp_path):
    paths = write(tmp_path, [["some words of a line"] * 50, ["other words"] * 90, ["few"] * 3])
    how = Mix(size=3000, allow_short=True, min_words=2, drop_duplicates=True)
    text = cached_mix(paths, how, tmp_path / "cache")
    facts = mix_facts([text], source_reports([text]))
    record = RunRecord.create(tmp_path / "record", {**MANIFEST, "data": {**MANIFEST["data"], **facts}})
    card = " ".join(ModelCardRenderer(record).render().split())
    assert (
        f"The text is a mix of {text.stat().st_size:,} bytes, the same number from each source (source0.txt 4" in card
    )
    assert "the sources take turns, one document each. Documents of fewer than 2 words were left out." in card
    assert "Of equal documents the first was kept. Used up before its share was reached: source2.txt." in card


def test_overlap_of_vocabularies(tmp_path):
    (tmp_path / "a.txt").write_text("The cat, the dog!\n\n -- \n")
    (tmp_path / "b.txt").write_text("the cat sat\n")
    found = vocabulary_overlap([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert (found.words, found.vocabulary) == ([4, 3], [3, 3])
    assert found.vocabulary_shared == [[1.0, 2 / 3], [2 / 3, 1.0]]
    assert found.text_shared == [[1.0, 0.75], [2 / 3, 1.0]]


def test_the_commands(tmp_path, capsys):
    paths = [str(path) for path in write(tmp_path, [["some words"] * 50, ["other words"] * 90])]
    out = tmp_path / "mix.txt"
    main(["corpus", "mix", *paths, "--out", str(out), "--bytes", "1KB", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "mix.txt.manifest.json").read_text())
    assert printed["bytes"] == out.stat().st_size
    main(["corpus", "mix", *paths, "--out", str(out), "--method", "shares", "--shares", "1,3", "--drop_duplicates"])
    assert "75.00%  source1.txt" in capsys.readouterr().out
    main(["corpus", "stats", *paths, "--overlap"])
    assert "running words" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["corpus", "mix", *paths, "--out", str(out), "--bytes", "1MB"])
    assert "--allow_short" in capsys.readouterr().err


def test_the_manifest_of_an_earlier_mix_goes_first(tmp_path):
    paths = write(tmp_path, [["x"] * 10])
    write_mix(paths, tmp_path / "mix", Mix())
    with pytest.raises(CorpusError):
        write_mix(paths, tmp_path / "mix", Mix(size=10_000))
    assert not (tmp_path / "mix.manifest.json").exists()
