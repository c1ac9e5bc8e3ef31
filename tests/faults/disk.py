"""Faults of the disk under a run."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

from faults.stage import STEPS

from babylm_hf.publishing import files as record_files
from babylm_hf.training import checkpoints, integrity


@contextmanager
def quota(most):
    """No file may become longer than `most` bytes: real writes fail, whoever makes them, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def goes_on_from_2(stage, output, **options):
    """What was there before is whole, nothing half-written is left, and the run can be ended."""
    folder = stage.folder / output
    assert not list(folder.glob(".*.partial"))
    assert checkpoints.newest_checkpoint(folder).name == "checkpoint-2"
    trainer = stage.trainer(output=output, **options)
    trainer.train(resume_from_checkpoint="auto")
    assert trainer.state.global_step == STEPS


def too_small(stage):
    stage.monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    stage.fresh()


def full_in_checkpoint(stage):
    save = checkpoints.write_sidecars

    def save_later(folder, arrays, facts):
        save(folder, arrays, facts)
        if facts["step"] == 4:
            limit.__enter__()

    limit = quota(60_000)  # the weights have 139 kB
    stage.monkeypatch.setattr(checkpoints, "write_sidecars", save_later)
    try:
        stage.fresh(milestones="none")
    finally:
        limit.__exit__(None, None, None)
        stage.monkeypatch.undo()
        goes_on_from_2(stage, "other", milestones="none")


def full_in_milestone(stage):
    with quota(60_000):
        stage.fresh(save_steps=1000)


def fails_with(number):
    def fail(*args, **facts):
        raise OSError(number, os.strerror(number), "/somewhere/file")

    return fail


def full_in_record(stage):
    stage.trainer(output="other")
    stage.monkeypatch.setattr(record_files.os, "fsync", fails_with(errno.ENOSPC))
    stage.fresh()


def broken(stage):
    stage.monkeypatch.setattr(integrity, "sha256_of", fails_with(errno.EIO))
    stage.fresh()


def read_only(stage):
    access = os.access

    def refuses(path, mode):
        return access(path, mode) and not (mode & os.W_OK and Path(path) == stage.folder)

    stage.monkeypatch.setattr(os, "access", refuses)  # nothing is read-only to the user root
    stage.fresh()


def became_read_only(stage):
    stage.monkeypatch.setattr(checkpoints.os, "replace", fails_with(errno.EROFS))
    stage.fresh()


def is_a_file(stage):
    (stage.folder / "other").write_text("mine")
    try:
        stage.fresh()
    finally:
        assert (stage.folder / "other").read_text() == "mine"
