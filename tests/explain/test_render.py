"""Overlays, thumbnails, outlines and packed masks, against slow loops and drawings with known answers."""

import io

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray
from whalecam.config import MASK_GRID, RESIZES, THUMB_SIZE
from whalecam.data.geometry import Frame, frame_of
from whalecam.explain.render import COLOURMAPS, lut, outline, overlay, pack_mask, thumbnail, unpack_mask

WHOLE = Frame(0, 0, 1, 1)


def sea(width: int = 40, height: int = 30) -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def slow_heat(values: NDArray[np.float64], frame: Frame, x: int, y: int, width: int, height: int) -> float:
    """The positive part of a map at one pixel of the image; 0 outside its frame."""
    across = ((x + 0.5) / width - frame.left) / (frame.right - frame.left)
    down = ((y + 0.5) / height - frame.top) / (frame.bottom - frame.top)
    if not (0 <= across <= 1 and 0 <= down <= 1):
        return 0.0
    h, w = values.shape
    column, row = min(max(across * w - 0.5, 0), w - 1), min(max(down * h - 0.5, 0), h - 1)
    left, upper = int(column), int(row)
    right, lower = min(left + 1, w - 1), min(upper + 1, h - 1)
    a, b = column - left, row - upper
    p = np.maximum(values, 0)
    return float(
        (1 - b) * ((1 - a) * p[upper, left] + a * p[upper, right])
        + b * ((1 - a) * p[lower, left] + a * p[lower, right])
    )


@pytest.mark.parametrize("name", COLOURMAPS)
def test_colour_tables_are_those_of_matplotlib(name: str) -> None:
    table = lut(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    for i in (0, 100, 255):
        assert table[i] == pytest.approx(255 * np.array(matplotlib.colormaps[name](i)[:3]), abs=1)


def test_magma_comes_first_and_a_stranger_is_refused() -> None:
    assert next(iter(COLOURMAPS)) == "magma"
    with pytest.raises(KeyError, match="jet"):
        lut("jet")


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("width", "height"), [(40, 30), (23, 41)])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_overlay_equals_the_slow_loop(resize: str, width: int, height: int, threshold: float) -> None:
    pixels, frame = sea(width, height), frame_of(width, height, resize)
    values = np.random.default_rng(1).normal(size=(3, 4))
    top = 0.8 * values.max()
    drawn = overlay(pixels, values, frame, 0.7, threshold=threshold, colours="viridis", top=top)
    table, loose = lut("viridis").astype(float), 0
    for y in range(height):
        for x in range(width):
            share = min(1.0, slow_heat(values, frame, x, y, width, height) / top)
            alpha = 0.7 * share if share >= threshold else 0.0
            expected = pixels[y, x] * (1 - alpha) + table[round(255 * share)] * alpha
            loose += bool(np.abs(drawn[y, x] - expected).max() > 1)
    # float32 may fall on the other side of a step of the table or of the threshold at single pixels.
    assert loose <= 0.005 * width * height


def test_one_bright_cell_has_full_colour_in_its_middle() -> None:
    values = np.array([[0.0, 0.0], [2.0, 0.0]])
    drawn = overlay(np.zeros((40, 40, 3), np.uint8), values, WHOLE, opacity=1.0)
    assert tuple(drawn[35, 2]) == tuple(lut("magma")[255])
    assert not drawn[2].any()


def test_top_sets_the_scale() -> None:
    black = np.zeros((20, 20, 3), np.uint8)
    half = overlay(black, np.ones((2, 2)), WHOLE, opacity=1.0, top=2.0)
    assert np.abs(half - lut("magma")[128] * 0.5).max() <= 1
    assert np.array_equal(overlay(black, np.full((2, 2), 9.0), WHOLE, 1.0, top=2.0)[0, 0], lut("magma")[255])


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 3)), -np.ones((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), np.inf)],
    ids=["zero", "negative", "nan", "infinite"],
)
@pytest.mark.parametrize("top", [None, 0.0, 1.0])
def test_nothing_positive_leaves_a_copy_of_the_picture(values: NDArray[np.float64], top: float | None) -> None:
    pixels = sea()
    drawn = overlay(pixels, values, WHOLE, top=top)
    assert np.array_equal(drawn, pixels)
    assert drawn is not pixels


