"""Which files are masks by grey value: black on the background, white on the animal, or greys between."""

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.data import MaskFile

WHITE = 250
"""From this grey on a pixel counts as white; compression leaves a little less than 255."""
LOW, HIGH = 16, 239
"""What the darkest and the lightest pixel of a folder of soft masks must reach."""
MOST_HUE = 24
"""Differences between channels up to this are noise of compression, not colour."""
MOST_FLAT, LARGEST_STEP, LEAST_LEVELS = 0.5, 0.08, 3
SMALL_IDS, MANY_PIXELS = 32, 20
NEARLY_BLACK, LEAST_MIDDLE = 8, 0.02
LISTED = 6
WANTED = "expected black (0) and white (255, on the animal), or soft greys that reach both; save the animal as 255"
NAMES = {
    "P": "palette mode",
    "1": "one-bit mode",
    "L": "grey mode",
    "LA": "grey mode with alpha",
    "RGBA": "RGB with alpha",
}


def fault_of(file: MaskFile) -> str:
    """What a mask file contains instead of grey values; empty where it may be a mask.

    One that is black all over may be one: an image without an animal.
    """
    if file.hue > MOST_HUE or _codes(file.values):
        return f"contains {_seen(file)}"
    if file.alpha is not None and not _alpha_agrees(file.values, file.alpha):
        return f"contains {_seen(file)} and keeps its outline in the transparency"
    return ""


def _alpha_agrees(values: ByteArray, alpha: ByteArray) -> bool:
    """Whether the greys alone give the mask: black wherever the image is transparent, and not of one value."""
    clear = values.astype(np.int32) * (255 - alpha.astype(np.int32)) // 255
    return bool(clear.max(initial=0) <= LOW and np.ptp(values) > 0)


def _codes(values: ByteArray) -> bool:
    """Whether values are numbers of things, such as ids or classes, instead of greys.

    Ids fill areas evenly and jump at their edges. Soft greys lie along edges, or pass in small steps from one to the
    next, or are a little more than black where a network is nearly sure.
    """
    counts = np.bincount(values.ravel(), minlength=256)
    between, white = counts[1:WHITE], int(counts[WHITE:].sum())
    middle, pixels = int(counts[SMALL_IDS + 1 : WHITE].sum()), int(between.sum())
    if not pixels:
        return False
    if white and not middle and pixels >= MANY_PIXELS:
        return True
    kernel = np.ones((3, 3), np.uint8)
    flat = (cv2.dilate(values, kernel) == cv2.erode(values, kernel)) & (values > 0) & (values < WHITE)
    if flat.sum() <= MOST_FLAT * pixels:
        return False
    levels = np.unique(values[flat])
    largest = int(levels.max())
    if white and middle >= LEAST_MIDDLE * white and largest <= NEARLY_BLACK:
        return False
    return len(levels) < LEAST_LEVELS or _step(values, levels) > max(1.0, LARGEST_STEP * largest)


def _step(values: ByteArray, levels: ByteArray) -> float:
    """The difference that three in four changes between two neighbours, one of these levels, stay below."""
    wide, level = values.astype(np.int16), np.isin(values, levels)
    found: list[NDArray[np.int16]] = []
    for one, two in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        apart = np.abs(wide[one] - wide[two])
        found.append(apart[(apart > 0) & (level[one] | level[two])])
    steps = np.concatenate(found)
    return float(np.quantile(steps, 0.75)) if len(steps) else 0.0


def _seen(file: MaskFile) -> str:
    """As in `4 values (0, 1, 2, 255) in palette mode`."""
    where = NAMES.get(file.mode, f"{file.mode} mode")
    if file.stored.ndim == 3:
        rows = np.unique(file.stored.reshape(-1, file.stored.shape[2]), axis=0)
        texts = ["/".join(map(str, row)) for row in rows[:LISTED].tolist()]
        return _listed("colour", texts, len(rows), where)
    found = np.unique(file.stored)
    return _listed("value", [str(int(value)) for value in found[:LISTED]], len(found), where)


def _listed(noun: str, texts: list[str], count: int, where: str) -> str:
    more = ", …" if count > len(texts) else ""
    return f"{count:,} {noun}{'' if count == 1 else 's'} ({', '.join(texts)}{more}) in {where}"
