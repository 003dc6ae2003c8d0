"""Copies of the prepared runs, which tests running at once read."""

import shutil
from pathlib import Path

SIDECARS = shutil.ignore_patterns("*-shm", "*-wal")


def copied(source: Path, target: Path) -> Path:
    """A copy of a folder that nobody writes to, without what SQLite lays beside a database while somebody reads it.

    These files come and go with each reader: listed, they may be gone when they are to be copied. All that was written
    stands in the database itself, as nobody has it open for writing.
    """
    return Path(shutil.copytree(source, target, ignore=SIDECARS))
