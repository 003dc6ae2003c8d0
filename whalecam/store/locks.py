"""A lock on a file, which ends with the process that has it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks; nobody waits there
    fcntl = None  # type: ignore[assignment]

RETRY_SECONDS = 0.1


class FileLock:
    """Several may have it `shared`, or one `alone`.

    Where the file cannot be written to, or its file system knows no locks, nobody waits.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Wait until nobody has it alone."""
        with self._file() as file:
            if file is not None:
                _try(file, _SHARED)
            yield

    @contextmanager
    def alone(self, patience: float) -> Iterator[bool]:
        """Wait while anybody else has it, `patience` seconds at most. Gives whether it is ours."""
        with self._file() as file:
            yield file is None or _acquired(file, time.monotonic() + patience)

    @contextmanager
    def _file(self) -> Iterator[IO[bytes] | None]:
        try:
            file = self._path.open("ab") if fcntl else None
        except OSError:
            file = None
        try:
            yield file
        finally:
            if file is not None:
                file.close()


_SHARED, _ALONE = (fcntl.LOCK_SH, fcntl.LOCK_EX | fcntl.LOCK_NB) if fcntl else (0, 0)


def _acquired(file: IO[bytes], until: float) -> bool:
    while not _try(file, _ALONE):
        if time.monotonic() >= until:
            return False
        time.sleep(RETRY_SECONDS)
    return True


def _try(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
