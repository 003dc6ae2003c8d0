"""Which images may lend their background."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from whalecam.arrays import Mask, Progress, Report, Sample, silent, typed_records
from whalecam.data import Dataset, ImageRow, geometry, read_sample
from whalecam.errors import DatasetError
from whalecam.explain.background_test.backgrounds import Scene
from whalecam.explain.background_test.exchange import Donor
from whalecam.explain.masks import MaskMethod
from whalecam.network.beside import side_by_side

PER_LABEL, IN_ALL = 24, 480
MOST_AREA = 0.7


def scene_of(sample: Sample, mask: Mask, size: int, resize: str) -> Scene:
    """An image and its mask as a network input; padding counts as subject, so that no edit touches it."""
    values, seen = geometry.mask_to_input(np.asarray(mask, np.float32), size, resize)
    animal = values if seen is None else np.asarray(1 - (1 - values) * seen, np.float32)
    return Scene(geometry.to_input(sample.pixels, size, resize), animal)


def gather(
    data: Dataset, classes: Sequence[str], find: MaskMethod, size: int, *, resize: str, report: Report = silent
) -> list[Donor]:
    """Up to 24 images of each class, the same in every run, whose mask leaves background to lend.

    Args:
        find: the best mask of an image, or None; it may be asked by several threads at once.
        size, resize: of the network's input.
    """
    good = data.good().drop_duplicates("image")
    good = good[good["label"].isin(classes) & (good["path"] != "")]
    each = max(2, min(PER_LABEL, IN_ALL // max(1, good["label"].nunique())))
    rows = pd.concat([part.sample(min(each, len(part)), random_state=0) for _, part in good.groupby("label")] or [good])

    def donor_of(row: ImageRow) -> Donor | None:
        try:
            sample = read_sample(Path(row["path"]), row["image"], geometry.needed(size))
        except DatasetError:
            return None
        mask = find(sample)
        if mask is None or (scene := scene_of(sample, mask, size, resize)).mask.mean() > MOST_AREA:
            return None
        return Donor(row["image"], row["label"], scene.lend(), row["group"])

    donors = list[Donor]()
    for done, donor in enumerate(side_by_side(donor_of, typed_records(rows, ImageRow))):
        report(Progress("looking for backgrounds", done, len(rows)))
        donors += [] if donor is None else [donor]
    return donors
