"""The CSV as a table in which every row is `ok` or says why not."""

import hashlib
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, silent
from whalecam.config import Columns
from whalecam.data.csv_text import DELIMITERS, read_text, restored
from whalecam.data.files import join
from whalecam.data.images import read_sample
from whalecam.data.match_report import MatchReport
from whalecam.errors import DatasetError

OK = "ok"
DUPLICATE, NO_LABEL, NO_NAME = "duplicate row", "empty label", "empty image name"
CHUNK = 64
LONGEST = 500


@dataclass(frozen=True)
class Dataset:
    """A data set as it was found.

    Attributes:
        table: one row per row of the CSV, in its order: `image`, `species` (the label), `individual_id` ("" where
            unknown), `path` ("" where there is no file), `status` (`ok` or one reason); all text. After
            `inspect_pictures` also `width`, `height` in pixels, upright, 0 where unknown.
        fingerprint: SHA-256 of the CSV's bytes.
        files: what became of the names of all rows and of all image files; None where there is no folder.
    """

    csv: Path
    images: Path | None
    columns: Columns
    table: pd.DataFrame
    fingerprint: str
    files: MatchReport | None = None

    def good(self) -> pd.DataFrame:
        """The rows that can be used."""
        return self.table[self.table["status"] == OK]

    @property
    def problems(self) -> pd.DataFrame:
        """The rows that cannot be used: `image`, `species`, and `status`, the reason."""
        return self.table.loc[self.table["status"] != OK, ["image", "label", "status"]]

    @property
    def notes(self) -> tuple[str, ...]:
        """How the rows were joined with the files of the folder, and what has no effect; a sentence each."""
        return (self.files.sentence, *self.files.notes) if self.files else ()

    def classes(self) -> tuple[str, ...]:
        """The labels of the usable rows, sorted."""
        return tuple(sorted(self.good()["label"].unique()))


def open_dataset(csv: Path, images: Path | None, columns: Columns = Columns()) -> Dataset:
    """Read a CSV and join it with the files of a folder by name. No image is decoded.

    Raises DatasetError, in one line, for a file that is no such CSV, and for a missing folder. A bad row never raises.
    """
    csv = Path(csv)
    frame = read_frame(csv)
    table = pd.DataFrame(
        {
            "image": column_of(csv, frame, columns.image),
            "label": column_of(csv, frame, columns.label),
            "group": frame[columns.group].str.strip() if columns.group in frame else "",
        }
    ).reset_index(drop=True)
    if images is not None and not _is_folder(Path(images)):
        raise fault(f"There is no image folder {images}. Give the folder that holds the images of {csv.name}.")
    folder = Path(images) if images is not None else None
    joined = join(table["image"], folder)
    table["path"] = joined.paths
    table["status"] = _status(table, joined.reasons)
    return Dataset(csv, folder, columns, table, hashlib.sha256(csv.read_bytes()).hexdigest(), joined.report)


def inspect_pictures(data: Dataset, report: Report = silent) -> Dataset:
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
    return replace(data, table=data.table.assign(label=data.table["label"].replace(read_labels_map(mapping))))


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


def fault(text: str) -> DatasetError:
    """An error in one printable line: names of files and columns may hold line ends or fill pages."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return DatasetError(line if len(line) <= LONGEST else f"{line[: LONGEST - 200]} … {line[-190:]}")


def _is_folder(path: Path) -> bool:
    """False too for a name that no file system takes."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _text_of(csv: Path) -> str:
    if _is_folder(csv):
        raise fault(f"{csv} is a folder. Give the path of a CSV with columns such as image, species.")
    try:
        text = read_text(csv, DatasetError).text
    except DatasetError as error:
        raise fault(str(error)) from error
    except ValueError as error:
        raise fault(f"{csv} cannot be the path of a file. Give the path of a CSV.") from error
    if "\0" in text:
        raise fault(f"{csv.name} holds NUL bytes, so it is not a text file. Save it as CSV UTF-8.")
    return text


def read_frame(csv: Path) -> pd.DataFrame:
    """A CSV as texts, whatever its delimiter, without guessing types. Raises DatasetError, in one line."""
    text = _text_of(csv)
    head = text.lstrip().split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, skipinitialspace=True)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise fault(f"{csv.name} is no CSV that can be read: {reason}. Quote fields that hold commas.") from error
    frame.columns = frame.columns.astype(str).str.strip()
    if not isinstance(frame.index, pd.RangeIndex):
        raise fault(f"{csv.name} has rows with more fields than column names ({len(frame.columns)}).")
    if frame.empty:
        raise fault(f"{csv.name} has column names but no rows. It needs one line per image.")
    return frame.fillna("")


def column_of(csv: Path, frame: pd.DataFrame, name: str) -> "pd.Series[str]":
    """One column of `read_frame`. Raises DatasetError that lists the columns there are."""
    if name not in frame:
        has = ", ".join(str(column)[:40] for column in frame.columns[:12])
        raise fault(f"{csv.name} has no column '{name}'. It has: {has}. Name the column with an option.")
    return frame[name].str.strip()


def _status(table: pd.DataFrame, found: Iterable[str]) -> "pd.Series[str]":
    """The first reason that applies, else `ok`."""
    reasons = pd.Series(list(found), index=table.index, dtype=str)
    reasons = reasons.mask(table["label"] == "", NO_LABEL)
    reasons = reasons.mask(table["image"].duplicated(), DUPLICATE)
    reasons = reasons.mask(table["image"] == "", NO_NAME)
    return reasons.mask(reasons == "", OK)
