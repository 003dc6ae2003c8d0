"""What an image's background is: its colour, its brightness, its texture, and itself with the subject filled in."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.color import to_lab

Field = NDArray[np.float32]
GROWN = 0.03
SOFT = 0.008
BANDS = 4


@dataclass(frozen=True)
class Water:
    """What a donor lends: mean L, a, b (3,); strength of each band (BANDS,); all of it, no subject in it, (S, S, 3)."""

    mean: Field
    strengths: Field
    filled: ByteArray


@dataclass(frozen=True)
class Scene:
    """One network input and its mask, with what editing its background needs.

    Attributes:
        pixels: uint8 (S, S, 3), RGB.
        mask: float32 (S, S) in [0, 1], 1 on the subject; padding counts as subject, so that nothing touches it.
    """

    pixels: ByteArray
    mask: Field

    @cached_property
    def near(self) -> NDArray[np.uint8]:
        """1 on the subject and a rim around it, where background and subject mix."""
        reach = max(3, 2 * round(GROWN * self.mask.shape[0]) + 1)
        return np.asarray(cv2.dilate((self.mask > 0.5).astype(np.uint8), np.ones((reach, reach), np.uint8)))

    @cached_property
    def water(self) -> Field:
        """How much of each pixel an edit may change, (S, S) in [0, 1]: background, with a soft edge at the subject."""
        soft = cv2.GaussianBlur(np.asarray(self.mask, np.float32), (0, 0), max(0.6, SOFT * self.mask.shape[0]))
        return np.asarray(np.clip(1 - soft, 0, 1), np.float32)

    @cached_property
    def lab(self) -> Field:
        """The image in CIE L*a*b*, float32 (S, S, 3): L in [0, 100]."""
        return to_lab(self.pixels)

    @cached_property
    def filled(self) -> ByteArray:
        """The image without its subject: inpainted from the background around it (Telea 2004), uint8 (S, S, 3)."""
        return np.asarray(cv2.inpaint(self.pixels, self.near * 255, 3, cv2.INPAINT_TELEA), np.uint8)

    @cached_property
    def mean(self) -> Field:
        """Mean L, a, b of the background, (3,)."""
        weights = 1.0 - self.near
        total = float(weights.sum())
        if total < 1:
            return np.asarray(self.lab.mean(axis=(0, 1)), np.float32)
        return np.asarray((self.lab * weights[..., None]).sum(axis=(0, 1)) / total, np.float32)

    @cached_property
    def bands(self) -> list[Field]:
        """The lightness split by scale: BANDS differences of Gaussians, fine first, each (S, S). Background only."""
        return split(self._lightness())

    @cached_property
    def strengths(self) -> Field:
        """Root mean square of each band over the background, (BANDS,): what its texture is made of."""
        weights = 1.0 - self.near
        total = max(1.0, float(weights.sum()))
        return np.asarray([np.sqrt((band**2 * weights).sum() / total) for band in self.bands], np.float32)

    def lend(self) -> Water:
        """What others may take from this image's background."""
        return Water(self.mean, self.strengths, self.filled)

    def _lightness(self) -> Field:
        """L with the subject filled in, so that its outline does not count as a wave."""
        return np.asarray(to_lab(self.filled)[..., 0], np.float32)


def split(lightness: Field) -> list[Field]:
    """Differences of Gaussians of L, fine to coarse; what is coarser still is left out."""
    levels = [lightness] + [cv2.GaussianBlur(lightness, (0, 0), 2.0**n * 0.7) for n in range(BANDS)]
    return [np.asarray(fine - coarse, np.float32) for fine, coarse in pairwise(levels)]
