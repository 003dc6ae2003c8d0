"""An image as the edits of whole-image cues take it: its pixels, its object, and how its file was compressed."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.color import to_lab

Field = NDArray[np.float32]
Values = tuple[float, ...]
"""What a cue measures of an image: one number or a few."""
GROWN = 0.03
"""How far the rim around an object reaches, in shares of the longer side."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One image at the scale at which its cues are edited.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, upright.
        mask: float32 (H, W) in [0, 1], 1 on the object; None where no object is known.
        quality: of the JPEG that the pixels came from, 1 to 100; None where they are not those of the file.
        grain: side of a pixel of the network's input, in these pixels, 1 or more.
    """

    pixels: ByteArray
    mask: Field | None = None
    quality: float | None = None
    grain: float = 1.0

    @cached_property
    def lab(self) -> Field:
        """The image in CIE L*a*b*, float32 (H, W, 3): L in [0, 100]."""
        return to_lab(self.pixels)

    @cached_property
    def filled(self) -> ByteArray:
        """The image without its object: inpainted from what lies around it (Telea 2004), uint8 (H, W, 3)."""
        if self.mask is None:
            return self.pixels
        reach = max(3, 2 * round(GROWN * max(self.mask.shape)) + 1)
        near = cv2.dilate((self.mask > 0.5).astype(np.uint8), np.ones((reach, reach), np.uint8))
        return np.asarray(cv2.inpaint(self.pixels, near * 255, 3, cv2.INPAINT_TELEA), np.uint8)
