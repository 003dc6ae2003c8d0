"""A folder of class folders, without any table: the name of each folder is the label of its images."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from whalecam.config import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from whalecam.data.faults import fault
from whalecam.data.matching import SPLITS
from whalecam.data.readers.tables.contents import TableContents

SUFFIXES = (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)
TABLES = (".csv", ".tsv", ".csv.gz", ".xlsx", ".parquet", ".jsonl", ".json")
LISTED = 8
DETECTIONS = "detection_categories"
"""What every file of MegaDetector states."""


def read_class_folders(path: Path) -> TableContents | None:
    """`image` (relative path), `label` (name of the class folder) and `split` (`train`, `val` …; empty without).

    Folders that are all named as splits stand above the class folders and are no labels. Raises DatasetError for a
    folder without images, and for one that has a table beside them, since that may say something else.
    """
    if not path.is_dir():
        return None
    images = _images_below(path)
    tables = sorted(entry for entry in path.iterdir() if entry.name.lower().endswith(TABLES))
    detections = [table.name for table in tables if _has_detections(table)]
    tables = [table for table in tables if table.name not in detections]
    if tables:
        raise fault(
            f"{path} is a folder that contains {tables[0].name}. Give the table itself, and the folder of its images."
        )
    if not any("/" in image for image in images):
        what = "has images but no class folders" if images else "is a folder without images"
        raise fault(f"{path} {what}. Give a CSV, or a folder of class folders: one for each label, with its images.")
    has_splits = all(image.split("/")[0].lower() in SPLITS for image in images)
    parts = [_parts(image, has_splits) for image in images]
    frame = pd.DataFrame([(image, *of_image) for image, of_image in zip(images, parts, strict=True)], dtype=str)
    frame.columns = pd.Index(["image", "split", "label"])
    return TableContents(frame=frame, notes=_notes(parts, has_splits, detections), image="image", label="label")


def _parts(image: str, has_splits: bool) -> tuple[str, str]:
    """Split and label of an image; empty where its path has none."""
    folders = image.split("/")[:-1]
    split = folders.pop(0) if has_splits and folders else ""
    return split, folders[0] if folders else ""


def _notes(parts: Sequence[tuple[str, str]], has_splits: bool, detections: Sequence[str]) -> tuple[str, ...]:
    labels = Counter(label for _, label in parts if label)
    listed = ", ".join(f"{label} ({count:,})" for label, count in sorted(labels.items())[:LISTED])
    more = ", …" if len(labels) > LISTED else ""
    notes = [f"Read {len(parts):,} images of {len(labels):,} class folders as labels: {listed}{more}."]
    if has_splits:
        splits = ", ".join(sorted({split for split, _ in parts}))
        notes.append(f"The folders {splits} are parts of the set, not labels.")
    if detections:
        notes.append(f"Detections beside the class folders are used where they are given as boxes: {detections[0]}.")
    return tuple(notes)


def _has_detections(path: Path) -> bool:
    """Whether a file is one of MegaDetector, which says nothing of labels."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and DETECTIONS in content


def _images_below(folder: Path) -> list[str]:
    """Relative paths of all image files below a folder, sorted; hidden ones apart."""
    images = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(root).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        images += [f"{start}{name}" for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(images)
