"""Ways to change an image's background and nothing else: one property at a time, and all of it."""

from collections.abc import Callable, Mapping

import numpy as np

from whalecam.arrays import ByteArray
from whalecam.color import to_rgb
from whalecam.explain.background_test.backgrounds import Field, Scene, Water

Edit = Callable[[Scene, Water], ByteArray]
"""(image, donor) → the image, uint8 (S, S, 3), with one property of its background taken from the donor's."""
MOST_GAIN = 8.0
LIGHT, COLOUR = np.array([1, 0, 0], np.float32), np.array([0, 1, 1], np.float32)
"""Which of L, a, b an edit moves."""


def recolour(scene: Scene, donor: Water) -> ByteArray:
    """The donor's mean a and b; lightness and all variation stay (after Reinhard et al. 2001, means only)."""
    return to_rgb(scene.lab + _shift(scene, donor, COLOUR))


def relight(scene: Scene, donor: Water) -> ByteArray:
    """The donor's mean lightness; colour and waves stay."""
    return to_rgb(scene.lab + _shift(scene, donor, LIGHT))


def retexture(scene: Scene, donor: Water) -> ByteArray:
    """Each scale of the waves as strong as in the donor; their places, mean lightness and colour stay."""
    return _waved(scene, donor, scene.lab)


def restyle(scene: Scene, donor: Water) -> ByteArray:
    """Colour, lightness and waves at once: a label that each of them tells is not forgotten when one changes."""
    return _waved(scene, donor, scene.lab + _shift(scene, donor, COLOUR + LIGHT))


def swap(scene: Scene, donor: Water) -> ByteArray:
    """The donor's background, its subject filled in, behind this subject: M·x + (1 − M)·w."""
    animal = 1 - scene.water[..., None]
    return np.asarray(animal * scene.pixels + (1 - animal) * donor.filled + 0.5, np.uint8)


EDITS: Mapping[str, Edit] = {
    "color": recolour,
    "brightness": relight,
    "texture": retexture,
    "together": restyle,
    "swap": swap,
}
SINGLE, TOGETHER = ("color", "brightness", "texture"), "together"
PROPERTIES = (*SINGLE, TOGETHER)
"""The edits that say which part of the background carries what `swap`, the exchange of all of it, has proven."""


def _shift(scene: Scene, donor: Water, axes: Field) -> Field:
    """From the image's mean L, a, b to the donor's, on the background, along the given axes; (S, S, 3)."""
    return np.asarray((donor.mean - scene.mean) * axes * scene.water[..., None], np.float32)


def _waved(scene: Scene, donor: Water, lab: Field) -> ByteArray:
    """An image in Lab with the donor's waves."""
    gains = donor.strengths / np.maximum(scene.strengths, 0.05)
    change = sum((gain - 1) * band for gain, band in zip(np.clip(gains, 0, MOST_GAIN), scene.bands, strict=True))
    waved = lab.copy()
    waved[..., 0] = np.clip(waved[..., 0] + change * scene.water, 0, 100)
    return to_rgb(waved)
