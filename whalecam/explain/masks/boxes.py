"""Boxes as masks: coarse, but there are many of them."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.data.geometry import TURNED, rotate_box
from whalecam.explain.masks.sources import MaskMethod, MaskSources

CONFIDENCE = 0.6
SLACK = 1.02
Box = tuple[float, float, float, float]
log = logging.getLogger(__name__)


def boxes_method(sources: MaskSources) -> MaskMethod:
    """The union of an image's body boxes. A box of a fin or fluke is not the animal and never serves as its mask."""

    def boxes(sample: Sample) -> Mask | None:
        region = boxes_of(sample, sources, "body")
        return None if region is None else Mask(region, CONFIDENCE, "boxes")

    return boxes


def boxes_of(sample: Sample, sources: MaskSources, kind: str) -> NDArray[np.float32] | None:
    """The union of an image's boxes of one kind, float32 (H, W); None without one that can belong to the image."""
    if sources.boxes is None:
        return None
    rows = sources.rows_of(sample.image)
    height, width = sample.pixels.shape[:2]
    down, across = height / sample.shape[0], width / sample.shape[1]
    region = np.zeros((height, width), np.float32)
    for row in rows:
        if row["kind"] == kind and (box := _upright(row, sample, sources.box_orientation)) is not None:
            x1, y1, x2, y2 = box[0] * across, box[1] * down, box[2] * across, box[3] * down
            region[max(0, round(y1)) : round(y2), max(0, round(x1)) : round(x2)] = 1
    return region if region.any() else None


def _upright(row: dict[str, Any], sample: Sample, orientation: str | None) -> Box | None:
    """A box in upright pixels of the full size; None where it cannot belong to an image of this size.

    None too, logged, where the image is turned and nobody stated which pixels the box lies in.
    """
    height, width = sample.shape
    if sample.orientation != 1 and orientation is None:
        log.warning("box of %s is not used: state whether boxes are stored or upright", sample.image)
        return None
    turned = orientation == "stored"
    size = (height, width) if turned and sample.orientation >= TURNED else (width, height)
    box = (row["x1"], row["y1"], row["x2"], row["y2"])
    if row["relative"]:
        box = (box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1])
    if beyond(box, *size):
        return None
    return rotate_box(box, *size, sample.orientation) if turned else box


def beyond(box: Box, width: int, height: int) -> bool:
    """Whether a box in pixels reaches further out of an image of this size than rounding explains."""
    return box[2] > width * SLACK + 1 or box[3] > height * SLACK + 1 or min(box) < -0.02 * max(width, height) - 1