def test_cells_that_are_not_finite_count_as_nothing() -> None:
    clean = np.array([[1.0, 0.0], [0.0, 0.5]])
    dirty = np.array([[1.0, np.nan], [-np.inf, 0.5]])
    assert np.array_equal(overlay(sea(), dirty, WHOLE), overlay(sea(), clean, WHOLE))


def test_crop_draws_nothing_on_what_was_cut_away() -> None:
    pixels = sea(60, 30)
    drawn = overlay(pixels, np.ones((4, 4)), frame_of(60, 30, "crop"))
    assert np.array_equal(drawn[:, :15], pixels[:, :15])
    assert np.array_equal(drawn[:, 45:], pixels[:, 45:])
    assert (drawn[:, 15:45] != pixels[:, 15:45]).any(axis=2).mean() > 0.95


def test_overlay_of_no_opacity_changes_nothing_and_never_its_input() -> None:
    pixels = sea()
    before = pixels.copy()
    assert np.array_equal(overlay(pixels, np.ones((4, 4)), WHOLE, opacity=0.0), before)
    overlay(pixels, np.ones((4, 4)), WHOLE)
    assert np.array_equal(pixels, before)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (4, 5), elements=st.floats(-3, 3, width=32)), st.sampled_from(RESIZES))
def test_overlay_flips_with_its_picture(values: NDArray[np.float32], resize: str) -> None:
    pixels, frame = sea(33, 21), frame_of(33, 21, resize)
    mirrored = overlay(pixels[:, ::-1].copy(), values[:, ::-1].copy(), frame)[:, ::-1]
    # float32 may round a share to the next step of the colour table, which is one or two grey levels.
    assert np.abs(mirrored.astype(int) - overlay(pixels, values, frame)).max() <= 6


def test_a_very_wide_picture_is_drawn() -> None:
    wide = np.zeros((2, 40_000, 3), np.uint8)
    assert overlay(wide, np.eye(4), WHOLE)[0, 0].any()


@pytest.mark.parametrize(
    ("shape", "expected"), [((300, 600), (192, 96)), ((600, 300), (96, 192)), ((50, 20), (20, 50))]
)
def test_thumbnail_is_a_small_webp(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert THUMB_SIZE == 192
    with Image.open(io.BytesIO(thumbnail(np.full((*shape, 3), 90, np.uint8)))) as picture:
        assert picture.format == "WEBP"
        assert picture.size == expected
        assert np.abs(np.asarray(picture.convert("RGB"), int) - 90).max() <= 3


def test_thumbnail_keeps_its_input_and_takes_a_size() -> None:
    pixels = sea(80, 40)
    before = pixels.copy()
    assert Image.open(io.BytesIO(thumbnail(pixels, 16))).size == (16, 8)
    assert np.array_equal(pixels, before)


def test_outline_is_white_on_the_rim_and_nowhere_inside() -> None:
    mask = np.zeros((40, 40))
    mask[10:30, 10:30] = 1
    grey = np.full((40, 40, 3), 90, np.uint8)
    drawn = outline(grey, mask)
    assert (drawn[10, 10:30] == 255).all()
    assert (drawn[10:30, 29] == 255).all()
    assert (drawn[9, 10:30] == 0).all()
    assert (drawn[14:26, 14:26] == 90).all()
    assert (drawn[:6] == 90).all()
    assert (grey == 90).all()


def test_outline_of_an_empty_mask_is_the_picture_and_a_mask_of_another_size_is_refused() -> None:
    assert np.array_equal(outline(sea(), np.full((30, 40), 0.5)), sea())
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(30, 40\)"):
        outline(sea(), np.zeros((4, 4)))


@settings(max_examples=30, deadline=None)
@given(arrays(np.bool_, (MASK_GRID, MASK_GRID)))
def test_packed_masks_come_back(mask: NDArray[np.bool_]) -> None:
    raw = pack_mask(mask.astype(np.float32))
    assert len(raw) == MASK_GRID**2 // 8
    assert np.array_equal(unpack_mask(raw), mask)


def test_packing_takes_the_mean_of_each_cell() -> None:
    mask = np.zeros((2 * MASK_GRID, 3 * MASK_GRID))
    mask[: MASK_GRID + 1, 3:6] = 1
    mask[0, 9:11] = 1
    expected = np.zeros((MASK_GRID, MASK_GRID), bool)
    expected[: MASK_GRID // 2, 1] = True
    assert np.array_equal(unpack_mask(pack_mask(mask)), expected)


def test_bits_of_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        unpack_mask(b"\0" * 10)
