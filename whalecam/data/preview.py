"""What a table, or a folder of class folders, is recognized as before it is used."""

from dataclasses import dataclass
from pathlib import Path

from whalecam.config import Columns
from whalecam.data.readers.boxes import Source, read_source
from whalecam.data.readers.boxes.camtrap_dp import MEDIA, OBSERVATIONS, PACKAGE
from whalecam.data.readers.tables import recognized
from whalecam.data.readers.tables.class_folders import TABLES
from whalecam.data.table import Dataset, of_contents
from whalecam.errors import DatasetError

MASK_FOLDERS = ("mask", "masks", "segmentation", "segmentations", "labels")
"""Names of folders that contain masks."""
PARTS = (".txt", ".xml", ".names")
"""Endings of files that are boxes of one image each, or name the classes of such."""
CAMTRAP_DP = (OBSERVATIONS, MEDIA, PACKAGE)


@dataclass(frozen=True, kw_only=True)
class TablePreview:
    """A table before it is used.

    Attributes:
        format: as in `class folders`, `COCO` or `CSV`.
        header: its column names.
        data: its rows, joined with their files; without a fingerprint. None where its columns are not known.
        problem: why there is no `data`; else empty.
    """

    format: str
    header: tuple[str, ...]
    data: Dataset | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a data set that lie in one folder; None or empty where it has none of the kind."""

    table: Path
    images: Path | None = None
    masks: Path | None = None
    boxes: tuple[Path, ...] = ()


def preview_table(csv: Path, images: Path | None, columns: Columns = Columns()) -> TablePreview:
    """Read a table as `open_dataset` does, but keep its column names where they do not say what is what.

    Raises DatasetError where no table can be read.
    """
    name, contents = recognized(csv)
    header = tuple(str(column) for column in contents.frame.columns)
    try:
        data = of_contents(contents, csv, csv if images is None and csv.is_dir() else images, columns)
    except DatasetError as error:
        return TablePreview(format=name, header=header, problem=str(error))
    return TablePreview(format=name, header=header, data=data)


def layout_of(folder: Path) -> Layout:
    """Where table, images, masks and boxes lie in a folder; the folder itself is the table where it has no single one.

    The images are in the only folder beside the table that is none of masks, else anywhere in the folder.
    """
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and entry.name.lower().endswith(TABLES)]
    boxes = tuple(entry for entry in files if _has_boxes(entry))
    tables = [entry for entry in files if entry not in boxes] or [entry for entry in boxes if _has_labels(entry)]
    if len(tables) != 1:
        return Layout(table=folder, boxes=boxes)
    folders = [entry for entry in entries if entry.is_dir()]
    masks = [entry for entry in folders if entry.name.lower() in MASK_FOLDERS]
    others = [entry for entry in folders if entry not in masks]
    images = others[0] if len(others) == 1 else folder
    return Layout(table=tables[0], images=images, masks=masks[0] if len(masks) == 1 else None, boxes=boxes)


@dataclass(frozen=True, kw_only=True)
class SortedFiles:
    """What each of several files is; one that has both labels and boxes, as COCO has, is in both."""

    tables: tuple[Path, ...] = ()
    boxes: tuple[Path, ...] = ()


def sorted_files(folder: Path) -> SortedFiles:
    """Which files at the top of a folder are tables of labels and which are boxes; the folder itself where its files
    are boxes together, as those of YOLO are."""
    files = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    are_parts = len(files) > 1 and all(file.suffix.lower() in PARTS for file in files)
    if (are_parts or any(file.name in CAMTRAP_DP for file in files)) and _has_boxes(folder):
        return SortedFiles(boxes=(folder,))
    boxes = tuple(file for file in files if _has_boxes(file))
    tables = tuple(file for file in files if file not in boxes or _has_labels(file))
    return SortedFiles(tables=tables, boxes=boxes)


def _has_boxes(path: Path) -> bool:
    try:
        return bool(read_source(Source(path)).boxes)
    except DatasetError:
        return False


def _has_labels(path: Path) -> bool:
    try:
        return preview_table(path, None).data is not None
    except DatasetError:
        return False
