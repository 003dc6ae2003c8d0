"""Boxes as masks: coarse, but there are many of them; outlines inside boxes are as good as masks."""

import logging

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.data import BoxRow, Shape
from whalecam.explain.masks.place import Place, place
from whalecam.explain.masks.sources import MaskMethod, MaskSources

CONFIDENCE, OUTLINE_CONFIDENCE = 0.6, 1.0
log = logging.getLogger(__name__)


def boxes_method(sources: MaskSources) -> MaskMethod:
    """The union of an image's body boxes. A box of a fin or fluke is not the subject and never serves as its mask.

    Where every box has an outline, the union of the outlines is a mask as good as a given one.
    """

    def boxes(sample: Sample) -> Mask | None:
        places = _places(sample, sources, "body")
        region = _drawn(sample, places)
        if region is None:
            return None
        is_drawn = all(place.outline is not None for place in places)
        return Mask(region, *((OUTLINE_CONFIDENCE, "given") if is_drawn else (CONFIDENCE, "boxes")))

    return boxes


def boxes_of(sample: Sample, sources: MaskSources, kind: str) -> NDArray[np.float32] | None:
    """The union of an image's boxes of one kind, float32 (H, W); None without one that can belong to the image."""
    return _drawn(sample, _places(sample, sources, kind))


def _places(sample: Sample, sources: MaskSources, kind: str) -> list[Place]:
    height, width = sample.shape
    shape = Shape(width, height, sample.orientation)
    places = [_place(row, shape, sources) for row in sources.rows_of(sample.image) if row["kind"] == kind]
    bad = [place.reason for place in places if place.reason]
    if bad:
        log.warning("%d boxes of %s are not used: %s", len(bad), sample.image, bad[0])
    return [place for place in places if not place.reason]


def _place(row: BoxRow, shape: Shape, sources: MaskSources) -> Place:
    """What the join found out; rows of images whose file it did not know are placed now."""
    known = row.get("place")
    return known if isinstance(known, Place) else place(row, shape, sources.options)


def _drawn(sample: Sample, places: list[Place]) -> NDArray[np.float32] | None:
    height, width = sample.pixels.shape[:2]
    down, across = height / sample.shape[0], width / sample.shape[1]
    region = np.zeros((height, width), np.float32)
    for box in places:
        if box.outline is not None:
            region[box.outline.drawn(height, width)] = 1
            continue
        x1, y1, x2, y2 = box.corners
        region[max(0, round(y1 * down)) : round(y2 * down), max(0, round(x1 * across)) : round(x2 * across)] = 1
    return region if region.any() else None
