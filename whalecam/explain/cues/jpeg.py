"""JPEG quality: the blocks and rings that compression leaves."""

import io

import numpy as np
from PIL import Image

from whalecam.arrays import ByteArray
from whalecam.explain.cues.seen import Seen, Values

STANDARD = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
"""The table of ITU-T T.81, Annex K.1, for the lightness; its sum is that of any order of it."""
LOSSLESS = 100.0
VISIBLE = 90.0
"""From this quality on a compression leaves nothing that the removal of blocks could take away."""
SHIFTS = ((0, 0), (2, 5), (5, 2), (4, 4), (1, 3), (3, 6), (6, 7), (7, 1))
"""Places of the grid of blocks, over which the removal averages."""


def quality_of(table: list[int]) -> float:
    """The quality, 1 to 100, for which the IJG library makes the table of 64 steps that is most like this one."""
    sums = [sum(_steps(quality)) for quality in range(1, 101)]
    return float(1 + int(np.argmin(np.abs(np.array(sums) - sum(table)))))


def _steps(quality: int) -> list[int]:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((step * percent + 50) // 100, 1), 255) for step in STANDARD]


def jpeg_quality(seen: Seen) -> Values | None:
    """The quality of the file's compression, 1 to 100; None where the pixels are not those of the file."""
    return None if seen.quality is None else (seen.quality,)


def recompressed(seen: Seen, target: Values) -> ByteArray:
    """Compressed as the donor is; where that is less than the image's own compression, with its blocks removed.

    Blocks are removed by compressing the image again with its grid at other places and averaging the results
    (Nosratinia 2001, "Enhancement of JPEG-compressed images by re-application of JPEG").
    """
    own, wanted = seen.quality or LOSSLESS, target[0]
    if wanted <= own:
        return _compressed(seen.pixels, wanted)
    if own >= VISIBLE:
        return seen.pixels
    total = np.zeros(seen.pixels.shape, np.float32)
    for down, right in SHIFTS:
        padded = np.pad(seen.pixels, ((down, 0), (right, 0), (0, 0)), mode="edge")
        total += _compressed(padded, own)[down:, right:]
    return np.asarray(total / len(SHIFTS) + 0.5, np.uint8)


def _compressed(pixels: ByteArray, quality: float) -> ByteArray:
    if quality >= LOSSLESS:
        return pixels
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=max(1, round(quality)))
    return np.asarray(Image.open(buffer).convert("RGB"))
