"""Fins told apart by their marks, in encounters that share water and light, in a clean twin, and on another sea."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import Progress, Report, silent
from whalecam.demo.scene import developed
from whalecam.demo.sea import Water, Weather, draw_sea, draw_weather

Points = NDArray[np.float64]
Field = NDArray[np.float32]
SEAS, AGAIN = 8, 4
"""Other seas on which each image is drawn again, and how often it is drawn on its own with other waves."""
ENCOUNTERS, IMAGES = 2, 6
"""Encounters of each individual, and images of each encounter."""
SHARING = 0.6
"""Share of the encounters of the leaky set whose images share their weather; each other image has its own."""
WIDTH, HEIGHT, FINER = 144, 144, 2
WIDTHS, LEANS, TONES = (0.9, 1.1), (0.28, 0.46), (0.28, 0.46)
FIRST_DAY = date(2021, 3, 1)
DOWN = (-0.7, -0.3)
SPECIES = "bottlenose_dolphin"
LEAKY, CLEAN = "leaky", "clean"


@dataclass(frozen=True)
class Fin:
    """One animal's dorsal fin, the same on each of its images, in shares of its height.

    Attributes:
        width, lean: of its base, and of its tip backwards.
        tone: of its skin, in [0, 1].
        nicks: (place on the trailing edge from tip to base, depth, width) of each.
        scars: (x, y, half length, half width, turn, lightness) of each.
    """

    width: float
    lean: float
    tone: float
    nicks: tuple[tuple[float, float, float], ...]
    scars: tuple[tuple[float, float, float, float, float, float], ...]


@dataclass(frozen=True)
class Drawn:
    """Where the sets lie; each has `train.csv`, `images/` and `masks/` with the same names.

    Attributes:
        leaky: most encounters have one weather for all their images, which no other encounter has.
        clean: each image has its own.
        elsewhere: the exact counterfactual of both: the same fin in the same pose, light and waves, in other weathers.
        leaky_again, clean_again: what drawing a photograph anew costs by itself: the same weather, with other waves.
    """

    leaky: Path
    clean: Path
    elsewhere: tuple[Path, ...]
    leaky_again: tuple[Path, ...]
    clean_again: tuple[Path, ...]


def draw_fin(rng: np.random.Generator) -> Fin:
    """A fin with two to four nicks and four to eight scars of its own."""
    nicks = tuple(
        (float(place), float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.03, 0.06)))
        for place in rng.choice(np.linspace(0.15, 0.85, 8), int(rng.integers(2, 5)), replace=False)
    )
    scars = tuple(
        (
            float(rng.uniform(-0.25, 0.25)),
            float(rng.uniform(0.1, 0.75)),
            float(rng.uniform(0.05, 0.16)),
            float(rng.uniform(0.015, 0.05)),
            float(rng.uniform(0, np.pi)),
            float(rng.choice([0.12, 0.7, 0.85])),
        )
        for _ in range(int(rng.integers(4, 9)))
    )
    width, lean, tone = (float(rng.uniform(*ends)) for ends in (WIDTHS, LEANS, TONES))
    return Fin(width, lean, tone, nicks, scars)


def outline(fin: Fin) -> Points:
    """The fin's outline from the front of its base over the tip to the back, x forwards, y up; (n, 2)."""
    t = np.linspace(0, 1, 120)[:, None]
    front, back = np.array([0.5 * fin.width, 0.0]), np.array([-0.5 * fin.width, 0.0])
    tip = np.array([-fin.lean, 1.0])
    rise = _curve(front, np.array([0.18 * fin.width, 0.75]), tip, t)
    fall = _curve(tip, np.array([-0.22 * fin.width, 0.45]), back, t)
    for place, depth, width in fin.nicks:
        fall[:, :1] += depth * np.exp(-(((t - place) / width) ** 2))
    return np.concatenate([rise, fall, [[-0.5 * fin.width, -0.2], [0.5 * fin.width, -0.2]]])


