"""Sharpness: how strong the finest details of the whole image are."""

import cv2
import numpy as np

from whalecam.arrays import ByteArray
from whalecam.color import to_rgb
from whalecam.explain.cues.seen import Field, Seen, Values

BANDS, FINEST = 3, 0.7
"""Differences of Gaussians, and the deviation of the narrowest in pixels of the network's input."""
MAX_GAIN, FAINT = 8.0, 0.05


def sharpness(seen: Seen) -> Values:
    """Root mean square of each band of the lightness, fine first, in units of L."""
    return tuple(float(np.sqrt((band**2).mean())) for band in _bands(seen))


def sharpened(seen: Seen, target: Values) -> ByteArray:
    """The image with each band as strong as in the donor, blurred or sharpened; mean colour and coarse forms stay."""
    lab = seen.lab.copy()
    for band, own, wanted in zip(_bands(seen), sharpness(seen), target, strict=True):
        lab[..., 0] += (min(wanted / max(own, FAINT), MAX_GAIN) - 1) * band
    lab[..., 0] = np.clip(lab[..., 0], 0, 100)
    return to_rgb(lab)


def _bands(seen: Seen) -> list[Field]:
    light = np.ascontiguousarray(seen.lab[..., 0])
    widths = [FINEST * 2.0**n * seen.grain for n in range(BANDS)]
    levels = [light] + [cv2.GaussianBlur(light, (0, 0), width) for width in widths]
    return [np.asarray(levels[at] - levels[at + 1], np.float32) for at in range(BANDS)]
