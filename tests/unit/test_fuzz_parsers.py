"""Whatever is given to a parser of ours, the user reads a sentence: only our own errors come out.

More and other examples: `BABYLM_FUZZ=2000 python -m pytest tests/unit/test_fuzz_parsers.py`.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from babylm_hf.arguments import CorpusArguments, MaskingArguments
from babylm_hf.corpus import load_tokenizer
from babylm_hf.corpus.documents import iter_documents
from babylm_hf.corpus.mix_files import mix_of, read_manifest
from babylm_hf.corpus.mixing import parse_bytes, parse_shares
from babylm_hf.errors import BabyLMError
from babylm_hf.evaluation import load_pairs
from babylm_hf.evaluation.folders import load_task
from babylm_hf.masking.factory import rate_of
from babylm_hf.plan import parse_curriculum, parse_milestones, parse_words
from babylm_hf.publishing import RunRecord
from babylm_hf.publishing.blocks import merge
from babylm_hf.publishing.facts import facts_of
from babylm_hf.publishing.ledger import Ledger
from babylm_hf.publishing.packages import RunFolder
from babylm_hf.publishing.sweeps import SweepFolder
from babylm_hf.sweep import sweep_options
from babylm_hf.training.checkpoints import STATE_ARRAYS, STATE_FACTS, check_identity, newest_checkpoint, read_sidecars
from babylm_hf.training.integrity import FILES, damage

FUZZ = int(os.environ.get("BABYLM_FUZZ", "0"))
PLACE = Path(tempfile.mkdtemp(prefix="babylm_fuzz_"))

# Deterministic in the ordinary run; hypothesis finds new examples where more are asked for.
fuzzed = settings(
    max_examples=FUZZ or 25,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

DEEP = "[" * 100_000
LONG = "9" * 5000
specs = st.text("0123456789:,.xKMBG -+e", max_size=24) | st.text(max_size=12) | st.sampled_from([LONG, "nan", "inf"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
noise = st.binary(max_size=60) | st.sampled_from([b"", b"{", b"\xff\xfe", b"\x00", DEEP.encode(), LONG.encode()])


def objects(*names):
    """JSON objects that have some of the fields that a reader looks for, with values of any kind."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


def written(content, name="file"):
    """A file with some bytes, or with a value as JSON."""
    path = PLACE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode("utf-8", "surrogatepass"))
    return path


def lines_of(entries):
    """JSON lines of entries, or the bytes given."""
    return entries if isinstance(entries, bytes) else b"\n".join(json.dumps(entry).encode() for entry in entries)


def plainly(call, *arguments, **options):
    """What a call returns, or None where it refuses with one sentence; any other error is the test's."""
    try:
        return call(*arguments, **options)
    except BabyLMError as error:
        said = str(error)
    assert said.strip()
    return None


@pytest.mark.parametrize(
    "parse",
    [
        lambda text: parse_curriculum(text, 3, 8),
        parse_milestones,
        parse_words,
        parse_bytes,
        parse_shares,
        lambda text: mix_of(CorpusArguments(mix_method="shares", mix_shares=text)),
        lambda text: mix_of(CorpusArguments(mix_bytes=text)),
    ],
    ids=["curriculum", "milestones", "words", "bytes", "shares", "mix of shares", "mix of bytes"],
)
@given(text=specs)
@example(text=LONG)
@example(text=f"0:{LONG}")
@example(text=f"{LONG}x1K")
@example(text="999999999x1K")
@example(text="nan,1")
@example(text="1,inf")
@fuzzed
def test_strings_of_options(parse, text):
    plainly(parse, text)


@given(chosen=st.lists(st.tuples(st.sampled_from(list(fields(MaskingArguments))), specs | scalars), max_size=4))
@fuzzed
def test_mask_schedules(chosen):
    options = MaskingArguments()
    for field, value in chosen:
        kind = type(getattr(options, field.name))
        if isinstance(value, kind) and not isinstance(value, bool):
            setattr(options, field.name, value)
    rate = plainly(rate_of, options)
    if rate is not None:
        plainly(rate.at, 3, 10)


