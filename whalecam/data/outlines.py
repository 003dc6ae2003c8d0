"""Shapes inside boxes: polygons and run lengths, drawn as masks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.config import MAX_PIXELS

Bools = NDArray[np.bool_]
Corners = tuple[float, float, float, float]
"""Left, top, right and bottom."""
NOWHERE: Corners = (math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Polygons:
    """Parts of an outline, each a ring `(x1, y1, x2, y2, …)` in the units of its file; the outline is their union."""

    rings: tuple[tuple[float, ...], ...]

    def bounds(self) -> Corners:
        """Left, top, right and bottom of all parts."""
        x = [value for ring in self.rings for value in ring[::2]]
        y = [value for ring in self.rings for value in ring[1::2]]
        return (min(x), min(y), max(x), max(y)) if x else NOWHERE

    def drawn(self, width: float, height: float, shape: tuple[int, int]) -> Bools:
        """The inside in an array (H, W) that shows an image of `width` × `height`, in the units of the outline."""
        found = np.zeros(shape, bool)
        scale = np.array([shape[1] / width, shape[0] / height])
        for ring in self.rings:
            found |= filled(np.asarray(ring, float).reshape(-1, 2) * scale, shape)
        return found


@dataclass(frozen=True)
class Runs:
    """Run lengths that alternate between background and object, over a rectangle of pixels.

    Attributes:
        counts: lengths, the first of them background.
        width, height: of the rectangle, in pixels.
        left, top: where it lies in its image.
        is_down_first: whether runs go down the columns, as in COCO, or along the rows, as in CVAT.
    """

    counts: tuple[int, ...]
    width: int
    height: int
    left: int = 0
    top: int = 0
    is_down_first: bool = True

    def raster(self) -> Bools:
        """The rectangle, (height, width)."""
        values = np.arange(len(self.counts)) % 2 == 1
        flat = np.repeat(values, self.counts)
        if self.is_down_first:
            return flat.reshape(self.width, self.height).T
        return flat.reshape(self.height, self.width)

    def bounds(self) -> Corners:
        """Left, top, right and bottom of the object; not numbers where there is none."""
        raster = self.raster()
        rows, columns = np.flatnonzero(raster.any(1)), np.flatnonzero(raster.any(0))
        if not len(rows):
            return NOWHERE
        left, top = self.left + int(columns[0]), self.top + int(rows[0])
        return (left, top, self.left + int(columns[-1]) + 1, self.top + int(rows[-1]) + 1)

    def drawn(self, width: float, height: float, shape: tuple[int, int]) -> Bools:
        """The object in an array (H, W) that shows an image of `width` × `height` pixels."""
        rows = (np.arange(shape[0]) + 0.5) * height / shape[0] - self.top
        columns = (np.arange(shape[1]) + 0.5) * width / shape[1] - self.left
        inside = ((rows >= 0) & (rows < self.height))[:, None] & ((columns >= 0) & (columns < self.width))[None]
        at = (
            rows.clip(0, self.height - 1).astype(int)[:, None],
            columns.clip(0, self.width - 1).astype(int)[None],
        )
        return np.asarray(self.raster()[at] & inside, bool)


Outline = Polygons | Runs


def filled(ring: NDArray[np.float64], shape: tuple[int, int]) -> Bools:
    """The pixels (H, W) whose centres lie inside a ring (N, 2) of x and y in pixels, by the even-odd rule."""
    height, width = shape
    flips = np.zeros((height, width + 1), np.int32)
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        first, last = sorted((math.ceil(y1 - 0.5), math.ceil(y2 - 0.5)))
        rows = np.arange(max(first, 0), min(last, height))
        if len(rows):
            x = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            flips[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    return np.asarray(np.cumsum(flips[:, :width], axis=1) % 2 == 1, bool)


def coco_runs(counts: Any, size: Any) -> Runs | None:
    """The run lengths of a COCO annotation, whose `size` is `[height, width]`; None where they do not fill it."""
    try:
        height, width = (int(side) for side in size)
        lengths = _uncompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    except (TypeError, ValueError, OverflowError):
        return None
    return runs(lengths, Runs((), width, height))


def runs(lengths: Sequence[int], rectangle: Runs) -> Runs | None:
    """Run lengths over a rectangle; None where they do not fill it."""
    area = rectangle.width * rectangle.height
    fits = rectangle.width > 0 and rectangle.height > 0 and area <= MAX_PIXELS
    return replace(rectangle, counts=tuple(lengths)) if fits and sum(lengths) == area and min(lengths) >= 0 else None


def _uncompressed(text: str) -> list[int]:
    """Run lengths from COCO's text: base 32, least digit first, from the third on the difference to the last but one.

    Source: `rleFrString` of the COCO API (github.com/cocodataset/cocoapi), which decodes to an array at once.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for letter in text:
        digit = ord(letter) - 48
        if not 0 <= digit < 64:
            raise ValueError("no run lengths")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    return counts
