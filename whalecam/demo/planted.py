"""Sets with a known leak: one property of the water tells the label in one of them, none in its clean twin."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import Progress, Report, silent
from whalecam.color import to_lab, to_rgb
from whalecam.demo.animals import draw_individual
from whalecam.demo.scene import draw_scene
from whalecam.demo.sea import Water

LABELS = ("humpback_whale", "bottlenose_dolphin")
KINDS = ("leaky", "clean", "flipped")
INDIVIDUALS = 24
WIDTH, HEIGHT = 168, 128
LEAK = 0.97

DOWN = (-0.7, -0.3)
"""The camera looks down: no sky, whose light would stay while that of the water changes."""
PLAIN = Water((0.16, 0.28, 0.34), horizon=DOWN)
LIGHTS, GAINS, WAVE = (24.0, 70.0), (0.3, 2.8), 4.0
Field = NDArray[np.float32]
Finish = Callable[[Field, Field, int], Field]
"""(lightness (H, W) in [0, 100], how much of each pixel is water (H, W) in [0, 1], kind 0 or 1) → lightness."""


def lightened(lightness: Field, water: Field, kind: int) -> Field:
    """Dark (0) or light (1) water, its waves as they are."""
    mean = float((lightness * water).sum() / water.sum())
    return lightness + (LIGHTS[kind] - mean) * water


def roughened(lightness: Field, water: Field, kind: int) -> Field:
    """Calm (0) or choppy (1) water: waves of up to some pixels fainter or stronger, the mean as it is."""
    # Smoothed over water alone: the animal's own outline is no wave.
    level, share = (cv2.GaussianBlur(field, (0, 0), WAVE) for field in (lightness * water, water))
    waves = lightness - level / np.maximum(share, 1e-3)
    return np.asarray(lightness + (GAINS[kind] - 1) * waves * water, np.float32)


@dataclass(frozen=True)
class Plant:
    """One property of the water that tells the label: in what is drawn, or in how the drawing is finished.

    Colours and horizons can be drawn. Lightness cannot, since the light of a drawn sea changes its waves with it.
    """

    waters: tuple[Water, Water]
    finish: Finish | None = None


PLANTS: Mapping[str, Plant] = {
    "colour": Plant((Water((0.09, 0.24, 0.42)), Water((0.20, 0.235, 0.13)))),
    "brightness": Plant((PLAIN, PLAIN), lightened),
    "texture": Plant((PLAIN, PLAIN), roughened),
    "horizon": Plant((Water((0.12, 0.26, 0.38), horizon=(0.16, 0.3)), Water((0.12, 0.26, 0.38), horizon=DOWN))),
}
"""For each planted property the waters of the two labels."""


@dataclass(frozen=True)
class Planted:
    """Where the three sets of one plant lie; each has `train.csv`, `images/` and `masks/` with the same names."""

    leaky: Path
    clean: Path
    flipped: Path


def write_planted(folder: Path, plant: str, images: int = 240, seed: int = 0, *, report: Report = silent) -> Planted:
    """Draw `images` scenes three times: with a water that tells the label (97 %), with any water, with the other one.

    `flipped` is the exact counterfactual of `leaky`: same animal, place, light and waves, only the planted property
    changed.

    Raises KeyError for a plant that is not in PLANTS.
    """
    planted, rng = PLANTS[plant], np.random.default_rng([seed, 41])
    sets = {kind: folder / kind for kind in KINDS}
    for path in sets.values():
        (path / "images").mkdir(parents=True, exist_ok=True)
        (path / "masks").mkdir(exist_ok=True)
    rows = []
    for number in range(images):
        who, is_leaking = int(rng.integers(INDIVIDUALS)), bool(rng.random() < LEAK)
        label = who % 2
        leaky = label if is_leaking else 1 - label
        choice = {"leaky": leaky, "clean": int(rng.integers(2)), "flipped": 1 - leaky}
        for water in range(2):
            folders = [sets[kind] for kind, chosen in choice.items() if chosen == water]
            _draw(folders, number, who, planted, water, seed)
        rows.append((f"{number:05d}.jpg", LABELS[label], f"animal{who:02d}"))
        report(Progress(f"drawing {plant}", number + 1, images))
    for path in sets.values():
        with (path / "train.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "species", "individual_id"), *rows])
    return Planted(**sets)


def _draw(folders: list[Path], number: int, who: int, plant: Plant, kind: int, seed: int) -> None:
    animal = draw_individual(LABELS[who % 2], np.random.default_rng([seed, 17, who]))
    pixels, mask = draw_scene(
        animal, plant.waters[kind], np.random.default_rng([seed, 18, number]), WIDTH, height=HEIGHT
    )
    if plant.finish is not None:
        lab = to_lab(pixels)
        near = cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(np.float32) / 255, (0, 0), 1.0)
        water = np.asarray(1 - near, np.float32)
        lab[..., 0] = np.clip(plant.finish(lab[..., 0], water, kind), 0, 100)
        pixels = to_rgb(lab)
    for folder in folders:
        Image.fromarray(pixels).save(folder / "images" / f"{number:05d}.jpg", quality=95)
        Image.fromarray(mask).save(folder / "masks" / f"{number:05d}.png")
