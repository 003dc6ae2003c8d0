"""Exposure and white balance of the whole image, its object included."""

import numpy as np

from whalecam.arrays import ByteArray
from whalecam.color import to_lab, to_rgb
from whalecam.explain.cues.seen import Seen, Values

GAMMA = 2.2
STOPS = 4.0
"""An exposure is changed by so many stops at most."""
STEPS = 14
SAMPLED = 3000
"""Pixels, about, by which the right gain is looked for."""


def exposure(seen: Seen) -> Values:
    """Mean L of CIE L*a*b*, in [0, 100]."""
    return (float(seen.lab[..., 0].mean()),)


def exposed(seen: Seen, target: Values) -> ByteArray:
    """The image in as much more or less light as gives it the donor's mean lightness; what is clipped stays clipped."""
    every = max(1, round((seen.pixels.shape[0] * seen.pixels.shape[1] / SAMPLED) ** 0.5))
    sample = np.ascontiguousarray(seen.pixels[::every, ::every])
    wanted = target[0] - exposure(seen)[0] + float(to_lab(sample)[..., 0].mean())
    low, high = -STOPS, STOPS
    for _ in range(STEPS):
        middle = (low + high) / 2
        is_dark = float(to_lab(_gained(sample, middle))[..., 0].mean()) < wanted
        low, high = (middle, high) if is_dark else (low, middle)
    return _gained(seen.pixels, (low + high) / 2)


def white_balance(seen: Seen) -> Values:
    """Mean a and b of CIE L*a*b*."""
    return float(seen.lab[..., 1].mean()), float(seen.lab[..., 2].mean())


def balanced(seen: Seen, target: Values) -> ByteArray:
    """The image with the donor's mean a and b; lightness and all variation stay."""
    return to_rgb(seen.lab + np.array([0, *np.subtract(target, white_balance(seen))], np.float32))


def _gained(pixels: ByteArray, stops: float) -> ByteArray:
    levels = 255 * np.clip((np.arange(256) / 255) ** GAMMA * 2.0**stops, 0, 1) ** (1 / GAMMA)
    return np.asarray(levels + 0.5, np.uint8)[pixels]
