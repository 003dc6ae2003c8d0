"""Where a network looks at a species: its maps laid over one another in the coordinates of the animal's box."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.data import geometry
from whalecam.explain import render, score
from whalecam.store.table import MapRow
from whalecam.text import percent
from whalecam.words import Words

CELLS, AROUND = 32, 0.5
"""Cells of an atlas along each side; how far it reaches beyond the box, in sides of the box."""
LOUD = 1.5
"""From how many times the average evidence a part is named."""
MOST = 1500
OUTER = ("above", "below", "beside")


@dataclass(frozen=True)
class Atlas:
    """The mean map of a species in box coordinates.

    Attributes:
        mean: (CELLS, CELLS), evidence in multiples of an image's average; 1 everywhere for flat maps, NaN where no
            image reaches. The box spans the middle; AROUND of it lies on either side.
        images: how many images it is made of.
        leak: mean share of their evidence on water, 0 to 1; NaN where none could be measured.
    """

    mean: NDArray[np.float64]
    images: int
    background_share: float


def atlas(rows: Iterable[MapRow], classes: tuple[str, ...], resize: str) -> Atlas:
    """The mean of the predicted class's relative maps, positive parts, each divided by its own average.

    Args:
        rows: what `table.stored_maps` gives of a species; images without a mask are left out.
        classes: in the order of the maps.
        resize: how images became network input.
    """
    pile = _Pile()
    for row in rows:
        pile.add(row, classes, resize)
    return pile.atlas()


def atlases(rows: Iterable[MapRow], classes: tuple[str, ...], resize: str) -> dict[str, Atlas]:
    """The atlas of each species of the rows: see `atlas`."""
    piles: defaultdict[str, _Pile] = defaultdict(_Pile)
    for row in rows:
        piles[row["label"]].add(row, classes, resize)
    return {species: pile.atlas() for species, pile in piles.items()}


class _Pile:
    """Maps laid over one another so far: their sums, how many reach each cell, and their leaks."""

    def __init__(self) -> None:
        self._total, self._count = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS), int)
        self._images, self._leaks = 0, list[float]()

    def add(self, row: MapRow, classes: tuple[str, ...], resize: str) -> None:
        box = animal_box(row["mask_bits"])
        positive = np.maximum(score.contrast(row["maps"], "relative", classes.index(row["predicted"])), 0)
        if box is None or positive.sum() <= 0:
            return
        frame = geometry.frame_of(row["width"], row["height"], resize)
        relative = in_box(positive / positive.mean(), box, frame)
        seen = np.isfinite(relative)
        self._total[seen] += relative[seen]
        self._count += seen
        self._images += 1
        self._leaks += [] if row["background_share"] is None else [row["background_share"]]

    def atlas(self) -> Atlas:
        mean = np.divide(self._total, self._count, out=np.full_like(self._total, np.nan), where=self._count > 0)
        return Atlas(mean, self._images, float(np.mean(self._leaks)) if self._leaks else float("nan"))


def animal_box(mask_bits: bytes | None) -> tuple[float, float, float, float] | None:
    """The smallest box around a packed mask: left, top, right, bottom in shares of the image's sides; None without
    a mask or an animal."""
    mask = render.unpack_mask(mask_bits) if mask_bits else np.zeros((1, 1), bool)
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def in_box(values: NDArray[Any], box: tuple[float, float, float, float], frame: geometry.Frame) -> NDArray[np.float64]:
    """A map (h, w) over `frame` of an image, read bilinearly in the coordinates of a box: (CELLS, CELLS); NaN outside
    the frame and outside the image."""
    place = -AROUND + (np.arange(CELLS) + 0.5) / CELLS * (1 + 2 * AROUND)
    x, y = box[0] + place * (box[2] - box[0]), box[1] + place * (box[3] - box[1])
    across, down = (x - frame.left) / (frame.right - frame.left), (y - frame.top) / (frame.bottom - frame.top)
    height, width = values.shape
    at_x, at_y = np.meshgrid((across * width - 0.5).astype(np.float32), (down * height - 0.5).astype(np.float32))
    read = cv2.remap(values.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = [(at >= 0) & (at <= 1) & (share >= 0) & (share <= 1) for at, share in ((x, across), (y, down))]
    return np.where(seen[1][:, None] & seen[0][None], read.astype(float), np.nan)


def parts_of(mean: NDArray[np.float64]) -> dict[str, float]:
    """Average evidence of the parts of an atlas, in multiples of an image's average: the thirds of the box from left
    to right and from top to bottom, and the surroundings. NaN where no image reaches."""
    edge = round(CELLS * AROUND / (1 + 2 * AROUND))
    inner = mean[edge:-edge, edge:-edge]
    thirds = np.array_split(np.arange(len(inner)), 3)
    boxes = {name: inner[rows] for name, rows in zip(("top", "middle", "bottom"), thirds, strict=True)}
    boxes |= {
        name: inner[:, columns] for name, columns in zip(("left end", "centre", "right end"), thirds, strict=True)
    }
    outside = mean.copy()
    outside[edge:-edge, edge:-edge] = np.nan
    boxes |= {"above": outside[:edge], "below": outside[-edge:], "beside": outside[edge:-edge]}
    return {name: float(np.nanmean(part)) if np.isfinite(part).any() else np.nan for name, part in boxes.items()}


def caption(atlas: Atlas, words: Words) -> tuple[str, str]:
    """An atlas in words: what share of the evidence lies on the subject and on the background ("" where that is not "
    "known), and
    which parts hold LOUD of the average or more."""
    parts = {name: value for name, value in parts_of(atlas.mean).items() if value >= LOUD}
    loud = sorted(parts, key=lambda name: -parts[name])[:2]
    inside = [name for name in loud if name not in OUTER]
    outside = [name for name in loud if name in OUTER]
    places = [f"at the {' and '.join(inside)} of the box"] if inside else []
    places += [f"{' and '.join(outside)} the box"] if outside else []
    share = atlas.background_share
    on = f"{percent(1 - share)} on the {words.subject}, {percent(share)} on {words.background}"
    return "" if np.isnan(share) else on, f"most {' and '.join(places)}" if places else "no part stands out"
