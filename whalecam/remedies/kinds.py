"""What every remedy takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray, Mask, Sample

Rgb = tuple[float, float, float]
GREY: Rgb = (128.0, 128.0, 128.0)


@dataclass(frozen=True)
class Case:
    """One image with all that a remedy may look at.

    Attributes:
        review: people's latest verdict, empty without one.
        water: the mean colour of the whole set's background, each in [0, 255].
        merges: old → new label names.
    """

    sample: Sample
    label: str
    mask: Mask | None
    review: Mapping[str, str]
    water: Rgb = GREY
    merges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mended:
    """What becomes of an image, and its label.

    Attributes:
        pixels: uint8 (H, W, 3), None where they stay as they are.
        mask: float32 (H, W), where it changed with the pixels.
    """

    pixels: ByteArray | None
    label: str
    mask: NDArray[np.float32] | None = None


SOFT = 0.006
"""How far inside the mask's outline its edge ends, as a share of the image's diagonal; half a pixel at least."""


def inside(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each pixel is kept where background goes, (H, W) in [0, 1]: nothing from the mask's outline outwards.

    `2 · blur(mask) − 1`, cut at 0: a soft edge that lies inside the outline, since the rim of background around a
    subject, and its colour that JPEG smears over the outline, are enough for a network to tell the background by
    (docs/method/remedies.md).
    """
    sigma = max(0.5, SOFT * float(np.hypot(*mask.shape)))
    blurred = cv2.GaussianBlur(np.asarray(mask, np.float32), (0, 0), sigma)
    return np.asarray(np.clip(2 * blurred - 1, 0, 1), np.float32)


Remedy = Callable[[Case], Mended | None]
"""None means: the image is left out."""
