"""The border: margins of one colour, as scans, screenshots and letterboxes have them."""

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.explain.cues.seen import Seen, Values

EVEN, ALIKE = 4.0, 8.0
"""Deviation within a line of a margin, and its distance from the outermost line, in levels, at most."""
WIDEST = 0.3
"""Share of a side that a margin may take."""


def border(seen: Seen) -> Values:
    """Widths of the margins in shares of the side, top, bottom, left, right; then their mean level, 0 without any."""
    widths = _widths(seen.pixels)
    height, width = seen.pixels.shape[:2]
    inner = _inside(seen.pixels.shape[:2], widths)
    level = float(seen.pixels[~inner].mean()) if not inner.all() else 0.0
    return widths[0] / height, widths[1] / height, widths[2] / width, widths[3] / width, level


def bordered(seen: Seen, target: Values) -> ByteArray:
    """The donor's margins in place of the image's own, which are filled by what lies inside, mirrored."""
    own, (height, width) = _widths(seen.pixels), seen.pixels.shape[:2]
    top, bottom, left, right = own
    inside = seen.pixels[top : height - bottom, left : width - right]
    mode = "symmetric" if min(inside.shape[:2]) > max(own) else "edge"
    drawn = np.pad(inside, ((top, bottom), (left, right), (0, 0)), mode=mode)  # type: ignore[call-overload]
    wanted = [round(share * side) for share, side in zip(target[:4], (height, height, width, width), strict=True)]
    drawn[~_inside((height, width), wanted)] = round(target[4])
    return np.asarray(drawn, np.uint8)


def _widths(pixels: ByteArray) -> tuple[int, int, int, int]:
    rows = pixels.astype(np.float32)
    columns = rows.swapaxes(0, 1)
    return _margin(rows), _margin(rows[::-1]), _margin(columns), _margin(columns[::-1])


def _margin(lines: NDArray[np.float32]) -> int:
    """How many lines from the first on are even and of one colour; 0 where that goes on too far to be a margin."""
    most = int(WIDEST * len(lines)) + 1
    first = lines[:most]
    means = first.mean(axis=1)
    is_even = (first.std(axis=1).max(axis=1) <= EVEN) & (np.abs(means - means[0]).max(axis=1) <= ALIKE)
    count = int(np.argmin(is_even)) if not is_even.all() else most
    return count if 1 < count < most else 0


def _inside(shape: tuple[int, ...], widths: tuple[int, ...] | list[int]) -> NDArray[np.bool_]:
    top, bottom, left, right = widths
    inner = np.zeros(shape, bool)
    inner[top : shape[0] - bottom, left : shape[1] - right] = True
    return inner
