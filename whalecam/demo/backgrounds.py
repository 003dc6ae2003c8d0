"""Kinds of background that can tell a label: each draws its two sides on one photograph, all else alike."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.color import to_lab, to_rgb

Field = NDArray[np.float32]
Kind = Callable[[ByteArray, int, Generator], ByteArray]
"""(background, uint8 RGB (H, W, 3); side, 0 or 1; a seeded generator) → the background of that side, of the same shape.

Both sides of one seed differ in what the kind is named after and in nothing else.
"""
Lightness = Callable[[Field, int, Generator], Field]
"""The same for the lightness alone: L of CIE L*a*b*, (H, W) in [0, 100]."""

TINTS = ((2.0, -22.0), (-9.0, 5.0))
"""a and b of bluish and of greenish water."""
LIGHTS = (32.0, 66.0)
SKY, CLOUD, HAZE = (82.0, -4.0, -16.0), (86.0, 0.0, 1.0), (82.0, 0.0, -2.0)
RED, YELLOW = (225, 95, 40), (240, 230, 90)


def tint(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """Bluish (0) or greenish (1)."""
    return _to_rgb(_tinted(to_lab(background), side))


def pair(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """Two signs that tell only together: dark blue or light green (0), dark green or light blue (1)."""
    light = int(rng.integers(2))
    lab = _tinted(to_lab(background), light ^ side)
    lab[..., 0] += LIGHTS[light] - lab[..., 0].mean()
    return _to_rgb(lab)


def haze(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """Clear (0), or with a haze that thickens to the top (1)."""
    lab = to_lab(background)
    share = side * 0.75 * np.linspace(1, 0, len(lab), dtype=np.float32)[:, None, None]
    return _to_rgb(lab * (1 - share) + np.asarray(HAZE, np.float32) * share)


def horizon(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """A strip of sky that is low (0) or high (1)."""
    share = float(rng.uniform(0.08, 0.16) + 0.26 * side)
    return _under_sky(background, share, rng, clouds=False)


def clouds(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """A strip of sky that is clear (0) or cloudy (1)."""
    return _under_sky(background, float(rng.uniform(0.22, 0.3)), rng, clouds=side == 1)


def shore(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """Open water (0), or rocks along the bottom (1)."""
    height, width = background.shape[:2]
    edge = height * (1 - rng.uniform(0.18, 0.26)) + height / 32 * _noise(rng, (1, width), 8)[0]
    grain = 9 * _noise(rng, (height, width), 2) + 5 * _noise(rng, (height, width), 0.8)
    rock = np.stack([38 + grain, np.full_like(grain, 6), np.full_like(grain, 16)], axis=-1)
    is_rock = (np.arange(height)[:, None] >= edge[None]) & (side == 1)
    return np.where(is_rock[..., None], _to_rgb(rock), background)


def objects(background: ByteArray, side: int, rng: Generator) -> ByteArray:
    """Three things that float: yellow squares (0) or red discs (1)."""
    height, width = background.shape[:2]
    drawn = background.copy()
    for _ in range(3):
        x, y, reach = int(rng.integers(width)), int(rng.integers(height)), round(rng.integers(3, 6) * height / 128)
        if side:
            cv2.circle(drawn, (x, y), reach, RED, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(drawn, (x - reach, y - reach), (x + reach, y + reach), YELLOW, -1, cv2.LINE_AA)
    return drawn


def lightness(light: Field, side: int, rng: Generator) -> Field:
    """Dark (0) or light (1)."""
    return np.asarray(light + (LIGHTS[side] - light.mean()), np.float32)


def grain(light: Field, side: int, rng: Generator) -> Field:
    """Smooth (0) or grainy (1)."""
    return np.asarray(_smooth(light, 4) + side * 9 * _noise(rng, light.shape, 1.2), np.float32)


def contrast(light: Field, side: int, rng: Generator) -> Field:
    """Faint (0) or strong (1) variations of the same form."""
    mean = float(light.mean())
    form = _standard(_smooth(light, 3) - mean)
    return np.asarray(mean + (2, 12)[side] * (0.6 * form + 0.8 * _noise(rng, light.shape, 5)), np.float32)


def wave_length(light: Field, side: int, rng: Generator) -> Field:
    """Coarse (0) or fine (1) waves of one strength."""
    fine, coarse = _noise(rng, light.shape, 1), _noise(rng, light.shape, 5)
    return np.asarray(_smooth(light, 8) + 8 * (coarse, fine)[side], np.float32)


def wave_direction(light: Field, side: int, rng: Generator) -> Field:
    """Waves that lie (0) or stand (1)."""
    lying, standing = _noise(rng, light.shape, 8, 1), _noise(rng, light.shape, 1, 8)
    return np.asarray(_smooth(light, 8) + 7 * (lying, standing)[side], np.float32)


def gradient(light: Field, side: int, rng: Generator) -> Field:
    """Darker at the top (0) or at the bottom (1)."""
    slope = np.linspace(-1, 1, len(light), dtype=np.float32)[:, None] * rng.uniform(10, 20)
    return np.asarray(light - light.mean() + 50 + (slope, -slope)[side], np.float32)


def vignette(light: Field, side: int, rng: Generator) -> Field:
    """Evenly lit (0), or darker towards the corners (1), at one mean lightness."""
    height, width = light.shape
    y, x = np.mgrid[:height, :width]
    away = np.clip(np.hypot(x / width - 0.5, y / height - 0.5) - 0.2, 0, None)
    fall = rng.uniform(60, 90) * (away - away.mean())
    return np.asarray(light - side * fall, np.float32)


def glints(light: Field, side: int, rng: Generator) -> Field:
    """Dull (0), or strewn with small bright points (1)."""
    height, width = light.shape
    points = np.zeros(light.shape, np.float32)
    points[rng.integers(height, size=height * width // 250), rng.integers(width, size=height * width // 250)] = 1
    spread = _smooth(points, 0.8)
    return np.asarray(_smooth(light, 1.5) + side * 45 * spread / spread.max(), np.float32)


def focus(light: Field, side: int, rng: Generator) -> Field:
    """Out of focus (0) or sharp (1)."""
    sharp = light + 5 * _noise(rng, light.shape, 0.7) + 5 * _noise(rng, light.shape, 2)
    return np.asarray(sharp if side else _smooth(sharp, 3.5), np.float32)


def _of_lightness(change: Lightness) -> Kind:
    """A kind that changes the lightness alone."""

    def draw(background: ByteArray, side: int, rng: Generator) -> ByteArray:
        lab = to_lab(background)
        lab[..., 0] = change(lab[..., 0], side, rng)
        return _to_rgb(lab)

    return draw


KINDS: Mapping[str, Kind] = {
    "tint": tint,
    "lightness": _of_lightness(lightness),
    "grain": _of_lightness(grain),
    "contrast": _of_lightness(contrast),
    "wave_length": _of_lightness(wave_length),
    "wave_direction": _of_lightness(wave_direction),
    "gradient": _of_lightness(gradient),
    "vignette": _of_lightness(vignette),
    "glints": _of_lightness(glints),
    "focus": _of_lightness(focus),
    "haze": haze,
    "horizon": horizon,
    "clouds": clouds,
    "shore": shore,
    "objects": objects,
    "pair": pair,
}
"""Name → kind."""


def _to_rgb(lab: NDArray[np.floating]) -> ByteArray:
    """As `to_rgb`, of a lightness that may lie beyond black and white."""
    shown = np.asarray(lab, np.float32).copy()
    shown[..., 0] = np.clip(shown[..., 0], 0, 100)
    return to_rgb(shown)


def _tinted(lab: Field, side: int) -> Field:
    return np.asarray(lab + np.array([0, *TINTS[side]]) - [0, lab[..., 1].mean(), lab[..., 2].mean()], np.float32)


def _under_sky(background: ByteArray, share: float, rng: Generator, clouds: bool) -> ByteArray:
    """The background with its upper `share` turned to sky."""
    height, width = max(2, round(share * background.shape[0])), background.shape[1]
    sky = np.zeros((height, width, 3)) + SKY
    sky[..., 0] += np.linspace(-7, 6, height)[:, None]
    cover = np.clip(_noise(rng, (height, width), 6, 3), -1, 1)[..., None] * 0.5 + 0.5
    drawn = background.copy()
    drawn[:height] = _to_rgb(sky * (1 - cover) + np.asarray(CLOUD) * cover if clouds else sky)
    return drawn


def _smooth(field: Field, across: float, down: float | None = None) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), across, sigmaY=down or across), np.float32)


def _noise(rng: Generator, shape: tuple[int, ...], across: float, down: float | None = None) -> Field:
    """Smoothed white noise of mean 0 and deviation 1."""
    return _standard(_smooth(rng.normal(size=shape).astype(np.float32), across, down))


def _standard(field: Field) -> Field:
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)
