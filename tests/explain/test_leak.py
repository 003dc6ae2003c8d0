"""Leak scores against Quantus, torch's own upsampling, slow loops and drawings with known answers."""

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from quantus.metrics.localisation.relevance_mass_accuracy import RelevanceMassAccuracy

from whalecam.assessment import assess
from whalecam.config import ASSESSMENTS, Assessable, Thresholds
from whalecam.explain import score

GRIDS = [(4, 4), (7, 7), (3, 5), (1, 1), (14, 14)]
Grid = tuple[int, int]
Pair = tuple[float, float] | NDArray[np.float64]
ANYTHING = Assessable(max_area=1.0, min_spread=-1.0)


def upsampled(maps: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """torch's bilinear upsampling of (..., h, w) to (..., H, W)."""
    given_ = torch.from_numpy(np.asarray(maps, np.float64)).reshape(-1, 1, *maps.shape[-2:])
    full = torch.nn.functional.interpolate(given_, size=size, mode="bilinear", align_corners=False)
    values: NDArray[np.float64] = full.reshape(*maps.shape[:-2], *size).numpy()
    return values


def ellipse(size: Grid = (128, 128), centre: Pair = (0.5, 0.5), radii: Pair = (0.25, 0.3)) -> NDArray[np.float32]:
    rows, columns = ((np.arange(n) + 0.5) / n for n in size)
    inside = ((rows[:, None] - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1
    return inside.astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# ---- the weights ----


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [(128, 128), (30, 41)])
def test_weights_are_the_adjoint_of_torchs_upsampling(grid: Grid, size: Grid, rng: np.random.Generator) -> None:
    mask, seen = rng.random(size), rng.random(size)
    weights = score.weigh(mask, seen, grid)
    cells = torch.zeros(1, 1, *grid, dtype=torch.float64, requires_grad=True)
    full = torch.nn.functional.interpolate(cells, size=size, mode="bilinear", align_corners=False)[0, 0]
    for target, found in (((1 - mask) * seen, weights.water), (seen, weights.total)):
        (expected,) = torch.autograd.grad((full * torch.from_numpy(target)).sum(), cells, retain_graph=True)
        np.testing.assert_allclose(found, expected[0, 0].numpy(), rtol=1e-12, atol=1e-12)


def test_the_weights_hold_every_pixel_once() -> None:
    weights = score.weigh(ellipse((60, 80)), None, (4, 7))
    assert weights.total.sum() == pytest.approx(60 * 80)
    assert weights.water.sum() == pytest.approx(60 * 80 - ellipse((60, 80)).sum())


def test_leak_equals_full_size_upsampling_for_all_classes(rng: np.random.Generator) -> None:
    maps, mask = rng.standard_normal((30, 7, 7)), ellipse()
    full = upsampled(np.maximum(maps, 0), mask.shape)
    expected = (full * (1 - mask)).sum((1, 2)) / full.sum((1, 2))
    np.testing.assert_allclose(score.background_share_of(maps, score.weigh(mask, None, (7, 7))), expected, atol=1e-6)


def slow_leak(values: NDArray[np.float64], mask: NDArray[np.float64]) -> float:
    """Pixel by pixel, with bilinear interpolation between cell centres written out."""
    (h, w), (height, width) = values.shape, mask.shape
    wet = total = 0.0
    for y in range(height):
        for x in range(width):
            row = min(max((y + 0.5) * h / height - 0.5, 0), h - 1)
            column = min(max((x + 0.5) * w / width - 0.5, 0), w - 1)
            here = 0.0
            for i in range(h):
                for j in range(w):
                    near = max(0.0, 1 - abs(row - i)) * max(0.0, 1 - abs(column - j))
                    here += near * max(values[i, j], 0.0)
            wet += here * (1 - mask[y, x])
            total += here
    return wet / total


@pytest.mark.parametrize(("grid", "size"), [((4, 4), (16, 16)), ((3, 2), (10, 13)), ((2, 5), (5, 21))])
def test_leak_equals_the_slow_writing(grid: Grid, size: Grid, rng: np.random.Generator) -> None:
    values, mask = rng.standard_normal(grid), rng.random(size)
    assert float(score.background_share_of(values, score.weigh(mask, None, grid))) == pytest.approx(
        slow_leak(values, mask), abs=1e-9
    )


def test_leak_is_one_minus_quantus_relevance_mass_accuracy(
    rng: np.random.Generator, record_property: Callable[[str, object], None]
) -> None:
    maps = rng.standard_normal((40, 4, 4))
    masks = np.stack([ellipse((128, 128), rng.uniform(0.3, 0.7, 2), rng.uniform(0.15, 0.45, 2)) for _ in maps])
    full = upsampled(np.maximum(maps, 0), (128, 128))[:, None]
    metric = RelevanceMassAccuracy(abs=False, normalise=False, disable_warnings=True)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128 * 128, 2))
    theirs = metric(
        model=network,
        x_batch=np.zeros_like(full, np.float32),
        y_batch=np.zeros(len(maps), int),
        a_batch=full,
        s_batch=masks[:, None].astype(bool),
        channel_first=True,
        device="cpu",
    )
    ours = [
        float(score.background_share_of(m, score.weigh(mask, None, (4, 4))))
        for m, mask in zip(maps, masks, strict=True)
    ]
    worst = float(np.abs(1 - np.array(theirs) - ours).max())
    record_property("quantus", worst)
    print(f"\nQuantus: max difference {worst:.2e}, leaks {min(ours):.2f} to {max(ours):.2f}")
    assert worst <= 1e-6


