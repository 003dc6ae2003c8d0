"""A data set in groups of label and place, as Waterbirds has them: its parts, and a reader of the public release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from whalecam.errors import DatasetError

Codes = NDArray[np.int64]
Pixels = NDArray[np.uint8]
COLUMNS = ("img_filename", "y", "place", "split")
SPLITS = ("training", "validation", "test")
"""By their number in the column `split`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Images of one part.

    Attributes:
        images: uint8 RGB (N, S, S, 3).
        labels, places: (N,), 0 or 1.
        animals: (N,), a code for each animal; images of one animal are drawn together in the intervals.
        masks: float32 (N, S, S) in [0, 1], 1 on the animal; None where nobody knows.
    """

    images: Pixels
    labels: Codes
    places: Codes
    animals: Codes
    masks: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def groups(self) -> Codes:
        """(N,), 2 · label + place."""
        return 2 * self.labels + self.places

    def only(self, rows: NDArray[np.integer]) -> "Part":
        """Some of the rows, in their order."""
        masks = None if self.masks is None else self.masks[rows]
        columns = (self.images, self.labels, self.places, self.animals)
        images, labels, places, animals = (column[rows] for column in columns)
        return Part(images=images, labels=labels, places=places, animals=animals, masks=masks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """A data set; label and place agree in most of the training images, and in half of the others."""

    training: Part
    validation: Part
    test: Part

    def shares(self) -> NDArray[np.float64]:
        """(4,) of each group among the training images; they sum to 1."""
        return np.bincount(self.training.groups, minlength=4) / len(self.training)


def read_release(folder: Path, size: int) -> Parts:
    """The public release of Waterbirds, its images scaled to `size` px a side.

    `metadata.csv` has a row for each image: img_filename, y, place (0 or 1), split (0 training, 1 validation, 2 test).
    Every image shows another bird, so each is an animal of its own.

    Raises DatasetError where the file, a column or an image is missing, and for other values than these.
    """
    file = folder / "metadata.csv"
    if not file.is_file():
        raise DatasetError(f"There is no {file}. Name the folder of the public release, which has metadata.csv.")
    rows = pd.read_csv(file)
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise DatasetError(f"{file} has no column {missing[0]}. The public release has {', '.join(COLUMNS)}.")
    for name, allowed in {"y": (0, 1), "place": (0, 1), "split": (0, 1, 2)}.items():
        if not rows[name].isin(allowed).all():
            raise DatasetError(f"{file}: the column {name} has other values than {', '.join(map(str, allowed))}.")
    parts = [_part(folder, rows[rows["split"] == number], size) for number in range(len(SPLITS))]
    for name, part in zip(SPLITS, parts, strict=True):
        if len(np.unique(part.groups)) < 4:
            raise DatasetError(f"{file}: the {name} images lack a pair of y and place. All four are needed.")
    return Parts(training=parts[0], validation=parts[1], test=parts[2])


def _part(folder: Path, rows: pd.DataFrame, size: int) -> Part:
    labels, places = (rows[name].to_numpy(np.int64) for name in ("y", "place"))
    images = _images(folder, rows["img_filename"].astype(str).tolist(), size)
    return Part(images=images, labels=labels, places=places, animals=rows.index.to_numpy(np.int64))


def _images(folder: Path, names: Sequence[str], size: int) -> Pixels:
    images = np.empty((len(names), size, size, 3), np.uint8)
    for at, name in enumerate(names):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise DatasetError(f"{folder / 'metadata.csv'} names {name}, which is no file in {folder}.")
        with Image.open(path) as image:
            images[at] = np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
    return images
