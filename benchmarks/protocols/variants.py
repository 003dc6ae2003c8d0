"""The variants of the Backgrounds Challenge (Xiao et al. 2021, arXiv 2006.09994), of images whose masks are known."""

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.protocols.parts import Codes, Part, Pixels
from whalecam.errors import DatasetError

Mask = NDArray[np.float32]
ORIGINAL, ONLY_BG_B, ONLY_BG_T, NO_FG, ONLY_FG = "Original", "Only-BG-B", "Only-BG-T", "No-FG", "Only-FG"
SAME, RAND, NEXT = "Mixed-Same", "Mixed-Rand", "Mixed-Next"
VARIANTS = (ORIGINAL, ONLY_BG_B, ONLY_BG_T, NO_FG, ONLY_FG, SAME, RAND, NEXT)
Box = tuple[slice, slice]


def variants(part: Part, rng: Generator) -> Mapping[str, Pixels]:
    """Every variant of all images, (N, S, S, 3), by name.

    Raises DatasetError where the masks are not known, or an image shows no animal.
    """
    if part.masks is None or not all((mask > 0).any() for mask in part.masks):
        raise DatasetError("The variants need the mask of every image, and an animal in it.")
    masks = part.masks
    boxes = [box_of(mask) for mask in masks]
    tiled = np.stack([tiled_over(image, box) for image, box in zip(part.images, boxes, strict=True)])
    boxed = part.images.copy()
    for image, box in zip(boxed, boxes, strict=True):
        image[box] = 0
    black = np.zeros_like(part.images)
    donors = {name: donors_of(part.labels, name, rng) for name in (SAME, RAND, NEXT)}
    return {
        ORIGINAL: part.images,
        ONLY_BG_B: boxed,
        ONLY_BG_T: tiled,
        NO_FG: laid(black, masks, part.images),
        ONLY_FG: laid(part.images, masks, black),
        **{name: laid(part.images, masks, tiled[rows]) for name, rows in donors.items()},
    }


def box_of(mask: Mask) -> Box:
    """The rows and columns that the animal covers."""
    rows, columns = (np.flatnonzero((mask > 0).any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def tiled_over(image: Pixels, box: Box) -> Pixels:
    """The image, its box covered by tiles of the largest strip of background beside it; black where there is none."""
    rows, columns = box
    strips = (image[: rows.start], image[rows.stop :], image[:, : columns.start], image[:, columns.stop :])
    largest = max(strips, key=lambda strip: strip.shape[0] * strip.shape[1])
    covered = image.copy()
    covered[box] = 0
    if largest.size:
        height, width = rows.stop - rows.start, columns.stop - columns.start
        times = -(-height // largest.shape[0]), -(-width // largest.shape[1]), 1
        covered[box] = np.tile(largest, times)[:height, :width]
    return covered


def donors_of(labels: Codes, name: str, rng: Generator) -> Codes:
    """(N,) whose background each image takes: of its own label, of any, or of the next label."""
    classes = int(labels.max()) + 1
    donors = np.empty(len(labels), np.int64)
    for row, label in enumerate(labels.tolist()):
        wanted = {SAME: label, RAND: int(rng.integers(classes)), NEXT: (label + 1) % classes}[name]
        donors[row] = rng.choice(np.flatnonzero(labels == wanted))
    return donors


def laid(front: Pixels, masks: Mask, back: Pixels) -> Pixels:
    """`front` where the masks (N, S, S) are 1, `back` where they are 0, mixed between."""
    share = masks[..., None].astype(np.float64)
    return np.asarray(np.rint(share * front + (1 - share) * back), np.uint8)
