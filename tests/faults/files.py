"""Faults of files: checkpoints, models, records, text."""

from __future__ import annotations

import gzip
import json
import os
import shutil

from faults.stage import STEPS, cut, flip
from tiny import tiny_lines, tiny_tokenizer

from babylm_hf.corpus import TokenStream
from babylm_hf.corpus.documents import iter_documents
from babylm_hf.evaluation.models import load_for_scoring
from babylm_hf.publishing import RunRecord
from babylm_hf.publishing.packages import RunFolder
from babylm_hf.training import checkpoints
from babylm_hf.training.integrity import FILES, damage


def takes_the_one_before(stage):
    assert checkpoints.resolve_resume(stage.run, "auto") == stage.run / "checkpoint-2"


def weights_cut(stage):
    cut(stage.newest / "model.safetensors")
    trainer = stage.resume()
    assert trainer.resumed_from.name == "checkpoint-2"
    assert trainer.state.global_step == STEPS
    assert damage(stage.run / "checkpoint-4") is None, "it has been written again"


def bit_flipped(stage):
    flip(stage.newest / "optimizer.pt")
    takes_the_one_before(stage)


def no_sidecar(stage):
    (stage.newest / checkpoints.STATE_ARRAYS).unlink()
    takes_the_one_before(stage)


def no_state(stage):
    (stage.newest / "trainer_state.json").unlink()
    takes_the_one_before(stage)


def no_list(stage):
    (stage.newest / FILES).unlink()
    takes_the_one_before(stage)


def list_damaged(stage):
    cut(stage.newest / FILES)
    takes_the_one_before(stage)


def list_leads_out(stage):
    listed = json.loads((stage.newest / FILES).read_text())
    (stage.newest / FILES).write_text(json.dumps({**listed, "../../x": {"bytes": 1, "sha256": ""}}))
    takes_the_one_before(stage)


def named_damaged(stage):
    cut(stage.newest / "scheduler.pt")
    stage.trainer().train(resume_from_checkpoint=str(stage.newest))


def none_whole(stage):
    shutil.copytree(stage.run, stage.folder / "other")
    for name in ("checkpoint-2", "checkpoint-4"):
        (stage.folder / "other" / name / FILES).unlink()
    stage.trainer(output="other").train(resume_from_checkpoint="auto")


class Evil:
    """What it is unpickled to is the result of a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def evil_pickle(stage):
    import torch

    mark = stage.folder / "code was run"
    torch.save({"state": Evil(mark), "param_groups": []}, stage.newest / "optimizer.pt")
    stage.forge()
    try:
        stage.resume()
    finally:
        assert not mark.exists()


def change_facts(stage, **changes):
    path = stage.newest / checkpoints.STATE_FACTS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    stage.forge()


def other_machine(stage):
    change_facts(stage, machine="another one")
    assert stage.resume().state.global_step == STEPS


def other_world_size(stage):
    change_facts(stage, world_size=2)
    assert stage.resume().state.global_step == STEPS


def half_milestone(stage):
    shutil.rmtree(stage.newest)
    shutil.rmtree(stage.run / "checkpoint-2")
    partial = stage.run / ".chck_300.partial"
    (stage.run / "chck_300").rename(partial)
    (partial / FILES).unlink()
    cut(partial / "model.safetensors")
    stage.resume()
    assert damage(stage.run / "chck_300") is None


def model_cut(stage):
    cut(stage.run / "chck_300" / "model.safetensors")
    load_for_scoring(stage.run / "chck_300")


def no_tokenizer(stage):
    for path in (stage.run / "chck_300").glob("*token*"):
        path.unlink()
    load_for_scoring(stage.run / "chck_300")


def lines_of(stage):
    path = stage.run / "record" / "events.jsonl"
    return path, path.read_bytes().split(b"\n")


def empty_line(stage):
    before = RunRecord.open(stage.run / "record").events()
    path, lines = lines_of(stage)
    path.write_bytes(b"\n".join([*lines[:2], b"", b"  ", *lines[2:]]))
    assert RunRecord.open(stage.run / "record").events() == before


def torn_line(stage):
    before = RunRecord.open(stage.run / "record").events()
    cut(lines_of(stage)[0])
    record = RunRecord.open(stage.run / "record")
    assert record.events() == before[:-1]
    record.append("log", step=4)
    assert [event["kind"] for event in record.events()] == [event["kind"] for event in before[:-1]] + ["log"]


def damaged_line(stage):
    path, lines = lines_of(stage)
    path.write_bytes(b"\n".join([lines[0], lines[1][:20], *lines[2:]]))
    RunRecord.open(stage.run / "record").events()


def damaged_manifest(stage):
    cut(stage.run / "record" / "run.json")
    stage.resume()


def milestone_leads_out(stage):
    RunRecord.open(stage.run / "record").append("milestone", step=4, name="../../elsewhere", folder="../../elsewhere")
    RunFolder(stage.run).revisions()


def corpus_changed(stage):
    text = stage.folder / "text.txt"
    text.write_text("\n".join(tiny_lines(1500)) + "\n")
    options = {"cache_dir": stage.folder / "cache"}
    rows = TokenStream.build([text], tiny_tokenizer(), **options)
    assert rows.fingerprint == stage.rows.fingerprint, "the same text under another name is the same run"
    text.write_text(text.read_text().replace("the", "a", 1))
    stage.resume(rows=TokenStream.build([text], tiny_tokenizer(), **options))


def gzip_cut(stage):
    path = stage.folder / "text.txt.gz"
    path.write_bytes(gzip.compress(b"the dog sees the cat .\n" * 500)[:-10])
    list(iter_documents([path]))


def cache_cut(stage):
    folder = shutil.copytree(stage.rows.folder, stage.folder / "cache" / stage.rows.folder.name)
    cut(folder / "tokens.bin")
    text = stage.folder / "text.txt"
    text.write_text("\n".join(tiny_lines(1500)) + "\n")
    rows = TokenStream.build([text], tiny_tokenizer(), cache_dir=stage.folder / "cache")
    assert (rows.tokens == stage.rows.tokens).all(), "a run makes it again"
    cut(folder / "tokens.bin")
    TokenStream.open(folder)
