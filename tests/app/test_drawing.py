"""The mask that a person draws: run lengths there and back, what is refused, and the outline that GrabCut finds."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from whalecam.app.components.canvas import _event
from whalecam.app.components.canvas.drawing import CutRequest, Drawing, Saved, corners_of, grid_of
from whalecam.errors import ReviewError
from whalecam.explain.masks.cutout import cut_out

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
def test_any_mask_comes_back_from_its_run_lengths(mask: NDArray[np.bool_]) -> None:
    drawing = Drawing.of(mask)
    assert sum(drawing.runs) == mask.size and all(run > 0 for run in drawing.runs[1:])
    assert np.array_equal(drawing.mask(), mask)
    height, width = mask.shape
    assert Drawing.read(dict(drawing.packed()), width, height) == drawing


@pytest.mark.parametrize(
    ("rows", "runs"),
    [(["..##", "#..."], (2, 3, 3)), (["####"], (0, 4)), (["...."], (4,)), (["#..#"], (0, 1, 2, 1))],
)
def test_run_lengths_are_those_of_the_browser(rows: list[str], runs: tuple[int, ...]) -> None:
    assert Drawing.of(np.array([[cell == "#" for cell in row] for row in rows])).runs == runs


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"width": 4, "height": 2, "runs": [8, 1]},
        {"width": 4, "height": 2, "runs": [7]},
        {"width": 4, "height": 2, "runs": [-1, 9]},
        {"width": 4, "height": 2, "runs": [4.0, 4]},
        {"width": 4, "height": 2, "runs": [True, 7]},
        {"width": 4, "height": 2, "runs": "8"},
        {"width": 2, "height": 4, "runs": [8]},
        {"width": 4, "runs": [8]},
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(content: Any) -> None:
    with pytest.raises(ReviewError, match="no mask of 4 × 2 cells"):
        Drawing.read(content, 4, 2)


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_grid_has_the_shape_of_its_image_and_a_bounded_size(width: int, height: int) -> None:
    wide, high = grid_of(width, height)
    assert min(wide, high) >= 1 and max(wide, high) == min(640, max(width, height))
    if min(wide, high) > 20:
        assert wide / high == pytest.approx(width / height, rel=0.03)


def test_a_person_begins_with_the_present_mask_at_the_image_s_grid() -> None:
    coarse = np.zeros((8, 8), bool)
    coarse[2:6, 1:5] = True
    start = Drawing.start(coarse, 1280, 960)
    assert (start.width, start.height) == (640, 480)
    ys, xs = np.nonzero(start.mask())
    assert (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1) == (80, 400, 120, 360)
    assert not Drawing.start(None, 1280, 960).mask().any()


@pytest.mark.parametrize("content", [None, [], [[0, 0]], [[0, 0], [1, 2]], [[0, "a"], [1, 1]], [[0, 0, 0], [1, 1]], 3])
def test_corners_that_are_none_ask_for_nothing(content: Any) -> None:
    assert corners_of(content) is None


def test_what_was_drawn_counts_for_the_image_on_the_screen_alone() -> None:
    mask = {"width": 1, "height": 1, "runs": [1]}
    assert _event(("mask", {"id": "1", "shown": 7, "mask": mask}), 7) == Saved("1", mask)
    assert _event(("mask", {"id": "1", "shown": 8, "mask": mask}), 7) is None
    corners = [[0.1, 0.2], [1, 0.5]]
    assert _event(("cut", {"id": "2", "shown": 7, "corners": corners}), 7) == CutRequest("2", ((0.1, 0.2), (1.0, 0.5)))
    assert _event(("cut", {"id": "2", "shown": 7, "corners": None}), 7) is None
    assert _event(("pressed", {"name": "next"}), 7) == "next"
    assert _event(None, 7) is None


def ellipse(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A dark ellipse on light noise, and where it is."""
    mask = cv2.ellipse(np.zeros((height, width), np.uint8), (width // 2, height // 2), (60, 30), 20, 0, 360, 1, -1)
    noise = np.random.default_rng(0).integers(-12, 13, (height, width, 3))
    colors = np.where(mask[..., None] > 0, [30, 40, 60], [150, 190, 200])
    return np.clip(colors + noise, 0, 255).astype(np.uint8), mask > 0


@pytest.mark.parametrize("corners", [((0.2, 0.2), (0.8, 0.8)), ((0.8, 0.2), (0.2, 0.8)), ((0.0, 0.0), (1.0, 1.0))])
def test_grabcut_finds_what_was_drawn_between_any_two_corners(corners: Any) -> None:
    pixels, mask = ellipse(160, 220)
    subject = cut_out(pixels, *corners)
    assert subject is not None and subject.shape == mask.shape
    assert (subject & mask).sum() / (subject | mask).sum() > 0.95
    again = cut_out(pixels, *corners)
    assert again is not None and np.array_equal(subject, again), "the same in every call"


def test_a_large_image_is_cut_at_its_own_size() -> None:
    pixels, mask = ellipse(160, 220)
    large = cv2.resize(pixels, (1100, 800), interpolation=cv2.INTER_NEAREST)
    subject = cut_out(np.asarray(large, np.uint8), (0.2, 0.2), (0.8, 0.8))
    assert subject is not None and subject.shape == (800, 1100)
    expected = cv2.resize(mask.astype(np.uint8), (1100, 800), interpolation=cv2.INTER_NEAREST) > 0
    assert (subject & expected).sum() / (subject | expected).sum() > 0.95


def test_a_box_without_anything_in_it_gives_no_outline() -> None:
    pixels, _ = ellipse(160, 220)
    assert cut_out(pixels, (0.5, 0.5), (0.5, 0.5)) is None
    assert cut_out(np.full((90, 120, 3), 100, np.uint8), (0.2, 0.2), (0.25, 0.21)) is None
