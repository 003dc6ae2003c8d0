"""The outline of a subject between two corners, by GrabCut (Rother, Kolmogorov & Blake 2004)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray

LONGEST = 400
"""Pixels of the longer side of what is cut: an outline takes a second or less."""
ROUNDS, LEAST_SHARE = 5, 0.01
"""Rounds of the cut, and the share of its box that a subject must have."""
Corner = tuple[float, float]


def cut_out(pixels: ByteArray, one_corner: Corner, other: Corner) -> NDArray[np.bool_] | None:
    """Where the subject is in a box of an image, (H, W) of the image's size; the same in every call.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        one_corner, other: (x, y), relative to the image, in [0, 1]; the box needs some background inside and outside.

    Returns: None where the box is too small or nothing in it stands out.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    small = cv2.resize(pixels, (max(3, round(width * scale)), max(3, round(height * scale))))
    high, wide = small.shape[:2]
    left, right = _span(one_corner[0], other[0], wide)
    top, bottom = _span(one_corner[1], other[1], high)
    if right - left < 3 or bottom - top < 3:
        return None
    mask = np.zeros((high, wide), np.uint8)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65), np.float64), np.zeros((1, 65), np.float64)
    box = (left, top, right - left, bottom - top)
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), mask, box, *models, ROUNDS, cv2.GC_INIT_WITH_RECT)
    subject = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.float32)
    if subject.sum() < LEAST_SHARE * box[2] * box[3]:
        return None
    return np.asarray(cv2.resize(subject, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5)


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    """From and to, in pixels, at least a pixel from either edge, which is background."""
    low, high = sorted((start, end))
    return max(1, round(low * length)), min(length - 1, round(high * length))
