"""Images inside Parquet files, as Hugging Face stores them, become files beside a table of their names."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.arrays import Progress, Report, silent
from whalecam.config import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from whalecam.data.csv_text import safe_csv
from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import text_of
from whalecam.data.readers.tables.hugging_face import class_names, image_columns, named, names_note
from whalecam.data.readers.tables.parquet import broken

TABLE, IMAGES = "table.csv", "images"
BATCH = 64
"""Rows that are in memory at a time."""
LONGEST_NAME = 100
UNSAFE = re.compile(r"[^\w .()-]+", re.ASCII)
KINDS = (
    *((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"RIFF", ".webp")),
    *((b"II*\x00", ".tif"), (b"MM\x00*", ".tif")),
)
Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        table: the CSV, one line per row of the Parquet files, in their order.
        images: the folder of the image files.
        rows: lines of the table; `without_image` of them have no image inside the Parquet files, and keep the name that
            is stated there, if any.
        written: files that are new; `kept` lay there already, with the same content.
        notes: what became of ids of classes, and which columns were left out; a sentence each.
    """

    table: Path
    images: Path
    rows: int
    written: int
    kept: int
    without_image: int
    notes: tuple[str, ...] = ()


def unpack(files: Sequence[Path], folder: Path, report: Report = silent) -> Unpacked:
    """Write the images of Parquet files to `folder/images`, once, and last a table of all rows to `folder/table.csv`.

    A file is called as the Parquet file says, without folders and with letters that are safe everywhere; a name that
    is absent or used before begins with the number of the row. The column `source_path` has the names as stated.

    Args:
        files: the parts of one data set, in their order.
        folder: a new or empty folder, or that of an earlier call, which then goes on.

    Raises DatasetError for files that are no Parquet or contain no images, for parts with other columns than the
    first, and for a folder that contains something else.
    """
    columns, rows, notes = _columns(files), list[Row](), list[str]()
    target = _Target(_prepared(folder))
    for batch in _batches(files):
        rows += _rows(batch, columns, target)
        report(Progress("unpacking images", len(rows), len(rows)))
    if not rows:
        raise fault(f"{files[0].name} has no rows.")
    for column, names in columns.classes.items():
        notes.append(names_note(column, names, columns.nameless.get(column, 0)))
    if target.without_image:
        notes.append(
            f"{target.without_image:,} of {len(rows):,} rows have no image inside the files. Where they state a name, "
            "the table has it: their images are elsewhere."
        )
    if columns.left_out:
        notes.append(f"Columns that are not in the table: {', '.join(columns.left_out)}.")
    (folder / TABLE).write_bytes(safe_csv(pd.DataFrame(rows)))
    counts = {"written": target.written, "kept": target.kept, "without_image": target.without_image}
    return Unpacked(table=folder / TABLE, images=target.folder, rows=len(rows), notes=tuple(notes), **counts)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """What the columns of the files are: the one of images, ids of classes, plain ones, and what is left out."""

    image: str
    classes: dict[str, tuple[str, ...]]
    plain: tuple[str, ...]
    left_out: tuple[str, ...]
    nameless: Counter[str] = field(default_factory=Counter)


class _Target:
    """The folder of images: names that are used, and how many files are new."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: set[str] = set()
        self.number = self.written = self.kept = self.without_image = 0

    def save(self, stated: str, content: bytes | None) -> str:
        """Write the image of the next row. Returns the name of its file; without an image, the name as stated."""
        self.number += 1
        if content is None:
            self.without_image += 1
            return stated
        name = self._free_name(safe_name(stated, content))
        path = self.folder / name
        if path.is_file() and path.read_bytes() == content:
            self.kept += 1
            return name
        aside = path.with_name(f"{name}.writing")
        aside.write_bytes(content)
        aside.replace(path)
        self.written += 1
        return name

    def _free_name(self, name: str) -> str:
        """The name, behind the number of the row where it begins with a suffix or another row has it."""
        if name.startswith(".") or name.casefold() in self.names:
            name = f"{self.number:06d}{'' if name.startswith('.') else '-'}{name}"
        while name.casefold() in self.names:
            name = f"{self.number:06d}-{name}"
        self.names.add(name.casefold())
        return name


def safe_name(stated: str, content: bytes) -> str:
    """The last part of a path in letters that are safe in every folder, with the suffix of an image.

    Without a usable part it is the suffix alone, which the content decides; empty for what is no known image.
    """
    name = UNSAFE.sub("_", stated.replace("\\", "/").rpartition("/")[2]).strip(" .-")[-LONGEST_NAME:]
    if name.lower().endswith((*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)):
        return name
    return name + next((suffix for start, suffix in KINDS if content.startswith(start)), "" if name else ".bin")


def _prepared(folder: Path) -> Path:
    """The folder of images, made where it is absent. Raises DatasetError for a folder that contains something else."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {TABLE, IMAGES}):
        raise fault(f"{folder} contains something else. Name a new folder for the images and their table.")
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    return folder / IMAGES


def _columns(files: Sequence[Path]) -> _Columns:
    """Of all files. Raises DatasetError where they differ, or contain no images."""
    import pyarrow as pa

    if not files:
        raise fault("Name the Parquet files that contain the images.")
    schemas = [_schema(file) for file in files]
    for file, schema in zip(files, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise fault(f"{file.name} has other columns than {files[0].name}. Unpack each into a folder of its own.")
    images, first = image_columns(schemas[0]), schemas[0]
    if not images:
        raise fault(f"{files[0].name} contains no images. Open it as a table, with the folder of its images.")
    image = "image" if "image" in images else images[0]
    used = {*images, "image", "source_path"}
    plain = [part.name for part in first if part.name not in used and not pa.types.is_nested(part.type)]
    classes = {
        name: names
        for name, names in class_names(first.metadata).items()
        if name in plain and pa.types.is_integer(first.field(name).type)
    }
    left_out = tuple(name for name in first.names if name not in (image, *plain))
    return _Columns(image=image, classes=classes, plain=tuple(plain), left_out=left_out)


def _schema(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise broken(file) from error


def _batches(files: Sequence[Path]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in files:
        try:
            with pq.ParquetFile(file) as source:
                yield from source.iter_batches(BATCH)
        except pa.ArrowException as error:
            raise broken(file) from error


def _rows(batch: Any, columns: _Columns, target: _Target) -> list[Row]:
    """The rows of a batch: the name of the image file, the name that was stated, and all plain columns."""
    cells: dict[str, list[str]] = {"image": [], "source_path": []}
    for value in batch.column(columns.image).to_pylist():
        file = value if isinstance(value, dict) else {"bytes": value}
        stated = str(file.get("path") or "")
        cells["image"].append(target.save(stated, file["bytes"]))
        cells["source_path"].append(stated)
    for column in columns.plain:
        values = batch.column(column).to_pylist()
        if column in columns.classes:
            texts, nameless = named(values, columns.classes[column])
            columns.nameless[column] += nameless
        else:
            texts = [text_of(value) for value in values]
        cells[column] = texts
    # No CSV can hold a NUL.
    rows = ([cell.replace("\0", "") for cell in row] for row in zip(*cells.values(), strict=True))
    return [dict(zip(cells, row, strict=True)) for row in rows]
