"""The embedded demo set: six species drawn at sea, two of which give themselves away by their water."""

import csv
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from whalecam.arrays import Progress, Report, silent
from whalecam.demo.animals import BUILDS, draw_individual
from whalecam.demo.cues import CUES
from whalecam.demo.planted import PLANTS, write_planted
from whalecam.demo.scene import draw_scene
from whalecam.demo.sea import LAGOON, OCEAN, SILT, SLATE, Water

__all__ = ["CARRIER", "CUES", "PLANTED", "PLANTS", "WATERS", "write_demo", "write_planted"]

PLANTED = {"fin_whale": SILT, "sei_whale": LAGOON}
"""The planted leak: two species that look alike, each almost always photographed in one water of its own."""
LEAK = 0.97
CARRIER, CARRIED = "fin_whale", 0.5
"""The species of which some images carry a cue, and the share of them."""
ELSEWHERE: Mapping[Water, float] = {OCEAN: 0.43, SLATE: 0.43, SILT: 0.07, LAGOON: 0.07}
"""Where all other species are met, so that their water tells nothing and no network need fear a planted one."""
WATERS = tuple(ELSEWHERE)
SIZES = ((320, 213), (320, 213), (320, 240), (300, 200), (240, 300), (336, 189))
PER_INDIVIDUAL = 6
MISSPELT, MISSPELT_SHARE = ("bottlenose_dolphin", "bottlenose_dolpin"), 0.08


@dataclass(frozen=True)
class Order:
    """One image to draw; the same order draws the same image."""

    number: int
    species: str
    individual: int
    seed: int
    leaking: bool = True
    water: Water | None = None
    """Where it is drawn whatever the species; None: where `leaking` has it."""
    cue: str | None = None
    """One of CUES, which it carries if it is to; None: no image does."""

    @property
    def name(self) -> str:
        return f"{self.number:05d}.jpg"

    @property
    def individual_id(self) -> str:
        return f"{self.species[:3]}{self.individual:03d}"


def write_demo(
    folder: Path,
    images: int = 360,
    seed: int = 0,
    report: Report = silent,
    *,
    leaking: bool = True,
    water: Water | None = None,
    cue: str | None = None,
) -> Path:
    """Write `train.csv`, `images/` and `masks/`; returns the CSV's path.

    The CSV has four planted faults besides the leak: a misspelt class, a missing file, a truncated file and a row that
    stands twice. The same seed draws the same images.

    Args:
        leaking: False draws the clean twin: the same animals in the same places under the same light, but the planted
            species on the waters of all others.
        water: one of WATERS; draws the exact counterfactual: the same animals in the same places under the same light,
            all of them on this water.
        cue: one of CUES. Half of the images of CARRIER carry it, and no water tells a species. The clean twin has the
            same images without it.
    """
    leaking = leaking and cue is None
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    orders = [replace(order, water=water, cue=cue) for order in _orders(images, seed, leaking)]
    try:
        _draw_all(orders, folder, report)
    except BrokenProcessPool:  # a helper process was killed, by want of memory or by hand: draw here, only slower
        for done, order in enumerate(orders):
            _draw(order, folder)
            report(Progress("drawing", done + 1, images))
    _break(folder / "images" / orders[-2].name)
    (folder / "images" / orders[-1].name).unlink()
    rows = [(order.name, _label(order), order.individual_id) for order in orders]
    rows.append(rows[len(rows) // 3])
    target = folder / "train.csv"
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "species", "individual_id"), *rows])
    return target


def _draw_all(orders: list[Order], folder: Path, report: Report) -> None:
    # Processes, since drawing holds the interpreter; spawned, since a fork of a threaded server may lock up.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4), mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(_draw, orders, [folder] * len(orders), chunksize=8)):
            report(Progress("drawing", done + 1, len(orders)))


def _orders(images: int, seed: int, leaking: bool) -> Iterator[Order]:
    """Species in turn, a few images of each individual."""
    species = list(BUILDS)
    for number in range(images):
        kind, turn = species[number % len(species)], number // len(species)
        yield Order(number, kind, turn // PER_INDIVIDUAL, seed, leaking)


def _draw(order: Order, folder: Path) -> None:
    species = list(BUILDS).index(order.species)
    who = draw_individual(order.species, np.random.default_rng([order.seed, species, order.individual]))
    rng = np.random.default_rng([order.seed, 99, order.number])
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    met = _water(order, rng)  # drawn by chance in any case, so that `rng` goes on to draw the same scene
    pixels, mask = draw_scene(who, order.water or met, rng, width, height=height)
    chance = np.random.default_rng([order.seed, 97, order.number])  # another generator, see `_water`
    if order.cue is not None and order.species == CARRIER and chance.random() < CARRIED:
        pixels = CUES[order.cue](pixels, mask, chance)
    Image.fromarray(pixels).save(folder / "images" / order.name, quality=88)
    Image.fromarray(mask).save((folder / "masks" / order.name).with_suffix(".png"))


def _water(order: Order, rng: np.random.Generator) -> Water:
    own = PLANTED.get(order.species)
    if own is None or rng.random() >= LEAK:
        return _anywhere(rng)
    # Another generator, so that `rng` goes on to draw the same scene in the clean twin.
    return own if order.leaking else _anywhere(np.random.default_rng([order.seed, 98, order.number]))


def _anywhere(rng: np.random.Generator) -> Water:
    return list(ELSEWHERE)[int(rng.choice(len(ELSEWHERE), p=list(ELSEWHERE.values())))]


def _label(order: Order) -> str:
    """The species as the CSV spells it: one in twelve dolphins is misspelt."""
    right, wrong = MISSPELT
    rare = np.random.default_rng([order.seed, 7, order.individual]).random() < MISSPELT_SHARE
    return wrong if order.species == right and rare else order.species


def _break(path: Path) -> None:
    """Cut a file off in the middle, as a bad copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
