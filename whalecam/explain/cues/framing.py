"""Scale and framing: how large the object is in the image, and where it lies."""

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.explain.cues.seen import Seen, Values

LEAST, MOST = 0.003, 0.6
"""Share of the image that an object may cover to be moved or scaled."""
MAX_RATIO = 4.0
SOFT = 0.004
"""Deviation of the edge along which an object is laid on its background, in shares of the longer side."""


def scale(seen: Seen) -> Values | None:
    """The root of the share of the image that the object covers, in (0, 1); None without a fit object."""
    return None if (area := _area(seen)) is None else (area**0.5,)


def scaled(seen: Seen, target: Values) -> ByteArray:
    """The object as large as the donor's, about its own middle; its old place is filled from what lies around it."""
    area = _area(seen)
    ratio = float(np.clip(target[0] / (area or 1.0) ** 0.5, 1 / MAX_RATIO, MAX_RATIO))
    x, y = _middle(seen)
    return _laid(seen, np.array([[ratio, 0, x * (1 - ratio)], [0, ratio, y * (1 - ratio)]]))


def framing(seen: Seen) -> Values | None:
    """Where the middle of the object lies, in shares of width and height; None without a fit object."""
    if _area(seen) is None:
        return None
    x, y = _middle(seen)
    height, width = seen.pixels.shape[:2]
    return x / width, y / height


def reframed(seen: Seen, target: Values) -> ByteArray:
    """The object where the donor's lies, as far as it stays within the image; its old place is filled."""
    height, width = seen.pixels.shape[:2]
    rows, columns = np.nonzero(_values(seen) > 0.5)
    x, y = _middle(seen)
    right = _within(target[0] * width - x, columns, width)
    down = _within(target[1] * height - y, rows, height)
    return _laid(seen, np.array([[1, 0, right], [0, 1, down]]))


def _within(shift: float, places: NDArray[np.int64], side: int) -> float:
    low, high = -int(places.min()), side - 1 - int(places.max())
    return float(round(np.clip(shift, low, high)))


def _values(seen: Seen) -> NDArray[np.float32]:
    return np.zeros(seen.pixels.shape[:2], np.float32) if seen.mask is None else seen.mask


def _area(seen: Seen) -> float | None:
    area = float((_values(seen) > 0.5).mean())
    return area if LEAST <= area <= MOST else None


def _middle(seen: Seen) -> tuple[float, float]:
    rows, columns = np.nonzero(_values(seen) > 0.5)
    return float(columns.mean()), float(rows.mean())


def _laid(seen: Seen, matrix: NDArray[np.float64]) -> ByteArray:
    """The object moved by an affine matrix (2, 3) over the image without it."""
    height, width = seen.pixels.shape[:2]
    soft = cv2.GaussianBlur(_values(seen), (0, 0), max(0.6, SOFT * max(height, width)))
    moved = cv2.warpAffine(seen.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    keep = cv2.warpAffine(soft, matrix, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    return np.asarray(keep * moved + (1 - keep) * seen.filled + 0.5, np.uint8)
