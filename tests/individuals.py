"""A small set of individuals in encounters that share their background, for tests of matches."""

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run

SIDE = 48
PEOPLE, ENCOUNTERS, IMAGES = 6, 2, 3
FIRST_DAY = date(2021, 5, 1)
Pixels = np.ndarray


def draw(
    folder: Path, *, shared: bool = True, seed: int = 0, people: int = PEOPLE, encounters: int = ENCOUNTERS
) -> Path:
    """`train.csv`, `images/`, `masks/`: each individual a square of its own stripes, each encounter of one color.

    Args:
        shared: False draws each image on a color of its own.
    """
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows, number = [], 0
    for who in range(people):
        stripes = np.repeat(rng.integers(60, 250, 8), 3).astype(np.uint8)
        for encounter in range(encounters):
            water = rng.integers(0, 255, 3)
            for _ in range(IMAGES):
                mine = water if shared else rng.integers(0, 255, 3)
                pixels = np.clip(mine + rng.integers(-8, 9, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
                mask = np.zeros((SIDE, SIDE), np.uint8)
                pixels[12:36, 12:36] = stripes[None, :, None]
                mask[12:36, 12:36] = 255
                Image.fromarray(pixels).save(folder / "images" / f"{number:03d}.png")
                Image.fromarray(mask).save(folder / "masks" / f"{number:03d}.png")
                day = FIRST_DAY + timedelta(days=who * encounters + encounter)
                rows.append((f"{number:03d}.png", "orca", f"=whale{who}", day.isoformat()))
                number += 1
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "species", "individual_id", "date"), *rows])
    return folder / "train.csv"


def run_of(folder: Path, csv_file: Path) -> Run:
    """A run of the set, without a network."""
    columns = {"image": "image", "label": "species", "group": "individual_id"}
    return create_run(folder, DatasetRecord(str(csv_file), str(csv_file.parent / "images"), columns, ""))


def water_reader(images: Pixels) -> Pixels:
    """Vectors of the background's colour alone: its rim, raised to tell nearby colours apart."""
    rim = np.concatenate(
        [images[:, :6].reshape(len(images), -1, 3), images[:, -6:].reshape(len(images), -1, 3)], axis=1
    )
    return _bumps(rim.mean(axis=1) / 255)


def animal_reader(images: Pixels) -> Pixels:
    """Vectors of the middle of the image alone."""
    stripes = images[:, 14:34, 12:36].mean(axis=(1, 3)).reshape(len(images), 8, 3).mean(axis=2) / 255
    return _bumps(stripes)


def _bumps(values: Pixels) -> Pixels:
    """Each number as how near it is to eight levels, so that the cosine falls with the distance."""
    near = np.exp(-(((values[:, :, None] - np.linspace(0, 1, 8)) / 0.08) ** 2))
    return np.asarray(near.reshape(len(values), -1) + 1e-6, np.float32)
