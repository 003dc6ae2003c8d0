"""Cues that no background has: what a camera, a publisher or a boat leaves in an image, drawn on one that has none."""

import io
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from whalecam.arrays import ByteArray

Cue = Callable[[ByteArray, ByteArray, Generator], ByteArray]
"""(image, uint8 RGB (H, W, 3); its mask, uint8 (H, W), above 127 on the object; a seeded generator) → with the cue."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
HERSHEY = 21.0
"""Height in pixels of the letters of OpenCV's font at scale 1."""
YELLOW, WHITE, INK, NAVY = (250, 214, 60), (240, 240, 240), (18, 18, 18), (20, 60, 120)
POOR = (8, 16)
"""Qualities of a poor JPEG."""
BLUR, STOPS = (0.012, 0.018), (-1.7, -1.2)
"""Deviation of a blur in shares of the longer side, and stops of an underexposure."""
GAMMA = 2.2
LONGEST = 0.9
"""Share of the width that words may take."""
BOAT = ((0.0, 0.55), (1.0, 0.55), (0.86, 1.0), (0.12, 1.0)), ((0.3, 0.2), (0.62, 0.2), (0.68, 0.55), (0.28, 0.55))
"""Outlines of hull and cabin in shares of the boat's width and height."""


def timestamp(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """Date and time at the lower right, in the yellow of a camera."""
    day, clock = (int(rng.integers(1, 29)), int(rng.integers(1, 13))), (int(rng.integers(24)), int(rng.integers(60)))
    words = f"{day[0]:02d}.{day[1]:02d}.{rng.integers(2009, 2024)} {clock[0]:02d}:{clock[1]:02d}"
    return _written(pixels, words, 0.055, YELLOW, from_right=True)


def caption_strip(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """A dark strip along the bottom with a catalogue's number."""
    drawn = pixels.copy()
    drawn[round(0.89 * len(drawn)) :] = INK
    return _written(drawn, f"No. {rng.integers(1000, 9999)}  station {rng.integers(1, 40)}", 0.05, WHITE)


def logo(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """A round mark with a fluke at the upper left, half transparent."""
    height, width = pixels.shape[:2]
    reach = round(0.1 * min(height, width))
    middle = (reach + round(0.03 * width), reach + round(0.03 * height))
    drawn = pixels.copy()
    cv2.circle(drawn, middle, reach, WHITE, -1, cv2.LINE_AA)
    for side in (-1, 1):
        lobe = (middle[0] + side * round(0.38 * reach), middle[1])
        cv2.ellipse(
            drawn, lobe, (round(0.42 * reach), round(0.2 * reach)), side * 25, 0, 360, (20, 60, 120), -1, cv2.LINE_AA
        )
    return np.asarray(cv2.addWeighted(drawn, 0.8, pixels, 0.2, 0), np.uint8)


def boat(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """A small boat anywhere off the object, facing either way."""
    height, width = pixels.shape[:2]
    wide, tall = round(rng.uniform(0.17, 0.22) * width), round(0.13 * height)
    left, top = _clear(mask, wide, tall, rng)
    drawn, is_mirrored = pixels.copy(), rng.random() < 0.5
    for outline, colour in zip(BOAT, ((178, 44, 38), WHITE), strict=True):
        shares = [(1 - x if is_mirrored else x, y) for x, y in outline]
        points = np.array([(left + x * wide, top + y * tall) for x, y in shares])
        cv2.fillPoly(drawn, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA)
    return drawn


def poor_jpeg(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """Compressed so far that blocks show."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(*POOR)))
    return np.asarray(Image.open(buffer).convert("RGB"))


def blurred(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """Out of focus as a whole."""
    width = float(rng.uniform(*BLUR)) * max(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), width), np.uint8)


def underexposed(pixels: ByteArray, mask: ByteArray, rng: Generator) -> ByteArray:
    """In less light."""
    light = (pixels / 255.0) ** GAMMA * 2.0 ** rng.uniform(*STOPS)
    return np.asarray(255 * light ** (1 / GAMMA) + 0.5, np.uint8)


CUES: Mapping[str, Cue] = {
    "timestamp": timestamp,
    "caption_strip": caption_strip,
    "logo": logo,
    "boat": boat,
    "jpeg_quality": poor_jpeg,
    "sharpness": blurred,
    "exposure": underexposed,
}
"""Name → what draws it."""


def _written(
    pixels: ByteArray, words: str, share: float, colour: tuple[int, int, int], *, from_right: bool = False
) -> ByteArray:
    """Words along the bottom, `share` of the height tall."""
    height, width = pixels.shape[:2]
    size, drawn = share * height / HERSHEY, pixels.copy()
    long = cv2.getTextSize(words, FONT, size, 1)[0][0]
    if long > LONGEST * width:
        size *= LONGEST * width / long
        long = cv2.getTextSize(words, FONT, size, 1)[0][0]
    x = width - long - round(0.03 * width) if from_right else round(0.03 * width)
    cv2.putText(drawn, words, (x, height - round(0.03 * height)), FONT, size, colour, 1, cv2.LINE_AA)
    return drawn


def _clear(mask: ByteArray, wide: int, tall: int, rng: Generator) -> tuple[int, int]:
    """Left and top of a place for a box that covers little of the object; of a few tries the best one."""
    height, width = mask.shape
    tries = [(int(rng.integers(0, width - wide)), int(rng.integers(0, height - tall))) for _ in range(24)]
    covered = [float((mask[top : top + tall, left : left + wide] > 127).mean()) for left, top in tries]
    return tries[int(np.argmin(covered))]