# ---- drawings with known answers ----

HALF = np.array([[1.0, 1.0, 0.0, 0.0]])
"""One row of four pixels, animal on the left. Two cells upsample to it as 1, ¾, ¼, 0 and 0, ¼, ¾, 1."""


@pytest.mark.parametrize(
    ("values", "expected", "attention_score"),
    [
        ([[1, 0]], 1 / 8, 0),
        ([[0, 1]], 7 / 8, 2),
        ([[1, 1]], 1 / 2, 1),
        ([[3, 1]], 5 / 16, 1 / 2),
        ([[3, -9]], 1 / 8, 0),
    ],
)
def test_two_cells_by_hand(values: list[list[float]], expected: float, attention_score: float) -> None:
    found = score.score(np.array(values, float), score.weigh(HALF, None, (1, 2)))
    assert (found.background_share, found.floor, found.attention_score) == pytest.approx(
        (expected, 1 / 8, attention_score)
    )
    assert (found.chance, found.reason) == (0.5, None)


def test_a_map_inside_the_animal_scores_below_the_floor() -> None:
    mask, inside = np.zeros((64, 64)), np.zeros((8, 8))
    mask[16:48, 16:48], inside[3:5, 3:5] = 1, 1
    found = score.score(inside, score.weigh(mask, None, (8, 8)))
    assert found.background_share == pytest.approx(0) and found.attention_score < 0 < found.floor


def test_a_map_on_water_alone_prefers_the_water() -> None:
    mask, corner = np.zeros((64, 64)), np.zeros((8, 8))
    mask[16:48, 16:48], corner[0, 0] = 1, 1
    found = score.score(corner, score.weigh(mask, None, (8, 8)))
    assert found.background_share == 1 and found.attention_score > 1


def test_padding_is_neither_animal_nor_water() -> None:
    # Left half of eight pixels is image, its left half animal; cell 3 of 4 reaches pixels 5 to 7 only.
    mask, seen = np.repeat([[1.0, 1, 0, 0, 1, 1, 1, 1]], 4, 0), np.repeat([[1.0, 1, 1, 1, 0, 0, 0, 0]], 4, 0)
    weights = score.weigh(mask, seen, (1, 4), ANYTHING)
    assert (weights.area, weights.chance) == (0.5, 0.5)
    assert np.isnan(score.background_share_of(np.array([[0.0, 0, 0, 1]]), weights))
    assert score.background_share_of(np.ones((1, 4)), weights) == pytest.approx(0.5)


