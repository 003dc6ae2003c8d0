"""Boxes as masks: coarse, but there are many of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.geometry import TURNED, rotate_box
from whalecam.masks.sources import MaskMethod, MaskSources

CONFIDENCE = 0.6
SLACK = 1.02


def boxes_method(sources: MaskSources) -> MaskMethod:
    """The union of a picture's body boxes. A box of a fin or fluke is not the animal and never serves as its mask."""

    def boxes(sample: Sample) -> Mask | None:
        region = boxes_of(sample, sources, "body")
        return None if region is None else Mask(region, CONFIDENCE, "boxes")

    return boxes


def boxes_of(sample: Sample, sources: MaskSources, kind: str) -> NDArray[np.float32] | None:
    """The union of a picture's boxes of one kind, float32 (H, W); None without one that can belong to the picture."""
    if sources.boxes is None:
        return None
    rows = sources.rows_of(sample.image)
    height, width = sample.pixels.shape[:2]
    down, across = height / sample.shape[0], width / sample.shape[1]
    region = np.zeros((height, width), np.float32)
    for row in rows:
        if row["kind"] == kind and (box := _upright(row, sample)) is not None:
            x1, y1, x2, y2 = box[0] * across, box[1] * down, box[2] * across, box[3] * down
            region[max(0, round(y1)) : round(y2), max(0, round(x1)) : round(x2)] = 1
    return region if region.any() else None


def _upright(row: dict[str, Any], sample: Sample) -> tuple[float, float, float, float] | None:
    """A box in upright pixels of the full size; None where it cannot belong to a picture of this size."""
    height, width = sample.shape
    stored = (height, width) if sample.orientation >= TURNED else (width, height)
    box = (row["x1"], row["y1"], row["x2"], row["y2"])
    if row["relative"]:
        box = (box[0] * stored[0], box[1] * stored[1], box[2] * stored[0], box[3] * stored[1])
    if box[2] > stored[0] * SLACK + 1 or box[3] > stored[1] * SLACK + 1 or min(box) < -0.02 * max(stored) - 1:
        return None
    return rotate_box(box, *stored, sample.orientation)
