"""What a run shows: the same milestones on a terminal and in a log file, never a thousand lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from babylm_hf.training import progress
from babylm_hf.training.progress import duration, headline
from tests.tiny import tiny_stream, tiny_trainer


def shown(folder: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> list[str]:
    """The lines that a tiny run with one milestone and held-out text leaves on standard error."""
    rows = tiny_stream(folder / "text")
    held_out = tiny_stream(folder / "text", words=500, seed=1)
    trainer = tiny_trainer(folder, rows, eval_dataset=held_out, milestones="1x4K", **options)
    trainer.train()
    trainer.finish()
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip() and "model shards" not in line]  # a bar of transformers


def test_a_log_file_tells_the_milestones_and_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, capsys)
    assert re.fullmatch(r"[\d.]+ [kM] parameters, 8,\d{3} words in \d+ steps", lines[0])
    assert re.fullmatch(r" +0 words  untrained  held-out loss \d\.\d{3}", lines[1])
    assert re.fullmatch(r" +4,\d{3} words  chck_4K  held-out loss \d\.\d{3}", lines[2])
    assert re.fullmatch(r"Done: 8,\d{3} words; held-out loss \d\.\d{3}", lines[3])
    assert lines[4] == f"Model and card: {tmp_path / 'run'}"
    assert len(lines) == 5, "steps within half a minute make no lines"
    assert all(len(line) < 80 for line in lines[:4])


def test_a_long_run_tells_its_speed_and_the_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    lines = shown(tmp_path, capsys)
    states = [line for line in lines if " step " in line]
    form = r" +[\d,]+ words +\d+%  step [\d,]+ of [\d,]+  loss \d\.\d{3}  [\d,]+ words/s, [\d:]+ left"
    assert states
    assert all(re.fullmatch(form, line) and len(line) < 80 for line in states)
    assert states[-1].endswith(", 0:00 left"), "at the end nothing is left"


def test_a_bar_counts_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, capsys, disable_tqdm=False)
    bars = [line for line in lines if "%|" in line and "words" in line]
    assert bars[0].startswith("  0%|")
    assert bars[-1].startswith("100%|")
    assert re.search(r"\| 8\.\d+k/8\.\d+k words \[00:\d\d<00:00, .+ words/s, loss \d\.\d{3}\]", bars[-1])
    assert any("chck_4K" in line for line in lines)


def test_durations_are_those_of_a_clock() -> None:
    assert [duration(s) for s in (0, 59.6, 61, 3_723)] == ["0:00", "1:00", "1:01", "1:02:03"]


def test_a_headline_holds_loss_bound_and_accuracies() -> None:
    measured = {
        "held_out": {"eval_loss": 2.5, "eval_accuracy": 0.4, "eval_nelbo": 2.75, "eval_nelbo_error": 0.01},
        "blimp": {"accuracy": 0.613, "pairs": 10},
        "reading": {"delta_r2": 0.3},
    }
    assert headline(measured) == "held-out loss 2.500  NELBO 2.750  blimp 61.3%"
