"""Crop to the subject, so that little background is left to learn from."""

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.remedies.kinds import Case, Mended, Rgb

MARGIN = 0.02
"""What is kept around the mask or box, as a share of its longer side."""
EDGE = 0.01
"""How softly the kept part ends, likewise."""
MOST_ASPECT = 2.0
"""The longer side over the shorter, at most: a network's input squeezes a longer image out of shape."""
LEAST_SIDE = 32
"""Pixels; below it there is nothing to crop to, and the image stays as it is."""


def crop(case: Case) -> Mended:
    """The mask, grown by a margin, cut out with its bounding box, in which the rest is the set's mean background.

    Of a box, which is its own bounding box, that is the plain cut with a margin. A cut longer than 2 : 1 is widened by
    mean background, never squeezed. Untouched without a mask, and where the subject is smaller than LEAST_SIDE.
    """
    if case.mask is None or not (case.mask.values > 0.5).any():
        return Mended(None, case.label)
    animal = case.mask.values > 0.5
    rows, columns = np.flatnonzero(animal.any(1)), np.flatnonzero(animal.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    if extent < LEAST_SIDE:
        return Mended(None, case.label)
    pad = max(1, round(MARGIN * extent))
    keep = _grown(animal, pad, EDGE * extent)[..., None]
    pixels = keep * case.sample.pixels + (1 - keep) * np.array(case.water, np.float32)
    top, bottom = _reach(rows[0] - pad, rows[-1] + pad + 1, columns[-1] - columns[0] + 1 + 2 * pad)
    left, right = _reach(columns[0] - pad, columns[-1] + pad + 1, bottom - top)
    box = (top, bottom, left, right)
    return Mended(
        np.asarray(_cut(pixels, box, case.water).round(), np.uint8), case.label, _cut(case.mask.values, box, (0.0,))
    )


def _grown(animal: NDArray[np.bool_], pad: int, softness: float) -> NDArray[np.float32]:
    """The mask grown by `pad` pixels, ending softly; (H, W) in [0, 1]."""
    wide = cv2.dilate(animal.astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pad + 1,) * 2))
    return np.asarray(np.maximum(cv2.GaussianBlur(wide, (0, 0), max(0.5, softness)), animal), np.float32)


def _reach(start: int, stop: int, other: int) -> tuple[int, int]:
    """A side widened evenly to at least 1 / MOST_ASPECT of the other."""
    lack = max(0, round(other / MOST_ASPECT) - (stop - start))
    return int(start) - lack // 2, int(stop) + lack - lack // 2


def _cut(
    values: NDArray[np.float32], box: tuple[int, int, int, int], fill: tuple[float, ...] | Rgb
) -> NDArray[np.float32]:
    """A box (top, bottom, left, right) of (H, W) or (H, W, 3); what lies beyond the image is `fill`."""
    top, bottom, left, right = box
    height, width = values.shape[:2]
    canvas = np.empty((bottom - top, right - left, *values.shape[2:]), np.float32)
    canvas[...] = fill if values.ndim == 3 else fill[0]
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    canvas[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[rows, columns]
    return canvas
