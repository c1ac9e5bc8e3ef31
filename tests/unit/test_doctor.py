"""`babylm-hf doctor`: what it finds, and that it tells no secret."""

from __future__ import annotations

import json
import re
import sys

import pytest

from babylm_hf import diagnosis
from babylm_hf.cli import main

ESCAPES = re.compile(r"\033\[[0-9;]*m")


def doctor(capsys, *words):
    status = 0
    try:
        main(["doctor", *words])
    except SystemExit as stopped:
        status = stopped.code
    return status, capsys.readouterr().out


def test_this_machine_is_ready(capsys):
    status, told = doctor(capsys)
    assert status == 0
    assert max(len(ESCAPES.sub("", line)) for line in told.splitlines()) <= 80
    for name in ("python", "packages", "torch", "processor", "GPU", "disk here", "our cache", "Hub cache", "Hub token"):
        assert re.search(rf"^(ok|note)\s+{name}", told, re.MULTILINE), name
    assert "ready" in told.splitlines()[-1]


def test_json_says_the_same(capsys):
    status, told = doctor(capsys, "--json")
    found = json.loads(told)
    assert (status, found["ready"]) == (0, True)
    assert {check["state"] for check in found["checks"]} <= {"ok", "note"}


def test_the_token_is_never_shown(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    _, told = doctor(capsys)
    assert "hf_abc" not in told
    assert "from HF_TOKEN" in told


def test_an_old_package_and_a_missing_one_are_named(capsys, monkeypatch):
    wanted = ["numpy>=99", "no-such-package>=1", "torch>=2", 'pytest>=8; extra == "test"']
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda name: wanted)
    status, told = doctor(capsys)
    assert status == 1
    assert "but >=99 is needed" in told
    assert 'pip install "no-such-package>=1"' in told
    assert told.splitlines()[-1].startswith("2 to mend")


def test_a_broken_torch_is_one_finding_and_not_the_end(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ImportError
    status, told = doctor(capsys)
    assert status == 1
    assert "FAIL  torch" in told
    assert "disk here" in told


def test_a_cache_that_cannot_be_written_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BABYLM_HF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(diagnosis.os, "access", lambda path, mode: str(path) != str(tmp_path))
    status, told = doctor(capsys)
    assert status == 1
    assert "BABYLM_HF_CACHE" in told


@pytest.mark.parametrize(
    ("flags", "said"), [("fpu avx2 avx512f avx512_bf16 amx_bf16", "amx_bf16"), ("fpu avx2", "no bfloat16")]
)
def test_the_processor_is_described(monkeypatch, flags, said):
    monkeypatch.setattr(diagnosis, "_cpuinfo", lambda: ("A processor", set(flags.split())))
    (name, instructions) = diagnosis._processor()
    assert name.found.startswith("A processor, ")
    assert said in instructions.found
