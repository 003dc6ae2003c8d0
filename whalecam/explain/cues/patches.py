"""Patches beside the object that speak for a prediction: where they are, and the image with one of them erased."""

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray

Region = NDArray[np.bool_]
"""(h, w), which cells of a grid over the image belong to a patch."""
Grid = NDArray[np.float64]
STRONG = 0.5
"""A cell belongs to a patch from this share of its strongest cell's evidence on."""
BESIDE = 0.5
"""Share of a cell that must be background for a patch to lie there."""
LARGEST = 0.34
"""Share of all cells that a patch may have."""
COVER = 0.8
"""A place for the placebo has at least this share of the patch's background pixels."""
RADIUS = 4.0


def strongest(evidence: Grid, background: Grid) -> Region | None:
    """The patch beside the object with most evidence: its strongest cell and those around it, down to STRONG of it.

    Args:
        evidence: (h, w) of the predicted class, in logits, signed.
        background: (h, w) in [0, 1], the share of background in what each cell shows of the image.

    Returns: (h, w); None where no cell beside the object has positive evidence.
    """
    from scipy.ndimage import label as components

    weighed = np.where(background >= BESIDE, np.maximum(evidence, 0) * background, 0)
    if weighed.max() <= 0:
        return None
    peak = np.unravel_index(int(weighed.argmax()), weighed.shape)
    level, most = STRONG, max(1, int(LARGEST * weighed.size))
    while True:
        labels, _ = components(weighed >= level * weighed.max())
        region = np.asarray(labels == labels[peak], bool)
        if region.sum() <= most or level >= 1:
            return region
        level = min(1.0, level + 0.1)


def pixels_of(region: Region, size: int) -> Region:
    """A patch in pixels of an image of `size`, (size, size)."""
    height, width = region.shape
    rows, columns = (np.arange(size) * cells // size for cells in (height, width))
    return np.asarray(region[np.ix_(rows, columns)], bool)


def erased(image: ByteArray, patch: Region, object_near: Region) -> ByteArray:
    """The image with a patch filled from what lies around it (Telea 2004); the object and its rim stay as they are.

    Args:
        image: uint8 (S, S, 3).
        patch, object_near: (S, S), in pixels.
    """
    hole = (patch & ~object_near).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, hole * 255, RADIUS, cv2.INPAINT_TELEA), np.uint8)


def placebos(region: Region, background: Grid, count: int, rng: np.random.Generator) -> list[Region]:
    """Up to `count` other places for a patch of the same form: moved by whole cells, clear of itself and the object.

    Places that share no cell with the patch come first; of equal ones the order is by chance. Fewer, or none, where the
    object leaves no such place.
    """
    free = np.where(background >= BESIDE, background, 0)
    area = float(free[region].sum())
    places: list[tuple[int, Region]] = []
    for moved in _moved(region):
        overlap = int((moved & region).sum())
        if overlap <= region.sum() // 3 and float(free[moved].sum()) >= COVER * area:
            places.append((overlap, moved))
    order = rng.permutation(len(places))
    ranked = sorted(order.tolist(), key=lambda at: places[at][0])
    return [places[at][1] for at in ranked[:count]]


def _moved(region: Region) -> list[Region]:
    """The form of the patch at every other place within the grid, upright and, where it is not square, lying."""
    rows, columns = np.nonzero(region)
    form = region[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    forms = [form] if form.shape[0] == form.shape[1] else [form, form.T]
    places = []
    for each in forms:
        for top in range(region.shape[0] - each.shape[0] + 1):
            for left in range(region.shape[1] - each.shape[1] + 1):
                moved = np.zeros_like(region)
                moved[top : top + each.shape[0], left : left + each.shape[1]] = each
                if not np.array_equal(moved, region):
                    places.append(moved)
    return places
