"""Waterbirds' construction (Sagawa et al. 2020, arXiv 1911.08731) on cut-outs: flukes and dolphins, water and land.

Each image is an animal on a background that is drawn for it alone. In training 95 % of the flukes are on water and 95 %
of the dolphins on land; in validation and test half of each. No animal is in two parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from benchmarks.protocols.parts import Codes, Part, Parts, Pixels
from benchmarks.reliance import pasted
from benchmarks.scenery import land
from whalecam.demo.sea import LAGOON, OCEAN, SILT, SLATE, draw_sea, draw_weather
from whalecam.errors import DatasetError

LABELS = ("dolphin", "fluke")
PLACES = ("land", "water")
SPECIES: Mapping[str, int] = {
    "bottlenose_dolphin": 0,
    "bottlenose_dolpin": 0,
    "common_dolphin": 0,
    "dusky_dolphin": 0,
    "dolphin_unspecified": 0,
    "sperm_whale": 1,
    "humpback_whale": 1,
}
"""Of photos.csv; each as a code of LABELS."""
EXTRA_DOLPHINS = "kh_dolphin_*.jpg"
AGREEMENT = 0.95
SHARES = (0.5, 0.2, 0.3)
"""Of each label's animals in training, validation and test."""
AREA, MOST_UNSURE, LEAST_WHOLE = (0.04, 0.6), 0.25, 0.9
"""Masks that are kept: their area; grey pixels per pixel of the animal; the largest piece's share of it."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A photograph, uint8 RGB (H, W, 3), its animal's mask (H, W), who it is, and its label."""

    pixels: Pixels
    mask: NDArray[np.bool_]
    animal: str
    label: int


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Side of the images in px, how many each part has, and in how many test images label and place agree."""

    side: int = 96
    training: int = 800
    validation: int = 300
    test: int = 600
    test_agreement: float = 0.5


def is_usable(mask: Pixels) -> bool:
    """Whether a grey mask (H, W) shows one whole animal, neither tiny nor large, with a sure outline."""
    inside, grey = mask > 127, mask.astype(np.float64) / 255
    if not inside.any():
        return False
    unsure = 2 * np.minimum(grey, 1 - grey).sum() / inside.sum()
    pieces = cv2.connectedComponentsWithStats(inside.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    whole = pieces.max() / pieces.sum()
    return bool(AREA[0] < inside.mean() < AREA[1] and unsure < MOST_UNSURE and whole > LEAST_WHOLE)


def cutouts(data: Path) -> list[Cutout]:
    """The flukes and dolphins of DATA/photos and DATA/extra whose pseudo-mask is usable, by name."""
    table = pd.read_csv(data / "photos.csv", dtype=str)
    table = table[table["species"].isin(list(SPECIES))].sort_values("image")
    who = table["individual_id"].fillna(table["image"])
    rows = [
        (data / "photos" / image, data / "pseudo_masks", animal, SPECIES[species])
        for image, animal, species in zip(table["image"], who, table["species"], strict=True)
    ]
    extra = data / "extra"
    rows += [(path, extra / "pseudo_masks", path.name, 0) for path in sorted((extra / "photos").glob(EXTRA_DOLPHINS))]
    read = (_cutout(*row) for row in rows)
    return [cutout for cutout in read if cutout is not None]


def _cutout(photo: Path, masks: Path, animal: str, label: int) -> Cutout | None:
    path = masks / f"{photo.stem}.png"
    if not path.is_file():
        return None
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    mask = np.asarray(Image.open(path).convert("L"))
    if mask.shape != pixels.shape[:2] or not is_usable(mask):
        return None
    return Cutout(pixels, mask > 127, animal, label)


def water(rng: Generator, size: int) -> Pixels:
    """A sea or a coast without an animal, uint8 RGB (size, size, 3); no two alike."""
    kind = (OCEAN, SLATE, SILT, LAGOON)[int(rng.integers(4))]
    planes, _ = draw_sea(rng, draw_weather(rng, kind), size, size)
    return np.asarray(np.rint(255 * np.clip(planes, 0, 1)).transpose(1, 2, 0), np.uint8)


def divided(animals: Sequence[str], rng: Generator) -> tuple[list[str], list[str], list[str]]:
    """Animals of training, validation and test, by SHARES; none in two of them."""
    names = sorted(set(animals))
    order = [names[at] for at in rng.permutation(len(names))]
    first = round(SHARES[0] * len(order))
    second = first + round(SHARES[1] * len(order))
    return order[:first], order[first:second], order[second:]


def build(usable: Sequence[Cutout], sizes: Sizes, seed: int) -> Parts:
    """The whole data set of a seed, which chooses the animals of each part, their places and all backgrounds.

    Raises DatasetError for fewer than six animals of a label.
    """
    rng = np.random.default_rng([seed, 95])
    split = [divided([cutout.animal for cutout in usable if cutout.label == label], rng) for label in (0, 1)]
    if min(sum(map(len, parts)) for parts in split) < 6:
        raise DatasetError("There are fewer than six usable animals of a label, too few for three parts.")
    codes = {animal: code for code, animal in enumerate(sorted({cutout.animal for cutout in usable}))}
    members = [set(split[0][at]) | set(split[1][at]) for at in range(3)]
    chosen = [[cutout for cutout in usable if cutout.animal in names] for names in members]
    training = _drawn(chosen[0], sizes.training, AGREEMENT, sizes.side, codes, rng)
    validation = _drawn(chosen[1], sizes.validation, 0.5, sizes.side, codes, rng)
    test = _drawn(chosen[2], sizes.test, sizes.test_agreement, sizes.side, codes, rng)
    return Parts(training=training, validation=validation, test=test)


def places_of(labels: Codes, agreement: float, rng: Generator) -> Codes:
    """(N,): of each label, a share of `agreement` has the place of its own code, to the image."""
    places = 1 - labels
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        places[rows[: round(agreement * len(rows))]] = label
    return places


def _drawn(
    chosen: Sequence[Cutout], count: int, agreement: float, side: int, codes: Mapping[str, int], rng: Generator
) -> Part:
    """Every cut-out about equally often, each time on another background."""
    order = [chosen[at] for at in rng.permutation(np.resize(np.arange(len(chosen)), count))]
    labels = np.array([cutout.label for cutout in order], np.int64)
    places = places_of(labels, agreement, rng)
    images, masks = np.empty((count, side, side, 3), np.uint8), np.empty((count, side, side), np.float32)
    for at, cutout in enumerate(order):
        background = (land, water)[places[at]](rng, side)
        images[at], masks[at] = pasted((cutout.pixels, cutout.mask), background, rng)
    animals = np.array([codes[cutout.animal] for cutout in order], np.int64)
    return Part(images=images, labels=labels, places=places, animals=animals, masks=masks)
