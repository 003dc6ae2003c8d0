"""A full disk and a place that may not be written to, in words: by verbs, and what libraries say of it."""

import errno
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tests.commandline import whalecam
from whalecam import storage_errors
from whalecam.app.shell import jobs
from whalecam.storage_errors import is_full, unwritable
from whalecam.store.json_file import write_json
from whalecam.store.run import job_in

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


@needs_full
def test_a_full_disk_is_named_with_what_to_do() -> None:
    with pytest.raises(OSError, match="No space left") as raised:
        FULL.write_text("x" * 100_000)
    assert unwritable(raised.value) == (
        "The disk is full. What was finished is kept: free some space, and start again."
    )


def test_a_place_that_is_barred_is_named_with_the_reason_of_the_system() -> None:
    words = unwritable(PermissionError(errno.EACCES, "Permission denied", "/data/runs"))
    assert words == (
        "A file or folder may not be opened or written (/data/runs): Permission denied. Change its rights, or name "
        "another place."
    )
    assert "Read-only file system" in unwritable(OSError(errno.EROFS, "Read-only file system", "/cd/x"))


def test_libraries_that_raise_errors_of_their_own_are_understood(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError, match="os error") as raised:
        save_file({"a": np.zeros(4)}, str(tmp_path / "absent" / "a.safetensors"))
    assert unwritable(raised.value) == "", "a folder that is not there is no full disk"
    for reason in ("No space left on device (os error 28)", "Disk quota exceeded (os error 122)"):
        assert "The disk is full" in unwritable(SafetensorError(f"Error while serializing: I/O error: {reason}"))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "No such file"), ValueError("x"), OSError("plain"), KeyError(28)]
)
def test_other_errors_are_left_to_others(error: Exception) -> None:
    assert unwritable(error) == ""


def test_a_disk_is_full_below_a_mebibyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_full(tmp_path) and not is_full(tmp_path / "absent")
    write_json(job_in(tmp_path), {"title": "Audit", "pid": 1 << 30, "started": 0.0})
    job = jobs.status(tmp_path)
    assert job is not None and "run out of memory" in job.message
    monkeypatch.setattr(storage_errors, "FULL_BYTES", 1 << 62)
    job = jobs.status(tmp_path)
    assert is_full(tmp_path) and job is not None and "the disk of the run folder is full" in job.message


@needs_full
@pytest.mark.parametrize("words", [("export", "--only", "all"), ("report",)])
def test_a_verb_that_cannot_write_says_so_in_one_line(words: tuple[str, ...], runs: Path) -> None:
    done = whalecam(words[0], runs / "demo", "--out", FULL, *words[1:])
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "The disk is full" in done.stderr and "internal error" not in done.stderr
