"""Ways to change a picture's water and nothing else: one property at a time, and all of it."""

from collections.abc import Callable, Mapping

import numpy as np

from whalecam.arrays import ByteArray
from whalecam.swap.water import Scene, Water, to_rgb

Edit = Callable[[Scene, Water], ByteArray]
"""(picture, donor) → the picture, uint8 (S, S, 3), with one property of its water taken from the donor's."""
MOST_GAIN = 8.0


def recolour(scene: Scene, donor: Water) -> ByteArray:
    """The donor's mean a and b; lightness and all variation stay (after Reinhard et al. 2001, means only)."""
    shift = donor.mean - scene.mean
    shift[0] = 0
    return to_rgb(scene.lab + shift * scene.water[..., None])


def relight(scene: Scene, donor: Water) -> ByteArray:
    """The donor's mean lightness; colour and waves stay."""
    shift = donor.mean - scene.mean
    shift[1:] = 0
    return to_rgb(scene.lab + shift * scene.water[..., None])


def retexture(scene: Scene, donor: Water) -> ByteArray:
    """Each scale of the waves as strong as in the donor; their places, mean lightness and colour stay."""
    gains = donor.strengths / np.maximum(scene.strengths, 0.05)
    change = sum((gain - 1) * band for gain, band in zip(np.clip(gains, 0, MOST_GAIN), scene.bands, strict=True))
    lab = scene.lab.copy()
    lab[..., 0] = np.clip(lab[..., 0] + change * scene.water, 0, 100)
    return to_rgb(lab)


def swap(scene: Scene, donor: Water) -> ByteArray:
    """The donor's water, its animal filled in, behind this animal: M·x + (1 − M)·w."""
    animal = 1 - scene.water[..., None]
    return np.asarray(animal * scene.pixels + (1 - animal) * donor.filled + 0.5, np.uint8)


EDITS: Mapping[str, Edit] = {"colour": recolour, "brightness": relight, "texture": retexture, "swap": swap}
PROPERTIES = ("colour", "brightness", "texture")
"""The edits that change one property; `swap` is reported beside them, never in their maximum (evidence.md §4)."""