words = st.sampled_from(
    [
        "--demo",
        "--train_file",
        "--max_seq_len",
        "0:16",
        "--batch_size",
        "8",
        "-1",
        "nan",
        "--lr",
        "--milestones",
        "--mlm_prob",
        "1e400",
        "--seed",
        "--ema_decay",
        "--save_steps",
        "--track",
        "strict-small",
        "--model",
        "--masking",
        "adaptive",
        "--tokenizer_algorithm",
        "--max_words",
        "--warmup_steps",
        "--x",
        "--num_train_epochs",
        "2",
        "--push_to_hub",
        "--hub_model_id",
        "--lr_scheduler_type",
        "cosine",
        "--optim",
        "--lr=0.1",
        "--mask_decay",
    ]
)


@given(argv=st.lists(words | st.text(max_size=6), max_size=6))
@settings(fuzzed, max_examples=FUZZ or 15)
def test_the_command_line_of_a_recipe(argv):
    if not {"-h", "--help"} & set(argv):
        plainly(importlib.import_module("hard_decay").RECIPE.parse, [*argv, "--use_cpu", "true"])


@given(
    variant=st.lists(st.text("ab=-' \"\\", max_size=12) | st.text(max_size=8), max_size=3),
    seeds=st.lists(st.integers(), min_size=1, max_size=3),
)
@fuzzed
def test_what_a_sweep_is_given(variant, seeds):
    given_options = {"recipe": "hard_decay", "seeds": seeds, "output_dir": PLACE / "sweep", "variant": variant}
    plainly(sweep_options, {**given_options, "launcher": None, "rest": []})


@given(content=noise | values | objects("seeds", "variants"))
@fuzzed
def test_the_manifest_of_a_sweep(content):
    written(content, "a sweep/sweep.json")
    plainly(SweepFolder, PLACE / "a sweep")


EVENT_FIELDS = ("kind", "step", "words", "seconds", "name", "metrics", "task", "loss", "checkpoint", "milestone")
kinds = st.sampled_from(["log", "resume", "end", "evaluation", "milestone", "policy", "stage"])
events = st.lists(
    st.builds(lambda kind, rest: {**rest, "kind": kind}, kinds, objects(*EVENT_FIELDS)) | values, max_size=4
)


@given(
    content=noise | events, manifest=objects("format", "milestones", "plan", "card", "name", "method", "data", "seed")
)
@fuzzed
@example(content=[{"kind": "resume"}], manifest={})
@example(content=[{"kind": "resume", "step": "x"}, {"kind": "log", "step": "a", "seconds": "x"}], manifest={})
def test_the_events_of_a_record(content, manifest):
    manifest = {**manifest, "format": 1, "family": "masked"}
    written(lines_of(content), "run/record/events.jsonl")
    written(manifest, "run/record/run.json")
    record = plainly(RunRecord.open, PLACE / "run" / "record")
    if record is not None:
        plainly(record.events)
        plainly(record.seconds)
        plainly(RunFolder(PLACE / "run").milestones)


@given(content=noise | values | objects("format", "milestones", "plan", "card"))
@fuzzed
def test_the_manifest_of_a_record(content):
    written(content, "another/record/run.json")
    record = plainly(RunRecord.open, PLACE / "another" / "record")
    if record is not None:
        plainly(facts_of, record)


@given(content=noise | st.lists(objects("kind", "endpoint", "repo_id", "revision", "commit", "files") | values))
@fuzzed
@example(content=[{"kind": "commit", "endpoint": "e", "repo_id": "r", "revision": "main", "files": 3}])
@example(content=[{"kind": "commit", "endpoint": "e", "repo_id": "r"}])
def test_a_ledger(content):
    ledger = Ledger(written(lines_of(content), "published.jsonl"), "e", "r")
    plainly(ledger.commit, "main")
    plainly(ledger.files, "main")


