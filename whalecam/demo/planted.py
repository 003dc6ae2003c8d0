"""Sets with a known leak: one property of the water tells the label in one of them, none in its clean twin."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from whalecam.arrays import Progress, Report, silent
from whalecam.demo.animals import draw_individual
from whalecam.demo.scene import draw_scene
from whalecam.demo.sea import Water

LABELS = ("humpback_whale", "bottlenose_dolphin")
KINDS = ("leaky", "clean", "flipped")
INDIVIDUALS = 24
WIDTH, HEIGHT = 168, 128
LEAK = 0.97

PLANTS: Mapping[str, tuple[Water, Water]] = {
    "colour": (Water((0.09, 0.24, 0.42)), Water((0.20, 0.235, 0.13))),
    "brightness": (Water((0.10, 0.20, 0.28)), Water((0.39, 0.475, 0.57))),
    "texture": (Water((0.16, 0.28, 0.34)), Water((0.16, 0.28, 0.34), caustics=1.0)),
    "horizon": (Water((0.12, 0.26, 0.38), horizon=(0.16, 0.3)), Water((0.12, 0.26, 0.38), horizon=(-0.7, -0.3))),
}
"""For each planted property the waters of the two labels."""


@dataclass(frozen=True)
class Planted:
    """Where the three sets of one plant lie; each has `train.csv`, `images/` and `masks/` with the same names."""

    leaky: Path
    clean: Path
    flipped: Path


def write_planted(folder: Path, plant: str, images: int = 240, seed: int = 0, report: Report = silent) -> Planted:
    """Draw `images` scenes three times: with a water that tells the label (97 %), with any water, with the other one.

    `flipped` is the exact counterfactual of `leaky`: same animal, place, light and waves, only the planted property
    changed.

    Raises KeyError for a plant that is not in PLANTS.
    """
    waters, rng = PLANTS[plant], np.random.default_rng([seed, 41])
    sets = {kind: folder / kind for kind in KINDS}
    for path in sets.values():
        (path / "images").mkdir(parents=True, exist_ok=True)
        (path / "masks").mkdir(exist_ok=True)
    rows = []
    for number in range(images):
        who, told = int(rng.integers(INDIVIDUALS)), bool(rng.random() < LEAK)
        label = who % 2
        leaky = label if told else 1 - label
        choice = {"leaky": leaky, "clean": int(rng.integers(2)), "flipped": 1 - leaky}
        for kind, water in choice.items():
            _draw(sets[kind], number, who, waters[water], seed)
        rows.append((f"{number:05d}.jpg", LABELS[label], f"animal{who:02d}"))
        report(Progress(f"drawing {plant}", number + 1, images))
    for path in sets.values():
        with (path / "train.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "species", "individual_id"), *rows])
    return Planted(**sets)


def _draw(folder: Path, number: int, who: int, water: Water, seed: int) -> None:
    animal = draw_individual(LABELS[who % 2], np.random.default_rng([seed, 17, who]))
    picture, mask = draw_scene(animal, water, np.random.default_rng([seed, 18, number]), WIDTH, HEIGHT)
    Image.fromarray(picture).save(folder / "images" / f"{number:05d}.jpg", quality=90)
    Image.fromarray(mask).save(folder / "masks" / f"{number:05d}.png")