def draw_photograph(
    fin: Fin, weather: Weather, rng: np.random.Generator, waves: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph (HEIGHT, WIDTH, 3) of a fin and its mask, 255 on it; both uint8.

    The generator draws pose, waves and grain alike whatever the weather is. For each number `waves` are others.
    """
    w, h = WIDTH * FINER, HEIGHT * FINER
    height, x, base = rng.uniform(0.5, 0.68) * h, rng.uniform(0.42, 0.62) * w, rng.uniform(0.74, 0.86) * h
    turn, seeds = rng.normal(0, 0.08), rng.integers(1 << 30, size=2)
    # The sea takes as many numbers as the weather needs, so it has a generator of its own.
    scene, _ = draw_sea(np.random.default_rng(seeds[0] + waves), weather, w, h)
    cos, sin = np.cos(turn), np.sin(turn)
    placed = (outline(fin) @ np.array([[cos, -sin], [sin, cos]])) * height * (1, -1) + (x, base)
    area = np.zeros((h, w), np.uint8)
    cv2.fillPoly(area, [np.round(placed * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    alpha = np.asarray(area, np.float32) / np.float32(255)
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    across, up = (columns - x) / height, (base - rows) / height
    u, v = across * cos - up * sin, across * sin + up * cos
    alpha = alpha * np.clip((up + 0.01) * height / FINER, 0, 1)
    scene += alpha * (_skin(fin, u, v, weather.light)[None] - scene)
    pixels = developed(scene, np.random.default_rng(seeds[1]), weather, width=WIDTH, height=HEIGHT)
    small = cv2.resize(alpha, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return pixels, np.asarray((small > 0.5) * 255, np.uint8)


def write_encounters(
    folder: Path, *, individuals: int = 24, seed: int = 0, seas: int = SEAS, again: int = AGAIN, report: Report = silent
) -> Drawn:
    """Draw ENCOUNTERS × IMAGES photographs of each individual in the sets of `Drawn`."""
    elsewhere = [_Set(f"elsewhere-{sea}", sea) for sea in range(seas)]
    redrawn = [[_Set(f"{name}-again-{waves}", name, waves) for waves in range(1, again + 1)] for name in (LEAKY, CLEAN)]
    sets = [_Set(LEAKY, LEAKY), _Set(CLEAN, CLEAN), *elsewhere, *redrawn[0], *redrawn[1]]
    for each in sets:
        (folder / each.name / "images").mkdir(parents=True, exist_ok=True)
        (folder / each.name / "masks").mkdir(exist_ok=True)
    rows, total = [], individuals * ENCOUNTERS * IMAGES
    for number in range(total):
        encounter, who = number // IMAGES, number // (IMAGES * ENCOUNTERS)
        fin = draw_fin(np.random.default_rng([seed, 51, who]))
        for each in sets:
            pixels, mask = _photograph(fin, each, seed, number)
            Image.fromarray(pixels).save(folder / each.name / "images" / f"{number:05d}.jpg", quality=95)
            Image.fromarray(mask).save(folder / each.name / "masks" / f"{number:05d}.png")
        day = FIRST_DAY + timedelta(days=encounter)
        rows.append((f"{number:05d}.jpg", SPECIES, f"fin{who:03d}", day.isoformat()))
        report(Progress("drawing encounters", number + 1, total))
    for each in sets:
        _write_table(folder / each.name / "train.csv", rows)
    leaky_again, clean_again = (tuple(folder / each.name for each in some) for some in redrawn)
    places = tuple(folder / each.name for each in elsewhere)
    return Drawn(folder / LEAKY, folder / CLEAN, places, leaky_again, clean_again)


@dataclass(frozen=True)
class _Set:
    """One set of photographs: its weather is that of the leaky or the clean set, or of another sea by its number."""

    name: str
    weather: str | int
    waves: int = 0


def _photograph(fin: Fin, of: _Set, seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    encounter = number // IMAGES
    light = float(np.random.default_rng([seed, 50, number]).uniform(0.85, 1.1))
    if isinstance(of.weather, int):
        seeds = [seed, 56 + of.weather, number]
    elif of.weather == LEAKY and _is_sharing(seed, encounter):
        seeds = [seed, 54, encounter]
    else:
        seeds = [seed, 55, number]
    return draw_photograph(fin, _weather(seeds, light), np.random.default_rng([seed, 52, number]), of.waves)


def _is_sharing(seed: int, encounter: int) -> bool:
    return bool(np.random.default_rng([seed, 53, encounter]).random() < SHARING)


def _weather(seeds: Sequence[int], light: float) -> Weather:
    """A water of any colour under a sky of its own; the light on the animal is as given."""
    rng = np.random.default_rng(seeds)
    red, green, blue = (float(value) for value in rng.uniform(0.08, 0.5, 3))
    return replace(draw_weather(rng, Water((red, green, blue), horizon=DOWN)), light=light)


def _skin(fin: Fin, u: Field, v: Field, light: float) -> Field:
    """How light the skin is, (H, W): darker at the base, with scars."""
    grey = np.asarray(fin.tone * (0.8 + 0.35 * np.clip(v, 0, 1)), np.float32)
    for x, y, long, wide, turn, lightness in fin.scars:
        across, up = u - np.float32(x - fin.lean * y), v - np.float32(y)
        along = across * np.float32(np.cos(turn)) + up * np.float32(np.sin(turn))
        aside = up * np.float32(np.cos(turn)) - across * np.float32(np.sin(turn))
        amount = 1 / (1 + np.exp(np.clip((np.hypot(along / long, aside / wide) - 1) * 8, -50, 50)))
        grey += (np.float32(lightness) - grey) * np.asarray(amount, np.float32)
    return np.asarray(grey * np.float32(light), np.float32)


def _curve(a: Points, b: Points, c: Points, t: Points) -> Points:
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)


def _write_table(target: Path, rows: Sequence[Sequence[str]]) -> None:
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "species", "individual_id", "date"), *rows])
