"""The mask of a run as other tools draw it: a box, rings of corners, a raster of pixels and its run lengths."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whalecam.data.outlines import Bools

Point = tuple[int, int]
Ring = list[Point]
"""Corners (x, y) of a closed line along the edges of cells, the object to its right."""


def box(mask: Bools) -> tuple[float, float, float, float] | None:
    """Left, top, width and height of the True cells in shares of the sides; None where there is none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    height, width = mask.shape
    left, top, right, bottom = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
    return float(left), float(top), float(right - left), float(bottom - top)


def raster(mask: Bools, width: int, height: int) -> Bools:
    """The mask in pixels, (height, width): each pixel has the value of the cell that its centre lies in."""
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return np.asarray(mask[rows][:, columns], bool)


def bounds(pixels: Bools) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the True pixels; None where there is none."""
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def run_lengths(flat: NDArray[np.bool_]) -> list[int]:
    """Lengths of equal values in turn, the first of them of False, so that it is 0 where True comes first."""
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], turns, [len(flat)]))).tolist()
    return [0, *lengths] if len(flat) and flat[0] else lengths


def coco_text(lengths: list[int]) -> str:
    """Run lengths as COCO's text, the inverse of `outlines.coco_runs`.

    Source: `rleToString` of the COCO API (github.com/cocodataset/cocoapi).
    """
    letters: list[str] = []
    for at, length in enumerate(lengths):
        value, goes_on = length - lengths[at - 2] if at > 2 else length, True
        while goes_on:
            digit = value & 31
            value >>= 5
            goes_on = value != (-1 if digit & 16 else 0)
            letters.append(chr((digit | 32 if goes_on else digit) + 48))
    return "".join(letters)


def rings(mask: Bools) -> list[Ring]:
    """Rings whose inside, together, is the mask: a part with a hole is cut in two through it, so that none is open."""
    traced = list(_rings(mask))
    hole = next((ring for ring in traced if _area(ring) < 0), None)
    if hole is None:
        return traced
    cut = min(x for x, _ in hole)
    left, right = mask.copy(), mask.copy()
    left[:, cut:], right[:, :cut] = False, False
    return [*rings(left), *rings(right)]


def _rings(mask: Bools) -> Iterator[Ring]:
    """The edges between True and False cells, joined. Where four meet, the turn to the right keeps parts separate."""
    edges = _edges(mask)
    while edges:
        start = next(iter(edges))
        ring, here, step = [start], start, (0, 0)
        while True:
            ends = edges[here]
            after = ends[0] if len(ends) == 1 else min(ends, key=lambda end: _turn(step, here, end))
            ends.remove(after)
            if not ends:
                del edges[here]
            direction = (after[0] - here[0], after[1] - here[1])
            if direction == step:
                ring[-1] = after
            else:
                ring.append(after)
            here, step = after, direction
            if here == start:
                break
        yield _closed(ring)


def _edges(mask: Bools) -> dict[Point, list[Point]]:
    """Where each edge leads, with the True cell to its right as y grows downwards."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    edges: defaultdict[Point, list[Point]] = defaultdict(list)
    for outside, (x1, y1, x2, y2) in (
        (padded[:-2, 1:-1], (0, 0, 1, 0)),
        (padded[1:-1, 2:], (1, 0, 1, 1)),
        (padded[2:, 1:-1], (1, 1, 0, 1)),
        (padded[1:-1, :-2], (0, 1, 0, 0)),
    ):
        for y, x in np.argwhere(inner & ~outside).tolist():
            edges[x + x1, y + y1].append((x + x2, y + y2))
    return dict(edges)


def _turn(step: Point, here: Point, end: Point) -> int:
    """-1 for a turn to the right, 1 for one to the left."""
    return -(step[0] * (end[1] - here[1]) - step[1] * (end[0] - here[0]))


def _closed(ring: Ring) -> Ring:
    """Without the corner that closes it, and without a start in the middle of an edge."""
    corners = ring[:-1]
    (x1, y1), (x2, y2), (x3, y3) = corners[-1], corners[0], corners[1]
    return corners[1:] if (x1 == x2 == x3) or (y1 == y2 == y3) else corners


def _area(ring: Ring) -> int:
    """Twice the area; negative around a hole."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True))
