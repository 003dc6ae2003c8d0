"""Backgrounds of land and of air, drawn anew for each generator: textures that scikit-image ships, sand and skies."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from skimage import data

from whalecam.color import to_rgb

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]
GROUNDS: Mapping[str, tuple[float, float, float]] = {
    "grass": (45.0, -16.0, 28.0),
    "gravel": (52.0, 2.0, 6.0),
    "brick": (46.0, 14.0, 16.0),
    "sand": (70.0, 4.0, 22.0),
}
"""L, a, b (CIE L*a*b*) around which each ground lies."""
SKIES = ((68.0, -6.0, -28.0), (78.0, -1.0, -4.0), (66.0, 12.0, 14.0), (55.0, -2.0, -16.0))
"""Clear, overcast, dusk, and before a storm."""


def land(rng: Generator, size: int) -> Pixels:
    """Grass, gravel, bricks or sand from above, uint8 RGB (size, size, 3); no two alike."""
    name = sorted(GROUNDS)[int(rng.integers(len(GROUNDS)))]
    relief = _sand(rng, size) if name == "sand" else _cropped(getattr(data, name)(), rng, size)
    light = rng.uniform(5, 12) * _standard(relief)
    return _coloured(light, GROUNDS[name], rng)


def air(rng: Generator, size: int) -> Pixels:
    """A sky that darkens upwards, with or without clouds, uint8 RGB (size, size, 3); no two alike."""
    slope = np.linspace(-1, 1, size, dtype=np.float32)[:, None] * rng.uniform(4, 12)
    cover = np.clip(_noise(rng, size, rng.uniform(6, 14) * size / 128) + rng.uniform(-1.5, 0.5), 0, 1.5)
    return _coloured(slope + 14 * cover, SKIES[int(rng.integers(len(SKIES)))], rng)


SCENERIES: Mapping[str, Callable[[Generator, int], Pixels]] = {"land": land, "air": air}


def _coloured(light: Field, around: tuple[float, float, float], rng: Generator) -> Pixels:
    mean = np.array(around) + rng.normal(0, (5, 3, 4))
    lab = np.empty((*light.shape, 3), np.float32)
    lab[..., 0] = np.clip(mean[0] + light, 0, 100)
    lab[..., 1:] = mean[1:]
    return to_rgb(lab)


def _cropped(texture: Pixels, rng: Generator, size: int) -> Field:
    """A part of a grey texture, mirrored or not, at a random scale."""
    side = int(rng.integers(min(texture.shape) // 3, min(texture.shape)))
    y, x = (int(rng.integers(0, whole - side + 1)) for whole in texture.shape)
    part = texture[y : y + side, x : x + side][:, :: int(rng.choice((-1, 1)))]
    return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def _sand(rng: Generator, size: int) -> Field:
    """Ripples that run across, with grains."""
    phase = np.linspace(0, rng.uniform(6, 20) * 2 * np.pi, size)[:, None] + 2 * _noise(rng, size, 8)
    return np.asarray(np.sin(phase) + 0.7 * _noise(rng, size, 0.8), np.float32)


def _noise(rng: Generator, size: int, across: float) -> Field:
    white = rng.normal(size=(size, size)).astype(np.float32)
    return _standard(np.asarray(cv2.GaussianBlur(white, (0, 0), across), np.float32))


def _standard(field: Field) -> Field:
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)
