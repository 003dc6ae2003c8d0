"""Kinds of background: their two sides differ in what they are named after, and in nothing else that is measured."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from whalecam.demo.backgrounds import KINDS

SEEDS = range(6)
Measure = Callable[[NDArray[np.float64]], float]
"""Of an image in CIE L*a*b*, (H, W, 3)."""


def water(seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng([seed, 9])
    waves = cv2.GaussianBlur(rng.normal(0, 30, (96, 96)), (0, 0), 2)[..., None]
    return np.clip(np.array([95, 120, 140]) + waves, 0, 255).astype(np.uint8)


def sides(kind: str, seed: int) -> list[NDArray[np.float64]]:
    drawn = [KINDS[kind](water(seed), side, np.random.default_rng(seed)) for side in (0, 1)]
    return [cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(float) for one in drawn]


def light(lab: NDArray[np.float64]) -> float:
    return float(lab[..., 0].mean())


def strength(lab: NDArray[np.float64]) -> float:
    return float(lab[..., 0].std())


def detail(lab: NDArray[np.float64]) -> float:
    """Mean square step between neighbours, relative to the variance: 0 smooth, 2 white noise."""
    return float((np.diff(lab[..., 0], axis=0) ** 2).mean() / lab[..., 0].var())


def upright(lab: NDArray[np.float64]) -> float:
    """How much steeper the waves are along a row than along a column."""
    across, down = ((np.diff(lab[..., 0], axis=axis) ** 2).mean() for axis in (1, 0))
    return float(np.log(across / down))


def downwards(lab: NDArray[np.float64]) -> float:
    return float(lab[:32, :, 0].mean() - lab[-32:, :, 0].mean())


def outwards(lab: NDArray[np.float64]) -> float:
    corners = np.mean([lab[y, x, 0].mean() for y, x in product((slice(12), slice(-12, None)), repeat=2)])
    return float(lab[36:60, 36:60, 0].mean() - corners)


def bright(lab: NDArray[np.float64]) -> float:
    return float((lab[..., 0] > lab[..., 0].mean() + 12).mean())


def sky(lab: NDArray[np.float64]) -> float:
    """Share of the rows that are as blue and as light as a clear sky."""
    return float(((lab[..., 2].mean(axis=1) < -12) & (lab[..., 0].mean(axis=1) > 72)).mean())


def grey_above(lab: NDArray[np.float64]) -> float:
    return float(lab[:15, :, 2].mean())


def brown_below(lab: NDArray[np.float64]) -> float:
    return float(lab[-10:, :, 2].mean())


def redness(lab: NDArray[np.float64]) -> float:
    return float(lab[..., 1].max())


def green(lab: NDArray[np.float64]) -> float:
    return float(lab[..., 2].mean())


TOLD: dict[str, tuple[Measure, float]] = {
    "tint": (green, 20),
    "lightness": (light, 25),
    "grain": (detail, 0.2),
    "contrast": (strength, 5),
    "wave_length": (detail, 0.3),
    "wave_direction": (upright, 2),
    "gradient": (downwards, 10),
    "vignette": (outwards, 6),
    "glints": (bright, 0.01),
    "focus": (detail, 0.2),
    "haze": (downwards, 5),
    "horizon": (sky, 0.15),
    "clouds": (grey_above, 5),
    "shore": (brown_below, 10),
    "objects": (redness, 20),
}
"""Kind → what tells its sides apart, and by how much side 1 has more of it at least."""
STAYS: dict[str, tuple[Measure, float]] = {
    "tint": (light, 1),
    "lightness": (strength, 2),
    "contrast": (light, 1.5),
    "wave_length": (strength, 2),
    "wave_direction": (strength, 2),
    "gradient": (light, 2),
    "vignette": (light, 2),
    "objects": (light, 3),
}
"""Kind → what must not tell them apart."""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_seed_draws_one_picture_and_leaves_what_it_is_drawn_on(kind: str) -> None:
    given = water()
    before = given.copy()
    one, same, other = (KINDS[kind](given, 1, np.random.default_rng(seed)) for seed in (3, 3, 3))
    assert np.array_equal(one, same) and np.array_equal(one, other) and np.array_equal(given, before)
    assert one.shape == given.shape and one.dtype == np.uint8
    assert not np.array_equal(one, KINDS[kind](given, 0, np.random.default_rng(3)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", sorted(TOLD))
def test_the_sides_differ_in_what_the_kind_is_named_after(kind: str, seed: int) -> None:
    measure, least = TOLD[kind]
    nought, one = sides(kind, seed)
    assert measure(one) - measure(nought) >= least


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", sorted(STAYS))
def test_and_not_in_what_another_kind_is_named_after(kind: str, seed: int) -> None:
    measure, most = STAYS[kind]
    nought, one = sides(kind, seed)
    assert abs(measure(one) - measure(nought)) <= most


def test_the_two_signs_of_a_pair_tell_only_together() -> None:
    seen = set()
    for seed in range(24):
        for side, lab in enumerate(sides("pair", seed)):
            is_light, is_green = light(lab) > 49, green(lab) > -8
            assert (is_light ^ is_green) == side
            seen.add((is_light, is_green))
    assert len(seen) == 4, "each sign comes with each side"


def test_every_kind_is_held_to_something() -> None:
    assert {*TOLD, "pair"} == set(KINDS) and len(KINDS) >= 12
