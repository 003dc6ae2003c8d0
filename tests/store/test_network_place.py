"""A journal on a network file system: recognized by the list of mounts, cautioned of, written without shared memory."""

import sqlite3
from pathlib import Path

import pytest

from tests.commandline import whalecam
from tests.copies import copied
from whalecam.store.reviews import Journal, Review, journal_caution, network_place
from whalecam.store.reviews.network_place import caution_of, network_filesystem
from whalecam.store.run import open_run

MOUNTED = """/dev/vda / ext4 rw,relatime 0 0
server:/data /mnt/survey nfs4 rw,vers=4.2 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
me@host:/x /mnt/far fuse.sshfs rw 0 0
/dev/vdb /mnt/survey/local xfs rw 0 0
tmpfs /run tmpfs rw 0 0
broken
"""


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the list of mounts has on another machine."""
    path, folder = tmp_path / "mounts", tmp_path / "remote"
    path.write_text(f"{MOUNTED}server:/runs {folder} nfs rw 0 0\n")
    monkeypatch.setattr(network_place, "MOUNTS", path)
    return folder


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/mnt/survey/runs/a/reviews.sqlite", "nfs4"),
        ("/mnt/survey/local/reviews.sqlite", ""),
        ("/mnt/surveyed/reviews.sqlite", ""),
        ("/mnt/my share/reviews.sqlite", "cifs"),
        ("/mnt/far/b/c.sqlite", "sshfs"),
        ("/run/reviews.sqlite", ""),
        ("/home/ann/reviews.sqlite", ""),
    ],
)
def test_the_nearest_mount_above_a_file_counts(file: str, kind: str) -> None:
    assert network_filesystem(Path(file)) == kind
    assert caution_of(Path(file)).startswith(f"The journal of verdicts {file} is on") == bool(kind)


def test_where_mounts_are_not_listed_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_place, "MOUNTS", tmp_path / "none")
    assert network_filesystem(tmp_path) == "" and caution_of(None) == ""


@pytest.mark.usefixtures("remote")
def test_a_server_and_what_is_no_address_have_no_caution() -> None:
    assert journal_caution("postgresql://ann@host/reviews") == "" and journal_caution("no address") == ""
    assert "(nfs4)" in journal_caution("sqlite:////mnt/survey/reviews.sqlite")


@pytest.mark.parametrize("is_remote", [False, True])
def test_verdicts_are_kept_without_memory_that_machines_would_share(
    runs: Path, remote: Path, tmp_path: Path, is_remote: bool
) -> None:
    run = open_run(copied(runs / "demo", (remote if is_remote else tmp_path / "here") / "run"))
    (run.path / "reviews.sqlite").unlink(missing_ok=True)
    first, second = sorted(run.audited())[:2]
    done = whalecam("review", run.path, first, "--verdict", "flag", "--reviewer", "Ann")
    assert done.returncode == 0, done.stderr
    assert ("network file system (nfs)" in done.stderr) == is_remote
    assert Journal.of(run).latest()[["image", "verdict"]].to_numpy().tolist() == [[first, "flag"]]
    Journal.of(run).add([Review(second, verdict="keep", reviewer="Ben")])
    assert sorted(Journal.of(run).latest()["image"]) == [first, second]
    with sqlite3.connect(run.path / "reviews.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete" if is_remote else "wal",)
