"""A split that people bring: a table with a column of parts or folds, or a text file of names for each part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.data.csv_text import restored
from whalecam.data.faults import fault
from whalecam.data.image_list import LISTS, column_among, image_names, lines
from whalecam.data.match_report import NAMED, MatchReport, short
from whalecam.data.matching import match
from whalecam.data.readers.tables import read_table
from whalecam.data.split_columns import (
    ALWAYS_TRAINED,
    FOLD_COLUMNS,
    MOST_FOLDS,
    PART_COLUMNS,
    PARTS,
    TEST,
    TRAIN,
    VALID,
    is_number,
)
from whalecam.data.table import Dataset


@dataclass(frozen=True, kw_only=True)
class Split:
    """What a split file states of the rows of a data set.

    Attributes:
        parts: of each row TRAIN, VALID or TEST; empty where the file does not name it.
        folds: of each row the number of the network that validates it, −1 for none.
        count: how many networks there are.
        notes: how names were matched, and how many rows are in each part; a sentence each.
    """

    parts: "pd.Series[str]"
    folds: NDArray[np.int64]
    count: int
    notes: tuple[str, ...] = field(default=())


Stated = tuple[str, str]
"""A part, and a fold as it is written; either may be empty."""


def read_split(path: Path, data: Dataset) -> Split:
    """Read a split and join its names with the images of a data set by `matching.match`.

    A table has a column of PART_COLUMNS, of FOLD_COLUMNS, or both; a text file called `train.txt`, `val.txt` or
    `test.txt` names one part, and the other images are in the other one; a folder contains several of these.

    Raises DatasetError, in one line, for what is no split, for words that are no part, for an image in two parts, where
    no name is an image of the data set, and where nothing is left to train on or to validate.
    """
    path = Path(path)
    names, stated, rest = _listed(path, data)
    images = [image for image in dict.fromkeys(data.table["image"]) if image]
    matches, report = match(names, images, home=data.images)
    if not report.matched:
        raise fault(f"{path.name}: none of {len(names):,} names is one of the {len(images):,} images. {report.reason}")
    of_image: dict[str, Stated] = {}
    for name, outcome, own in zip(names, matches, stated, strict=True):
        if outcome.file and of_image.setdefault(outcome.file, own) != own:
            raise fault(f"{path.name} has the image {short(name)} in two parts or folds. Leave one of them.")
    rows = [of_image.get(image, rest) for image in data.table["image"]]
    parts, folds, count = _numbered(path, rows)
    notes = (_matched(path, report), *report.spelled, *([report.reason] if report.reason else []))
    if TEST in (part for part, _ in rows) and TEST not in parts:
        notes = (*notes, "It has no part for validation, so the test part is used for validation.")
    return Split(parts=pd.Series(parts, dtype=str), folds=folds, count=count, notes=(*notes, _counted(parts, count)))


def _listed(path: Path, data: Dataset) -> tuple[list[str], list[Stated], Stated]:
    """Names, what is stated of each, and what that means for images that are not named."""
    if path.is_file() and path.suffix.lower() in LISTS:
        part = PARTS.get(path.stem.casefold())
        if part is None:
            raise fault(f"{path.name} is not named after a part. Call it train.txt, val.txt or test.txt.")
        names = lines(path)
        return names, [(part, "")] * len(names), (VALID if part == TRAIN else TRAIN, "")
    if path.is_dir() and (lists := _lists_in(path)):
        pairs = [(name, (part, "")) for part, file in lists.items() for name in lines(file)]
        return [name for name, _ in pairs], [own for _, own in pairs], ("", "")
    if not path.exists():
        raise fault(f"There is no split file {path}. Give a table with the columns image and split, or lists of names.")
    return _of_table(path, data)


def _lists_in(folder: Path) -> Mapping[str, Path]:
    lists: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        part = PARTS.get(file.stem.casefold()) if file.suffix.lower() in LISTS else None
        if part in lists:
            raise fault(f"{folder.name} has two lists of one part: {lists[part].name} and {file.name}.")
        if part is not None:
            lists[part] = file
    return lists


def _of_table(path: Path, data: Dataset) -> tuple[list[str], list[Stated], Stated]:
    contents = read_table(path)
    frame, usual = contents.frame, image_names(contents, data)
    image, part, fold = (column_among(contents, names) for names in (usual, PART_COLUMNS, FOLD_COLUMNS))
    if image is None or (part is None and fold is None):
        has = ", ".join(str(column)[:40] for column in frame.columns[:12])
        raise fault(f"{path.name} needs the columns image and split, or image and fold. It has: {has}.")
    names = [restored(cell) for cell in frame[image].str.strip()]
    empty = pd.Series("", frame.index)
    parts, folds = (frame[name].str.strip() if name is not None else empty for name in (part, fold))
    rows = [(name, _stated(path, *cells)) for name, *cells in zip(names, parts, folds, strict=True) if name]
    return [name for name, _ in rows], [own for _, own in rows], ("", "")


def _stated(path: Path, part: str, fold: str) -> Stated:
    """What the cells of a row mean: a fold is validated by its number, but for a test image and `-1`."""
    if part and part.casefold() not in PARTS:
        raise fault(f"{path.name} has '{short(part)}' as a part. The parts are train, valid and test.")
    if fold and not is_number(fold):
        raise fault(f"{path.name} has '{short(fold)}' as a fold. Folds are whole numbers.")
    if fold == ALWAYS_TRAINED:
        return PARTS.get(part.casefold(), TRAIN), ""
    known = PARTS.get(part.casefold(), VALID if fold else "")
    return (TEST, "") if known == TEST else (VALID if fold else known, fold)


def _numbered(path: Path, rows: list[Stated]) -> tuple[list[str], NDArray[np.int64], int]:
    """Parts, folds from 0 on, and how many networks there are."""
    numbers = sorted({int(fold) for _, fold in rows if fold})
    if len(numbers) > MOST_FOLDS:
        raise fault(f"{path.name} has {len(numbers):,} folds; at most {MOST_FOLDS} are possible.")
    parts = [part for part, _ in rows]
    if numbers and any(part == VALID and not fold for part, fold in rows):
        raise fault(f"{path.name} has images for validation without a fold beside others with one. Give all a fold.")
    if VALID not in parts:  # the test part is what is left to validate on
        parts = [VALID if part == TEST else part for part in parts]
    places = {number: at for at, number in enumerate(numbers)}
    folds = [places.get(int(fold), 0) if fold else 0 for _, fold in rows]
    own = np.array([fold if part == VALID else -1 for part, fold in zip(parts, folds, strict=True)], np.int64)
    count = max(1, len(numbers))
    if VALID not in parts or (count == 1 and TRAIN not in parts):
        raise fault(f"{path.name} leaves no image {'to validate on' if VALID not in parts else 'to train on'}.")
    return parts, own, count


def _matched(path: Path, report: MatchReport) -> str:
    text = f"{path.name}: matched {report.matched:,} of {report.total:,} rows with {report.files - report.unused:,} of "
    text += f"{report.files:,} images"
    if not report.unused:
        return f"{text}."
    more = ", …" if report.unused > NAMED else ""
    return f"{text}; {report.unused:,} images are not in it: {', '.join(report.first_unused)}{more}."


def _counted(parts: list[str], count: int) -> str:
    counts = {part: sum(own == part for own in parts) for part in (TRAIN, VALID, TEST, "")}
    left = f", {counts['']:,} are left out" if counts[""] else ""
    held_out = f", {counts[TEST]:,} for the test" if counts[TEST] else ""
    if count > 1:
        return f"{counts[VALID]:,} rows in {count} folds, {counts[TRAIN]:,} always for training{held_out}{left}."
    return f"{counts[TRAIN]:,} rows for training, {counts[VALID]:,} for validation{held_out}{left}."
