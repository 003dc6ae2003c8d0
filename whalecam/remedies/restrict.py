"""Restrict where a network looks while it trains: to the subject, or to a part of it that has a box."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import ByteArray, Mask, Progress, Report, Sample, records, silent
from whalecam.config import REGIONS, RESTRICT, TrainOptions
from whalecam.data import geometry, read_sample
from whalecam.errors import DatasetError
from whalecam.explain import background_test, masks
from whalecam.explain.masks import MaskSources
from whalecam.explain.masks.boxes import boxes_of
from whalecam.network.training import Backgrounds

BODY, BOX = "body", "box"


class Restrict:
    """What `training.train` asks where evidence may lie; see `Restriction`.

    Args:
        sources: masks and boxes joined with the data set.
        backgrounds: by which a weight is chosen.
    """

    def __init__(
        self, sources: MaskSources, backgrounds: Backgrounds, options: TrainOptions, report: Report = silent
    ) -> None:
        self.sources, self.backgrounds, self.options, self.report = sources, backgrounds, options, report
        self.weight = options.weight
        self._regions: dict[str, ByteArray | None] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """How many of the images met so far have a region; without one an image may be looked at anywhere."""
        with_region = sum(region is not None for region in self._regions.values())
        return {"region": self.options.region, "pictures": len(self._regions), "with_region": with_region}

    def regions(self, rows: pd.DataFrame) -> Mapping[str, ByteArray]:
        """By image where evidence may lie, uint8 (S, S), 255 inside; padding counts as inside, as in the audit.

        Raises DatasetError where no image has a region.
        """
        for done, row in enumerate(records(rows)):
            self.report(Progress("looking for regions", done, len(rows)))
            if row["image"] not in self._regions:
                self._regions[row["image"]] = self._region(row)
        known = {image: self._regions[image] for image in rows["image"]}
        present = {image: region for image, region in known.items() if region is not None}
        if not present:
            what = "box" if self.options.region == BOX else "mask"
            raise DatasetError(
                f"None of {len(rows):,} training images has a {what}, so there is nothing to restrict the attention "
                f"to. Give --{'boxes' if what == BOX else 'masks or --boxes'}, or train with another remedy."
            )
        return present

    def _region(self, row: Mapping[str, Any]) -> ByteArray | None:
        size, resize = self.options.size, self.options.resize
        try:
            sample = read_sample(Path(row["path"]), row["image"], geometry.needed(size))
        except DatasetError:
            return None
        mask = self._mask(sample)
        if mask is None or not (np.asarray(mask.values) > 0.5).any():
            return None
        return np.asarray(np.rint(255 * background_test.scene_of(sample, mask, size, resize).mask), np.uint8)

    def _mask(self, sample: Sample) -> Mask | None:
        if self.options.region != BOX:
            return masks.find_mask(sample, self.sources)
        region: NDArray[Any] | None = masks.fin_region(sample, self.sources)
        region = boxes_of(sample, self.sources, BODY) if region is None else region
        return None if region is None else Mask(np.asarray(region, np.float32), 1.0, "boxes")


def check_restriction(options: TrainOptions) -> None:
    """Raises DatasetError for a region that there is not, for a weight that is no positive number, and for either where
    the remedy is another."""
    if options.remedy != RESTRICT and (options.region, options.weight) != (TrainOptions.region, TrainOptions.weight):
        raise DatasetError(f"A region and a weight are of the remedy {RESTRICT}. Leave them out, or train with it.")
    if options.region not in REGIONS:
        raise DatasetError(f"No region '{options.region}'. There are: {', '.join(REGIONS)}.")
    if options.weight is not None and not 0 < options.weight < float("inf"):
        raise DatasetError(f"A weight of {options.weight:g} restricts nothing. Give a number above 0, or none.")