@pytest.mark.parametrize("grid", [(4, 4), (3, 7)])
def test_an_input_that_is_all_picture_is_as_one_seen_everywhere(grid: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((30, 20))
    for one, other in ((mask, np.ones_like(mask)), (mask.astype(np.float32), np.ones(mask.shape, np.float32))):
        taken, given = vars(score.weigh(one, None, grid)), vars(score.weigh(one, other, grid))
        for name, value in given.items():
            assert value is None or np.array_equal(taken[name], value), name


def test_a_cell_is_measured_on_the_input_not_on_what_is_seen() -> None:
    # The animal is 1/16 of what is seen but half a cell of the grid.
    mask, seen = np.zeros((16, 16)), np.zeros((16, 16))
    mask[:2, :4], seen[:8] = 1, 1
    assert score.weigh(mask, seen, (4, 4)).reason == "subject smaller than one cell"


@pytest.mark.parametrize("grid", [(4, 4), (7, 7), (5, 8)])
def test_a_flat_map_scores_chance_and_the_perfect_map_the_floor(grid: Grid) -> None:
    mask = ellipse((280, 280))
    weights = score.weigh(mask, None, grid)
    blocks = mask.reshape(grid[0], 280 // grid[0], grid[1], 280 // grid[1])
    flat, perfect = score.score(np.full(grid, 0.3), weights), score.score(blocks.mean((1, 3)), weights)
    assert (flat.background_share, flat.attention_score) == pytest.approx((1 - mask.mean(), 1))
    assert perfect.background_share == pytest.approx(weights.floor) and perfect.attention_score == pytest.approx(
        0, abs=1e-7
    )
    assert flat.chance == pytest.approx(1 - mask.mean())


def test_the_floor_on_a_grid_that_does_not_divide_the_picture() -> None:
    mask = ellipse((128, 128))
    fine = mask.repeat(7, 0).repeat(7, 1)
    perfect = fine.reshape(7, 128, 7, 128).mean((1, 3))
    assert score.score(perfect, score.weigh(mask, None, (7, 7))).attention_score == pytest.approx(0, abs=1e-6)


def test_a_finer_grid_has_a_lower_floor() -> None:
    floors = [score.weigh(ellipse(), None, (n, n)).floor for n in (4, 7, 14, 28)]
    assert floors == sorted(floors, reverse=True) and floors[0] > 2 * floors[2]


# ---- invariances ----

VALUES = arrays(np.float64, (4, 5), elements=st.floats(-5, 5))
MASKS = arrays(np.float64, (12, 15), elements=st.sampled_from([0.0, 0.5, 1.0]))


@settings(max_examples=60, deadline=None)
@given(VALUES, MASKS, st.sampled_from([0, 1, (0, 1)]), st.floats(0.01, 100))
def test_flip_and_scale_change_nothing(
    values: NDArray[np.float64], mask: NDArray[np.float64], axes: int | tuple[int, int], factor: float
) -> None:
    assume(values.max() > 1e-3)
    one, other = (score.weigh(m, None, (4, 5), ANYTHING) for m in (mask, np.flip(mask, axes)))
    before, after = (
        score.background_share_of(values, one),
        score.background_share_of(np.flip(values, axes) * factor, other),
    )
    np.testing.assert_allclose(after, before, atol=1e-9)
    np.testing.assert_allclose([other.floor, other.chance, other.area], [one.floor, one.chance, one.area], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(VALUES, MASKS)
def test_scores_stay_in_their_ranges(values: NDArray[np.float64], mask: NDArray[np.float64]) -> None:
    weights = score.weigh(mask, None, (4, 5))
    found = score.score(values, weights)
    assert 0 <= weights.floor <= 1 and weights.chance == pytest.approx(1 - weights.area)
    assert (found.reason is None) == np.isfinite(found.background_share) == np.isfinite(found.attention_score)
    assert found.reason is not None or 0 <= found.background_share <= 1


@settings(max_examples=30, deadline=None)
@given(VALUES, MASKS)
def test_animal_and_water_share_the_evidence(values: NDArray[np.float64], mask: NDArray[np.float64]) -> None:
    assume(values.max() > 1e-3)
    on_water = score.background_share_of(values, score.weigh(mask, None, (4, 5), ANYTHING))
    on_animal = score.background_share_of(values, score.weigh(1 - mask, None, (4, 5), ANYTHING))
    assert on_water + on_animal == pytest.approx(1)


# ---- not assessable ----


def box(height: int, width: int) -> NDArray[np.float64]:
    mask = np.zeros((100, 100))
    mask[:height, :width] = 1
    return mask


@pytest.mark.parametrize(
    ("mask", "grid", "reason"),
    [
        (box(0, 0), (5, 5), "mask is empty"),
        (box(20, 19), (5, 5), "subject smaller than one cell"),
        (box(20, 20), (5, 5), None),
        (box(91, 100), (5, 5), "subject covers over 90\u00a0% of the image"),
        (box(90, 100), (5, 5), "too little between a perfect and a flat map"),
        (box(80, 100), (5, 5), None),
        (box(50, 100), (1, 1), "subject smaller than one cell"),
        (np.tile(np.eye(10).repeat(5, 1), (10, 2)), (5, 5), "too little between a perfect and a flat map"),
    ],
    ids=["empty", "under a cell", "a cell", "over 90", "90", "80", "one cell in all", "evenly spread"],
)
def test_reasons_of_masks(mask: NDArray[np.float64], grid: Grid, reason: str | None) -> None:
    found = score.score(np.ones(grid), score.weigh(mask, None, grid))
    assert found.reason == reason
    assert np.isnan(found.attention_score) == np.isnan(found.background_share) == (reason is not None)


def test_limits_are_the_callers() -> None:
    area, spread = (
        score.weigh(box(50, 100), None, (5, 5), limits).reason
        for limits in (Assessable(max_area=0.4), Assessable(min_spread=0.6))
    )
    assert area is not None and area.startswith("subject covers over 40\u00a0%")
    assert spread is not None and spread.startswith("too little")


def test_nothing_positive_is_said_not_scored() -> None:
    weights = score.weigh(ellipse(), None, (4, 4))
    found = score.score(-np.ones((4, 4)), weights)
    assert (found.reason, found.chance) == ("no positive evidence", weights.chance)
    both = score.background_share_of(np.stack([-np.ones((4, 4)), np.ones((4, 4))]), weights)
    assert np.isnan(both[0]) and both[1] == pytest.approx(weights.chance)


def test_a_mask_of_another_shape_than_seen_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(4, 5\)"):
        score.weigh(np.ones((4, 4)), np.ones((4, 5)), (2, 2))


# ---- contrasts and regions ----


def test_contrasts_by_hand() -> None:
    maps = np.array([[[3.0, 0.0]], [[1.0, 4.0]], [[2.0, 2.0]]])
    assert score.contrast(maps, "relative", 0).tolist() == [[1, -2]]
    assert score.contrast(maps, "versus", 0, 1).tolist() == [[2, -4]]
    assert score.contrast(maps, "raw", 2).tolist() == [[2, 2]]


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (3, 2, 2), elements=st.floats(-5, 5)), arrays(np.float64, (2, 2), elements=st.floats(-5, 5)))
def test_what_all_classes_share_has_no_say(maps: NDArray[np.float64], shared: NDArray[np.float64]) -> None:
    for kind, other in (("relative", None), ("versus", 2)):
        before, after = score.contrast(maps, kind, 0, other), score.contrast(maps + shared, kind, 0, other)
        np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize(("kind", "other"), [("versus", None), ("absolute", 1)])
def test_an_unknown_contrast_is_an_error(kind: str, other: int | None) -> None:
    with pytest.raises(ValueError, match="relative, versus"):
        score.contrast(np.zeros((2, 1, 1)), kind, 0, other)


def test_region_share_by_hand() -> None:
    assert score.region_share(np.array([[1.0, 0.0]]), HALF) == pytest.approx(7 / 8)
    assert score.region_share(np.array([[0.0, 1.0]]), HALF) == pytest.approx(1 / 8)
    assert score.region_share(np.array([[1.0, 1.0]]), np.ones((1, 4))) == pytest.approx(1)
    assert score.region_share(np.array([[1.0, 1.0]]), np.zeros((1, 4))) == pytest.approx(0)
    assert np.isnan(score.region_share(np.array([[-1.0, 0.0]]), HALF))


# ---- verdicts ----

NAN = np.nan
TRUTH = {
    (1.5, 0.5, ""): "confirmed_leak",
    (1.5, 0.1, ""): "cosmetic",
    (0.5, 0.5, ""): "hidden_reliance",
    (0.5, 0.1, ""): "clean",
    (1.5, NAN, ""): "suspect",
    (0.5, NAN, ""): "not_tested",
    (NAN, NAN, "no mask"): "not_assessable",
    (1.5, NAN, "mask rejected"): "not_assessable",
    (NAN, 0.5, ""): "background_reliance",
    (NAN, 0.1, "subject smaller than one cell"): "clean",
    (1.5, 0.5, "subject smaller than one cell"): "background_reliance",
    (1.5, 0.5, None): "confirmed_leak",
    (1.0, 0.25, ""): "confirmed_leak",
    (np.nextafter(1.0, 0), np.nextafter(0.25, 0), ""): "clean",
    (-2.0, -0.5, ""): "clean",
}


def test_verdicts_by_truth_table() -> None:
    attention_score, reliance = np.array([row[:2] for row in TRUTH], float).T
    reason = np.array([row[2] for row in TRUTH], object)
    assert assess(attention_score, reliance, reason, Thresholds()).tolist() == list(TRUTH.values())
    assert set(TRUTH.values()) == set(ASSESSMENTS)


@pytest.mark.parametrize(("looks", "reliance"), itertools.product([0.5, 1.0], [0.2, 0.4]))
def test_verdicts_follow_the_sliders(looks: float, reliance: float) -> None:
    found = assess(np.array([0.75]), np.array([0.3]), np.array([""]), Thresholds(looks, reliance))
    expected = {(0.5, 0.2): "confirmed_leak", (0.5, 0.4): "cosmetic", (1.0, 0.2): "hidden_reliance"}
    assert found.tolist() == [expected.get((looks, reliance), "clean")]


@pytest.mark.parametrize(
    ("attention_score", "reason", "listed", "passed"),
    [
        (1.5, "", "confirmed_leak", "cosmetic"),
        (0.5, "", "hidden_reliance", "clean"),
        (NAN, "subject smaller than one cell", "background_reliance", "clean"),
    ],
)
def test_a_q_value_decides_in_place_of_needs(attention_score: float, reason: str, listed: str, passed: str) -> None:
    level = Thresholds(false_rate=0.1)
    cases = {(0.1, 0.0): listed, (0.0, NAN): listed, (np.nextafter(0.1, 1), 1.0): passed, (1.0, NAN): passed}
    reliance = np.array([row[1] for row in cases])
    q_value = np.array([row[0] for row in cases])
    verdicts = assess(np.full(4, attention_score), reliance, np.full(4, reason, object), level, q_value=q_value)
    assert verdicts.tolist() == list(cases.values())


def test_needs_decides_where_no_rate_was_controlled() -> None:
    attention_score, reliance, rate = np.full(3, 0.5), np.array([0.5, 0.1, NAN]), np.full(3, NAN)
    verdicts = assess(attention_score, reliance, np.full(3, "", object), Thresholds(), q_value=rate)
    assert verdicts.tolist() == ["hidden_reliance", "clean", "not_tested"]


def test_no_images_have_no_verdicts() -> None:
    assert assess(np.array([]), np.array([]), np.array([], str), Thresholds()).tolist() == []


def test_leak_needs_no_torch() -> None:
    code = "import sys, whalecam.explain.score; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True).returncode == 0
