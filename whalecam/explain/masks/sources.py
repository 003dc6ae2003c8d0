"""What mask methods may draw on."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.arrays import Mask, Sample, records
from whalecam.data import read_boxes
from whalecam.errors import DatasetError

MaskMethod = Callable[[Sample], Mask | None]
"""None means: this method finds no animal in this image."""


@dataclass(frozen=True)
class MaskSources:
    """What may tell where the animal is; `joining.joined` joins it with a data set.

    Attributes:
        folder: has PNG masks named like the images.
        boxes: what `dataset.read_boxes` gives.
        box_orientation: out of BOX_ORIENTATIONS, the pixels that boxes lie in; None: unstated, so boxes of images that
            are turned by EXIF are not used.
        withheld: images whose mask is not used, because other images claim the same file.
    """

    folder: Path | None = None
    boxes: pd.DataFrame | None = None
    box_orientation: str | None = None
    withheld: frozenset[str] = frozenset()

    @cached_property
    def home(self) -> Path | None:
        """The folder itself, links followed."""
        return self.folder.resolve() if self.folder else None

    @cached_property
    def at_home(self) -> frozenset[str]:
        """Names of the files in the folder itself; what is linked there is not counted."""
        if self.home is None:
            return frozenset()
        with os.scandir(self.home) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    @cached_property
    def _by_image(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in records(self.boxes) if self.boxes is not None else ():
            found.setdefault(str(row["image"]), []).append(row)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")) if self.folder else ():
            if path.suffix.lower() == ".png":
                found.setdefault(path.stem, []).append(path)
        return found

    def pngs_of(self, stem: str) -> list[Path]:
        """The PNG files of this stem in the folder and below it."""
        return self._by_stem.get(stem, [])

    def rows_of(self, image: str) -> list[dict[str, Any]]:
        """The boxes of one image."""
        return self._by_image.get(image, [])


def opened(folder: str | None, boxes: Sequence[str]) -> MaskSources:
    """A folder of masks and files of boxes, as options name them. Raises DatasetError for what cannot be read."""
    home = Path(folder) if folder else None
    if home is not None and not home.is_dir():
        raise DatasetError(f"There is no mask folder {home}. Give a folder of PNG masks named like the images.")
    return MaskSources(home, read_boxes([Path(path) for path in boxes]) if boxes else None)