@given(content=noise | values | st.dictionaries(st.text(max_size=8), objects("bytes", "sha256"), max_size=3))
@fuzzed
@example(content={"../../etc/passwd": {"bytes": 1, "sha256": ""}})
@example(content={"\x00": {"bytes": 1, "sha256": ""}})
def test_a_list_of_checksums(content):
    written(content, f"saved/checkpoint-3/{FILES}")
    assert damage(PLACE / "saved" / "checkpoint-3") is None or newest_checkpoint(PLACE / "saved") is None


@given(facts=noise | values | objects("identity", "step", "words"), arrays=noise)
@fuzzed
def test_the_sidecars_of_a_checkpoint(facts, arrays):
    written(facts, f"saved/checkpoint-9/{STATE_FACTS}")
    written(arrays, f"saved/checkpoint-9/{STATE_ARRAYS}")
    found = plainly(read_sidecars, PLACE / "saved" / "checkpoint-9")
    if found is not None:
        plainly(check_identity, found[1].get("identity", {}), {"seed": 0}, PLACE)


pairs = objects("sentence_good", "sentence_bad", "UID", "linguistics_term", "field")


@given(content=noise | st.lists(pairs | values, max_size=3))
@fuzzed
@example(content=[{"sentence_good": "\ud800", "sentence_bad": "b"}])
def test_minimal_pairs(content):
    plainly(load_pairs, written(lines_of(content), "pairs.jsonl"))


FIELDS = {
    "blimp": ("sentence_good", "sentence_bad", "UID", "linguistics_term", "field"),
    "ewok": ("Domain", "Context1", "Context2", "Target1", "Target2"),
    "comps": ("prefix_acceptable", "prefix_unacceptable", "property_phrase", "acceptable_concept"),
    "entity_tracking": ("input_prefix", "options", "numops"),
    "wug_adj": ("sentences", "ratio", "item"),
}


@pytest.mark.parametrize("task", FIELDS)
@given(data=st.data())
@fuzzed
def test_items_of_evaluation(task, data):
    rows = data.draw(noise | st.lists(objects(*FIELDS[task]) | values, max_size=3))
    folder = PLACE / "evaluation" / task
    for name in (f"{task}_filtered", task, f"{task}_nominalization"):
        written(lines_of(rows), f"evaluation/{task}/{name}/regular.jsonl")
    plainly(load_task, task, folder)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.txt.gz", "a.jsonl.gz"])
@given(
    content=noise | st.lists(objects("text") | values, max_size=3),
    whole=st.booleans(),
    document=st.sampled_from(["line", "blank_line"]),
)
@fuzzed
@example(content=[{"text": "\ud800"}], whole=True, document="line")
def test_the_bytes_of_a_corpus(name, content, whole, document):
    data = lines_of(content)
    if name.endswith(".gz") and whole:
        data = gzip.compress(data, mtime=0)
    found = plainly(lambda path: list(iter_documents([path], document)), written(data, name))
    for batch in found or []:
        for text in batch:
            text.encode("utf-8")  # a tokenizer takes it


@given(content=noise | values | objects("bytes", "sources", "format"))
@fuzzed
def test_the_manifest_of_a_mix(content):
    written(b"text", "mix.txt")
    written(content, "mix.txt.manifest.json")
    plainly(read_manifest, PLACE / "mix.txt")


@pytest.mark.parametrize("name", ["x.model", "tokenizer.json"])
@given(content=noise | values | objects("model", "added_tokens", "normalizer", "version", "pre_tokenizer"))
@fuzzed
@example(content=b"\x0a\x06\x0a\x02ab\x18\x02\x12\x02\x18\x02")
@example(content=b"\x0a\x08\x0a\x01a\x15\x00\x00\xc0\x7f")
def test_tokenizers_of_others(name, content):
    plainly(load_tokenizer, written(content, f"tokenizer of others/{name}"))


blocks = st.lists(
    st.sampled_from(["<!-- babylm_hf: x -->", "<!-- babylm_hf: end -->", "---", "a: b", "", "text", "\x00"])
)


@given(remote=blocks.map("\n".join) | st.text(max_size=40), local=blocks.map("\n".join) | st.text(max_size=40))
@fuzzed
def test_cards_that_people_have_edited(remote, local):
    plainly(merge, remote, local, "a card")
