"""Files that people upload, each upload in a folder of its own that only who knows its name can use."""

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from whalecam.errors import DatasetError

PREFIX = "upload:"
"""What a reference to an upload begins with, as in `upload:0123456789abcdef/photos/train.csv`."""
NAME = re.compile(r"[0-9a-f]{16}")
MAX_BYTES = 4 << 30
"""Of one upload."""
MAX_PART_BYTES = 200
"""Of one part of a path; file systems take 255."""
SPARE_BYTES = 256 << 20
"""What an upload leaves of the disk."""
UNNAMED = "file"


@dataclass(frozen=True)
class Upload:
    """A folder of uploaded files.

    Attributes:
        name: 16 hexadecimal digits, drawn at random.
        tops: names of the files and folders at its top, sorted.
        files: how many there are; `size` is the sum of their bytes.
    """

    name: str
    path: Path
    tops: tuple[str, ...]
    files: int
    size: int

    def reference(self, below: str = "") -> str:
        """How fields and links name the upload, or a file or folder in it."""
        return f"{PREFIX}{self.name}/{below}".rstrip("/")


def safe_path(name: str) -> PurePosixPath:
    """The path inside an upload for a name that a browser sent: relative, without `..`, of parts that can be stored.

    All else stays as it is, since tables name files by it.
    """
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/") if part.strip() not in ("", ".", "..")]
    return PurePosixPath(*(parts or [UNNAMED]))


def store(home: Path, files: Iterable[tuple[str, bytes]]) -> Upload:
    """Write files into a new upload below `home`; it appears whole or not at all.

    Args:
        files: names as the browser sent them, and contents.

    Raises DatasetError where there are none, where they are too large, and where they cannot be written.
    """
    contents = list(files)
    size = sum(len(content) for _, content in contents)
    if not contents:
        raise DatasetError("The upload has no files. Choose a folder that contains some.")
    if size > MAX_BYTES:
        raise DatasetError(
            f"The upload has {in_words(size)}; {in_words(MAX_BYTES)} is the limit. Copy the files to the machine that "
            "runs WhaleCAM, and give their path."
        )
    name = secrets.token_hex(8)
    aside = home / f"{name}.writing"
    try:
        _write(aside, contents, size)
        aside.rename(home / name)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise DatasetError(f"The upload cannot be written: {error.strerror or error}. Nothing was kept.") from error
    return upload_in(home, name)


def upload_in(home: Path, name: str) -> Upload:
    """The upload of this name. Raises DatasetError where there is none."""
    path = home / name
    if not NAME.fullmatch(name) or not path.is_dir():
        raise DatasetError("This upload is not here any more. Upload the files again.")
    files = [entry for entry in path.rglob("*") if entry.is_file()]
    tops = tuple(sorted(entry.name for entry in path.iterdir()))
    return Upload(name, path, tops, len(files), sum(entry.stat().st_size for entry in files))


def delete(home: Path, name: str) -> None:
    """Remove an upload with all its files. Raises DatasetError where there is none."""
    shutil.rmtree(upload_in(home, name).path)


def name_in(text: str) -> str:
    """The name of the upload that a text refers to; empty where it is a path."""
    return text.strip().removeprefix(PREFIX).split("/")[0] if text.strip().startswith(PREFIX) else ""


def path_of(home: Path, text: str) -> Path:
    """The path that a person wrote, or that a reference to an upload means.

    Raises DatasetError for an upload that is not here, and for a reference that leads out of it.
    """
    text = text.strip()
    name = name_in(text)
    if not text.startswith(PREFIX):
        return _expanded(text)
    folder = upload_in(home, name).path
    below = text.removeprefix(PREFIX).partition("/")[2]
    path = folder / below if below else folder
    if "\0" in text or not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        raise DatasetError(f"The upload has no '{below}'. Choose one of: {', '.join(upload_in(home, name).tops)}.")
    return path


def in_words(size: int) -> str:
    """Bytes as people read them, as in `3.4 MB`."""
    value, units = float(size), ("bytes", "kB", "MB", "GB")
    at = 0
    while value >= 1000 and at < len(units) - 1:
        value, at = value / 1000, at + 1
    return f"{value:.3g} {units[at]}" if value < 100 else f"{value:.0f} {units[at]}"


def _write(folder: Path, contents: Sequence[tuple[str, bytes]], size: int) -> None:
    folder.mkdir(parents=True)
    if shutil.disk_usage(folder).free < size + SPARE_BYTES:
        raise OSError("the disk of the machine that runs WhaleCAM is nearly full")
    for name, content in contents:
        target = _free(folder, safe_path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _free(folder: Path, relative: PurePosixPath) -> Path:
    """A place for a file where none is yet: names that differ only in what cannot be stored get a number."""
    parts = list(relative.parts)
    for at in range(len(parts) - 1):  # a file may have the name of another's folder
        while (folder / PurePosixPath(*parts[: at + 1])).is_file():
            parts[at] += "-2"
    wanted = folder / PurePosixPath(*parts)
    number, target = 2, wanted
    while target.exists():
        target = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        number += 1
    return target


def _safe_part(part: str) -> str:
    """One part of a path without control characters and lone surrogates, and not too long; its extension stays."""
    kept = "".join(letter if letter.isprintable() or letter == " " else "_" for letter in part)
    kept = kept.encode("utf-8", "replace").decode("utf-8")
    if len(os.fsencode(kept)) <= MAX_PART_BYTES:
        return kept
    stem, dot, extension = kept.rpartition(".")
    ending = f"{dot}{extension}" if dot and len(os.fsencode(extension)) < MAX_PART_BYTES // 4 else ""
    room = MAX_PART_BYTES - len(os.fsencode(ending))
    return os.fsencode(stem if ending else kept)[:room].decode("utf-8", "ignore") + ending


def _expanded(text: str) -> Path:
    """A path with `~` in words; one of an unknown user stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
