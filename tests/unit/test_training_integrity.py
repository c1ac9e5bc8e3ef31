"""What a run writes carries checksums, and what is damaged is named and passed over."""

from __future__ import annotations

import errno
import logging

import pytest

from babylm_hf.errors import ResumeError, RunFolderError
from babylm_hf.training import checkpoints
from babylm_hf.training.disk import require_space, space_needed
from babylm_hf.training.integrity import FILES, damage, require_whole


def checkpoint(folder, step):
    path = folder / f"checkpoint-{step}"
    with checkpoints.written_whole(path) as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "model.safetensors").write_bytes(bytes(range(200)))
        (temporary / "deep" / "state.json").write_text("{}")
        (temporary / "README.md").write_text("a card")
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "cut short": (lambda c: cut(c / "model.safetensors"), "model.safetensors has 199 bytes and not 200"),
    "a bit flipped": (lambda c: flip(c / "model.safetensors"), "model.safetensors is not what was written"),
    "a file gone": (lambda c: (c / "deep" / "state.json").unlink(), "deep/state.json is missing"),
    "no list": (lambda c: (c / FILES).unlink(), "was not written to its end"),
    "a list cut short": (lambda c: cut(c / FILES) or cut(c / FILES), "cannot be read"),
    "a list of something else": (lambda c: (c / FILES).write_text('{"model.safetensors": 3}'), "cannot be read"),
}


def test_a_folder_as_written_has_no_damage_and_its_card_may_change(tmp_path):
    path = checkpoint(tmp_path, 1)
    (path / "README.md").write_text("another card")
    assert damage(path) is None
    require_whole(path)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_named_and_the_checkpoint_before_it_taken(tmp_path, caplog, kind):
    older, newer = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    assert checkpoints.newest_checkpoint(tmp_path) == newer
    damaging, said = DAMAGES[kind]
    damaging(newer)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest_checkpoint(tmp_path) == older
    assert "checkpoint-10 is damaged" in caplog.text
    assert said in caplog.text
    with pytest.raises(ResumeError, match="resume from another checkpoint"):
        checkpoints.resolve_resume(tmp_path, str(newer))


def test_a_failure_leaves_nothing_under_the_temporary_name(tmp_path):
    old = checkpoint(tmp_path, 5)
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}

    def fails():
        with checkpoints.written_whole(old) as temporary:
            temporary.mkdir()
            (temporary / "half").write_text("x")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunFolderError, match=r"the disk is full, .*; nothing that was there before is lost"):
        fails()
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_the_estimate_counts_what_is_kept():
    needed = space_needed(1_000_000, milestones=10, checkpoints=2)
    assert needed.model == 4_400_000
    assert needed.checkpoint == 3 * needed.model
    assert needed.total == 11 * needed.model + 3 * needed.checkpoint
    assert space_needed(1_000_000, milestones=0, checkpoints=2, averaged=True).checkpoint == 4 * needed.model


def test_too_little_room_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(RunFolderError, match=r"the run needs about .* GB, and .* are free"):
        require_space(tmp_path / "not" / "there", 10**18, "the run")
    require_space(tmp_path, 1, "the run")
    assert list(tmp_path.iterdir()) == []
