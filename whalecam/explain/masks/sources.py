"""What mask methods may draw on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from whalecam.arrays import Mask, Sample, typed_records
from whalecam.config import MaskOptions
from whalecam.data import BoxRow, BoxTable, read_boxes
from whalecam.errors import DatasetError
from whalecam.explain.masks.values import MaskRule

MaskMethod = Callable[[Sample], Mask | None]
"""None means: this method finds no subject in this image."""


@dataclass(frozen=True)
class MaskSources:
    """What may show where the subject is; `joining.joined` joins it with a data set, before which no mask is used.

    Attributes:
        folder: has masks named like the images.
        boxes: the rows of a BoxTable.
        options: how masks and boxes are read.
        box_table: what the box files have, with what became of it.
        given: the mask file of each image that has one, by the image's name.
        rule: how those masks are read.
        corrected: the mask file of each image whose mask a person corrected, which comes before all others: white on
            the subject, upright or with the orientation of its image.
    """

    folder: Path | None = None
    boxes: pd.DataFrame | None = None
    options: MaskOptions = MaskOptions()
    box_table: BoxTable | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    rule: MaskRule = MaskRule()
    corrected: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def _by_image(self) -> dict[str, list[BoxRow]]:
        by_image: dict[str, list[BoxRow]] = {}
        for row in typed_records(self.boxes, BoxRow) if self.boxes is not None else ():
            by_image.setdefault(str(row["image"]), []).append(row)
        return by_image

    def rows_of(self, image: str) -> list[BoxRow]:
        """The boxes of one image."""
        return self._by_image.get(image, [])


def opened(options: MaskOptions) -> MaskSources:
    """The folder of masks and the box files that options name. Raises DatasetError for what cannot be read."""
    home = Path(options.masks) if options.masks else None
    if home is not None and not home.is_dir():
        raise DatasetError(f"There is no mask folder {home}. Give a folder of masks named like the images.")
    table = read_boxes([Path(path) for path in options.boxes], options) if options.boxes else None
    return MaskSources(home, None if table is None else table.rows, options, table)
