"""Which files are masks by grey value, on drawings of every encoding that people use."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from whalecam.data import read_grey, read_mask
from whalecam.explain.masks.values import fault_of

Values = NDArray[np.uint8]
ANIMAL = np.zeros((60, 80), np.uint8)
cv2.ellipse(ANIMAL, (40, 30), (25, 12), 20, 0, 360, 255, -1)
INSIDE = ANIMAL == 255
RIM = cv2.dilate(ANIMAL, np.ones((3, 3), np.uint8)) != cv2.erode(ANIMAL, np.ones((3, 3), np.uint8))


def ids(*numbers: int, border: int | None = None) -> Values:
    """The animal cut into upright strips, each with its number; around all of it a border."""
    values = np.zeros_like(ANIMAL)
    for number, columns in zip(numbers, np.array_split(np.arange(80), len(numbers)), strict=True):
        values[:, columns] = number
    values[~INSIDE] = 0
    if border is not None:
        values[RIM] = border
    return values


def grey(values: Values) -> Image.Image:
    return Image.fromarray(values)


def palette(values: Values, *colours: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(values, "P")
    picture.putpalette([channel for colour in colours for channel in colour])
    return picture


def with_alpha(rgb: int, alpha: Values, outside: int | None = None) -> Image.Image:
    colours = np.full((*alpha.shape, 3), rgb, np.uint8)
    if outside is not None:
        colours[alpha == 0] = outside
    return Image.fromarray(np.dstack([colours, alpha]))


def jpeg_noise(path: Path) -> Image.Image:
    grey(ANIMAL).save(path / "noise.jpg", quality=80)
    return Image.open(path / "noise.jpg").convert("L")


def halved(factor: int) -> Values:
    return np.asarray(Image.fromarray(ANIMAL).resize((80 // factor, 60 // factor), Image.Resampling.BOX))


BLUR = np.asarray(cv2.GaussianBlur(ANIMAL, (0, 0), 6), np.uint8)
FAINT = (cv2.GaussianBlur(ANIMAL, (0, 0), 9) * 0.3).astype(np.uint8)
SURE = np.asarray(np.clip(cv2.GaussianBlur(ANIMAL, (0, 0), 1.5), 1, 254), np.uint8)
"""What a network that is nearly sure draws: 1 on all of the background."""
RAMP = np.tile(np.linspace(0, 255, 1200).astype(np.uint8), (40, 1))
MASKS: dict[str, Callable[[Path], Image.Image]] = {
    "black and white": lambda _: grey(ANIMAL),
    "no animal": lambda _: grey(ANIMAL * 0),
    "all animal": lambda _: grey(ANIMAL | np.uint8(255)),
    "one bit": lambda _: grey(ANIMAL).convert("1"),
    "sixteen bits": lambda _: Image.fromarray(ANIMAL.astype(np.uint16) * 257),
    "sixteen bits up to 255": lambda _: Image.fromarray(ANIMAL.astype(np.uint16)),
    "colour mode": lambda _: grey(ANIMAL).convert("RGB"),
    "opaque": lambda _: grey(ANIMAL).convert("RGBA"),
    "grey palette": lambda _: palette(ANIMAL // 255, (0, 0, 0), (255, 255, 255)),
    "white on clear black": lambda _: with_alpha(255, ANIMAL, outside=0),
    "half the size": lambda _: grey(halved(2)),
    "a quarter of the size": lambda _: grey(halved(4)),
    "blurred": lambda _: grey(BLUR),
    "faint": lambda _: grey(FAINT),
    "nearly sure": lambda _: grey(SURE),
    "a slow ramp": lambda _: grey(RAMP),
    "noise of JPEG": jpeg_noise,
}
OTHERS: dict[str, tuple[Callable[[Path], Image.Image], str]] = {
    "zero and one": (lambda _: grey(INSIDE.astype(np.uint8)), "2 values (0, 1) in grey mode"),
    "zero and one, sixteen bits": (lambda _: Image.fromarray(INSIDE.astype(np.uint16)), "2 values (0, 1) in I;16 mode"),
    "one id": (lambda _: grey(ids(7)), "2 values (0, 7) in grey mode"),
    "ids": (lambda _: grey(ids(1, 2, 3)), "4 values (0, 1, 2, 3) in grey mode"),
    "many ids": (lambda _: grey(ids(*range(1, 11))), "8 values (0, 3, 4, 5, 6, 7, …) in grey mode"),
    "scattered ids": (lambda _: grey(ids(40, 200, 90)), "4 values (0, 40, 90, 200) in grey mode"),
    "ids with a border": (lambda _: grey(ids(1, 2, border=255)), "4 values (0, 1, 2, 255) in grey mode"),
    "thin ids with a border": (
        lambda _: grey(np.where(RIM, 255, np.where(INSIDE, 9, 0)).astype(np.uint8)),
        "(0, 9, 255)",
    ),
    "a middle for what is unsure": (lambda _: grey(ids(128, border=255)), "3 values (0, 128, 255)"),
    "palette": (
        lambda _: palette(ids(1, 2), (0, 0, 0), (128, 0, 0), (0, 128, 0)),
        "3 values (0, 1, 2) in palette mode",
    ),
    "red palette": (
        lambda _: palette(INSIDE.astype(np.uint8), (0, 0, 0), (255, 0, 0)),
        "2 values (0, 1) in palette mode",
    ),
    "ids in a grey palette": (
        lambda _: palette(ids(1, 2), (0, 0, 0), (1, 1, 1), (2, 2, 2)),
        "3 values (0, 1, 2) in palette mode",
    ),
    "alpha alone, black": (lambda _: with_alpha(0, ANIMAL), "RGB with alpha and keeps its outline"),
    "alpha alone, white": (lambda _: with_alpha(255, ANIMAL), "RGB with alpha and keeps its outline"),
    "black animal on clear white": (
        lambda _: with_alpha(0, ANIMAL, outside=255),
        "RGB with alpha and keeps its outline",
    ),
    "a cut-out photograph": (
        lambda _: Image.fromarray(
            np.dstack([np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8), ANIMAL])
        ),
        "colours",
    ),
    "a photograph": (
        lambda _: Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)),
        "colours",
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_greys_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    MASKS[name](tmp_path).save(tmp_path / "a.png")
    file = read_mask(tmp_path / "a.png")
    assert fault_of(file) == ""
    assert np.array_equal(file.values, read_grey(tmp_path / "a.png"))


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_refused_with_what_was_seen(name: str, tmp_path: Path) -> None:
    make, seen = OTHERS[name]
    make(tmp_path).save(tmp_path / "a.png")
    assert seen in fault_of(read_mask(tmp_path / "a.png"))


@given(numbers=st.lists(st.integers(1, 199), min_size=1, max_size=6, unique=True), border=st.sampled_from([None, 255]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_ids_pass_for_greys(numbers: list[int], border: int | None, tmp_path: Path) -> None:
    grey(ids(*numbers, border=border)).save(tmp_path / "ids.png")
    assert "value" in fault_of(read_mask(tmp_path / "ids.png"))


@given(
    x=st.integers(10, 70),
    y=st.integers(10, 50),
    wide=st.integers(2, 30),
    high=st.integers(2, 25),
    factor=st.integers(1, 5),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_soft_edge_passes_for_ids(x: int, y: int, wide: int, high: int, factor: int, tmp_path: Path) -> None:
    drawn = np.zeros((60, 80), np.uint8)
    cv2.ellipse(drawn, (x, y), (wide, high), 30, 0, 360, 255, -1)
    for kind in (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS):
        Image.fromarray(drawn).resize((80 * factor // 3, 60 * factor // 3), kind).save(tmp_path / "soft.png")
        assert fault_of(read_mask(tmp_path / "soft.png")) == ""
