"""A ZIP archive of a format's files, written and unpacked."""

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from whalecam.errors import ReviewError

MAX_BYTES = 2**30
"""Of all files of an archive, unpacked."""
SUFFIXES = (".json", ".jsonl", ".xml", ".csv")
"""Of the files that hold verdicts."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Several files as one archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return archive.getvalue()


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The path itself; of an archive the folder of its files, which is removed afterwards.

    Of an archive with one folder or one file, that one; media are left out. Raises ReviewError for a broken archive
    and for one that is larger than MAX_BYTES when unpacked.
    """
    if not (path.is_file() and zipfile.is_zipfile(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        _extract(path, Path(folder))
        place = Path(folder)
        while place.is_dir() and len(inner := list(place.iterdir())) == 1:
            place = inner[0]
        yield place


def _extract(path: Path, folder: Path) -> None:
    """Only tables and texts; `ZipFile.extract` keeps every name inside the folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.lower().endswith(SUFFIXES)]
            if sum(item.file_size for item in members) > MAX_BYTES:
                raise ReviewError(f"{path.name} is larger than {MAX_BYTES >> 30} GiB when unpacked.")
            for item in members:
                archive.extract(item, folder)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ReviewError(f"{path.name} is a ZIP archive that cannot be unpacked: {error}.") from error
