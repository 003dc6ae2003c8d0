"""The CSV as a table in which every row is `ok` or says why not."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, silent
from whalecam.config import Columns
from whalecam.data.columns import resolved, with_one_hot
from whalecam.data.csv_text import restored
from whalecam.data.faults import fault
from whalecam.data.files import join
from whalecam.data.images import read_sample
from whalecam.data.match_report import MatchReport
from whalecam.data.placeholders import without_placeholders
from whalecam.data.readers.tables import TableContents, as_texts, read_table
from whalecam.data.readers.tables.delimited import read_delimited
from whalecam.data.split_columns import proposed_split
from whalecam.errors import DatasetError
from whalecam.text import listed
from whalecam.words import Words

__all__ = [
    "DUPLICATE",
    "IN_MEMORY",
    "NO_LABEL",
    "NO_NAME",
    "OK",
    "SEVERAL_LABELS",
    "Dataset",
    "ImageRow",
    "column_of",
    "fault",
    "inspect_images",
    "merge_labels",
    "of_frame",
    "open_dataset",
    "read_frame",
    "read_labels_map",
    "with_merges",
    "write_table",
]

OK = "ok"
DUPLICATE, NO_LABEL, NO_NAME = "duplicate row", "empty label", "empty image name"
SEVERAL_LABELS = "several labels"
CHUNK = 64
NAMED = 6
"""Labels that a note lists."""
IN_MEMORY = Path("table in memory")
"""Stands for the file of a data set that was given as a table."""


class ImageRow(TypedDict):
    """A row of `Dataset.table`."""

    image: str
    label: str
    group: str
    path: str
    status: str


@dataclass(frozen=True)
class Dataset:
    """A data set as it was found.

    Attributes:
        table: one row per row of the CSV, in its order: `image`, `label`, `group` ("" where
            unknown), `path` ("" where there is no file), `status` (`ok` or one reason); all text. After
            `inspect_images` also `width`, `height` in pixels, upright, 0 where unknown.
        columns: as the table has them, in its own spelling.
        fingerprint: SHA-256 of the CSV's bytes; of a folder or a table in memory, of its rows.
        files: what became of the names of all rows and of all image files; None where there is no folder.
        reading: what was recognized in the table and guessed about it; a sentence each.
        others: the other columns of the table, as texts, row by row; candidates for groups.
        group: what a split keeps together (`groups.KINDS`, or a column); empty: the individual.
        merges: the labels that were renamed, old → new.
    """

    csv: Path
    images: Path | None
    columns: Columns
    table: pd.DataFrame
    fingerprint: str
    files: MatchReport | None = None
    reading: tuple[str, ...] = ()
    others: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False, repr=False)
    group: str = ""
    merges: Mapping[str, str] = field(default_factory=dict)

    def good(self) -> pd.DataFrame:
        """The rows that can be used."""
        return self.table[self.table["status"] == OK]

    @property
    def problems(self) -> pd.DataFrame:
        """The rows that cannot be used: `image`, `label`, and `status`, the reason."""
        return self.table.loc[self.table["status"] != OK, ["image", "label", "status"]]

    @property
    def notes(self) -> tuple[str, ...]:
        """How the table was read and its rows joined with files, and what has no effect; a sentence each."""
        return (*self.reading, *((self.files.sentence, *self.files.notes) if self.files else ()))

    def words(self, subject: str = "", background: str = "") -> Words:
        """What labels and groups are called, by their columns; an empty `subject` or `background` is the default.

        Raises DatasetError for what is no word.
        """
        has_groups = bool((self.table["group"] != "").any())
        return Words.of_columns(self.columns, subject, background, has_groups=has_groups)

    def classes(self) -> tuple[str, ...]:
        """The labels of the usable rows, sorted."""
        return tuple(sorted(self.good()["label"].unique()))


def open_dataset(csv: Path, images: Path | None, columns: Columns = Columns(), *, needs_group: bool = True) -> Dataset:
    """Read a table in any format of `readers.tables` and join it with the files of a folder. No image is decoded.

    Args:
        images: the folder of the images; a folder of class folders contains its own.
        needs_group: whether a named group column that is absent is an error; else no groups are used, and the notes
            say so.

    Raises DatasetError, in one line, for a file that is no such table, and for a missing folder. A bad row never
    raises.
    """
    csv = Path(csv)
    contents = read_table(csv)
    is_own = images is None and _is_folder(csv)
    data = of_contents(contents, csv, csv if is_own else images, columns, needs_group=needs_group)
    content = _csv_of(data) if _is_folder(csv) else csv.read_bytes()
    return replace(data, fingerprint=hashlib.sha256(content).hexdigest())


def of_frame(frame: pd.DataFrame, images: Path | None, columns: Columns = Columns()) -> Dataset:
    """A table in memory, joined as by `open_dataset`. Its `csv` is IN_MEMORY, since there is no file."""
    texts = as_texts(frame)
    if texts.empty:
        raise fault("The table has no rows. It needs one row per image.")
    data = of_contents(TableContents(frame=texts), IN_MEMORY, images, columns)
    return replace(data, fingerprint=hashlib.sha256(_csv_of(data)).hexdigest())


def _csv_of(data: Dataset) -> bytes:
    # Cells stay as they are: WhaleCAM alone reads it, and a `'` in front of a name would find no file.
    return data.table[["image", "label", "group"]].to_csv(index=False).encode("utf-8", "replace")


def write_table(data: Dataset, csv: Path) -> Dataset:
    """The rows of a data set as a CSV of `image`, `label`, `group` and its other columns, and the data set with that as
    its source. Another column of one of these three names is left out; labels that were renamed stand there as such."""
    own = data.table[["image", "label", "group"]]
    others = data.others.drop(columns=list(own.columns), errors="ignore").set_index(own.index)
    content = pd.concat([own, others], axis=1).to_csv(index=False).encode("utf-8", "replace")
    csv.parent.mkdir(parents=True, exist_ok=True)
    csv.write_bytes(content)
    columns = Columns("image", "label", "group")
    return replace(data, csv=csv, columns=columns, fingerprint=hashlib.sha256(content).hexdigest(), merges={})


def of_contents(
    contents: TableContents, csv: Path, images: Path | None, columns: Columns, *, needs_group: bool = True
) -> Dataset:
    """The rows of a table, joined with the files of a folder; without a fingerprint."""
    contents, one_hot = with_one_hot(contents, columns, csv.name)
    present, notes = resolved(contents, columns, csv.name, needs_group=needs_group)
    frame = contents.frame
    groups = frame[present.group].str.strip() if present.group in frame else pd.Series("", frame.index, dtype=str)
    groups, unknown = without_placeholders(groups)
    cells = {"image": frame[present.image].str.strip(), "label": frame[present.label].str.strip(), "group": groups}
    table = pd.DataFrame(cells).reset_index(drop=True)
    if images is not None and not _is_folder(Path(images)):
        raise fault(f"There is no image folder {images}. Give the folder that contains the images of {csv.name}.")
    folder = Path(images) if images is not None else None
    joined = join(table["image"], folder)
    table["path"] = joined.paths
    table["status"] = _status(table, joined.reasons)
    others = frame.drop(columns=list({present.image, present.label, present.group}), errors="ignore")
    reading = (*contents.notes, *one_hot, *notes, *unknown, *proposed_split(others, csv.name))
    return Dataset(csv, folder, present, table, "", joined.report, reading, others.reset_index(drop=True))


def inspect_images(data: Dataset, report: Report = silent) -> Dataset:
    """Decode every file to its end; an image that cannot be read gets its reason instead of `ok`."""
    table = data.table.copy()
    todo = table.index[(table["status"] == OK) & (table["path"] != "")].to_numpy()
    status, size = table["status"].to_numpy(object), np.zeros((len(table), 2), int)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(todo), CHUNK):
            report(Progress("reading images", start, len(todo)))
            part = todo[start : start + CHUNK]
            for at, (reason, width, height) in zip(part, pool.map(_inspect, table["path"][part]), strict=True):
                status[at], size[at] = reason, (width, height)
    report(Progress("reading images", len(todo), len(todo)))
    table["status"], table["width"], table["height"] = status.astype(str), size[:, 0], size[:, 1]
    return replace(data, table=table)


def merge_labels(data: Dataset, mapping: Path) -> Dataset:
    """Labels renamed by a CSV of `old,new`; the source file stays as it is. Raises DatasetError for another layout."""
    return with_merges(data, read_labels_map(mapping))


def with_merges(data: Dataset, merges: Mapping[str, str]) -> Dataset:
    """Labels renamed, old → new, which the notes say."""
    own = {old: new for old, new in merges.items() if old != new}
    if not own:
        return data
    known = {old: own.get(new, new) for old, new in data.merges.items()} | own
    renamed = listed([f"{old} → {new}" for old, new in own.items()], NAMED)
    table = data.table.assign(label=data.table["label"].replace(own))
    return replace(data, table=table, merges=known, reading=(*data.reading, f"Labels are merged: {renamed}."))


def read_labels_map(mapping: Path) -> dict[str, str]:
    """Old name → new name, from a CSV of `old,new`. Raises DatasetError for another layout."""
    frame = read_frame(mapping)
    old, new = ([restored(cell) for cell in column_of(mapping, frame, name)] for name in ("old", "new"))
    return dict(zip(old, new, strict=True))


def _inspect(path: str) -> tuple[str, int, int]:
    try:
        height, width = read_sample(Path(path), path, need=1).shape  # a file is faulty at any size
    except DatasetError as error:
        return str(error), 0, 0
    return OK, width, height


def _is_folder(path: Path) -> bool:
    """False too for a name that no file system takes."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_frame(csv: Path) -> pd.DataFrame:
    """A CSV as texts, whatever its delimiter, without guessing types. Raises DatasetError, in one line."""
    if _is_folder(csv):
        raise fault(f"{csv} is a folder. Give the path of a CSV with columns such as image, label.")
    return read_delimited(csv).frame


def column_of(csv: Path, frame: pd.DataFrame, name: str) -> "pd.Series[str]":
    """One column of `read_frame`. Raises DatasetError that lists the columns there are."""
    if name not in frame:
        has = ", ".join(str(column)[:40] for column in frame.columns[:12])
        raise fault(f"{csv.name} has no column '{name}'. It has: {has}. Name the column with an option.")
    return frame[name].str.strip()


def _status(table: pd.DataFrame, reasons: Iterable[str]) -> "pd.Series[str]":
    """The first reason that applies, else `ok`.

    Rows of one image with one label are duplicates of the first; where its labels contradict, none of them counts.
    """
    status = pd.Series(list(reasons), index=table.index, dtype=str)
    status = status.mask(table["label"] == "", NO_LABEL).mask(table["image"] == "", NO_NAME)
    usable = table[status == ""]
    image = usable["path"].where(usable["path"] != "", usable["image"])
    usable, image = usable[image.duplicated(keep=False)], image[image.duplicated(keep=False)]
    labels = usable["label"].groupby(image).transform("nunique")
    status[usable.index[image.duplicated()]] = DUPLICATE
    status[usable.index[labels > 1]] = SEVERAL_LABELS
    return status.mask(status == "", OK)
