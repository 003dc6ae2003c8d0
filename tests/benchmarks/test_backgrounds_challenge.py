"""The Backgrounds Challenge on drawn animals: each variant pixel by pixel, and accuracy by animals drawn again."""

import numpy as np
import pytest

from benchmarks.backgrounds_challenge import GAP, NETWORKS, Measured, intervals, measure, report
from benchmarks.protocols.construction import Cutout, Sizes
from benchmarks.protocols.parts import Part
from benchmarks.protocols.stages import Recipe, Stages
from benchmarks.protocols.variants import (
    NEXT,
    NO_FG,
    ONLY_BG_B,
    ONLY_BG_T,
    ONLY_FG,
    ORIGINAL,
    RAND,
    SAME,
    VARIANTS,
    donors_of,
    tiled_over,
    variants,
)
from whalecam.errors import DatasetError

SIDE = 12


def part() -> Part:
    """Animals of grey 200 + label, an L in a box of three by four, on a background of the image's own grey."""
    images, masks = np.zeros((8, SIDE, SIDE, 3), np.uint8), np.zeros((8, SIDE, SIDE), np.float32)
    labels = np.arange(8) % 2
    for at in range(8):
        images[at], masks[at, 2:5, 6], masks[at, 4, 6:10] = 10 + at, 1, 1
        images[at][masks[at] == 1] = 200 + labels[at]
    return Part(images=images, labels=labels, places=labels, animals=np.arange(8) // 2, masks=masks)


def test_every_variant_pixel_by_pixel() -> None:
    known = part()
    made = variants(known, np.random.default_rng(0))
    assert tuple(made) == VARIANTS and made[ORIGINAL] is known.images
    assert known.masks is not None
    for at in range(8):
        animal, box = known.masks[at] == 1, np.zeros((SIDE, SIDE), bool)
        box[2:5, 6:10] = True
        assert (made[ONLY_BG_B][at][box] == 0).all() and (made[ONLY_BG_B][at][~box] == 10 + at).all()
        assert (made[ONLY_BG_T][at] == 10 + at).all()
        assert (made[NO_FG][at][animal] == 0).all() and (made[NO_FG][at][~animal] == 10 + at).all()
        assert (made[ONLY_FG][at][animal] == 200 + at % 2).all() and (made[ONLY_FG][at][~animal] == 0).all()
        for name, parity in ((SAME, at % 2), (NEXT, 1 - at % 2)):
            assert (made[name][at][animal] == 200 + at % 2).all()
            grey = np.unique(made[name][at][~animal])
            assert len(grey) == 1 and (grey[0] - 10) % 2 == parity


def test_a_box_is_tiled_with_the_largest_strip_beside_it() -> None:
    image = np.arange(36, dtype=np.uint8).reshape(6, 6, 1).repeat(3, axis=2)
    covered = tiled_over(image, (slice(1, 6), slice(2, 6)))
    # The strip to the left has twelve pixels, that above six.
    for row in range(1, 6):
        for column in range(2, 6):
            assert covered[row, column, 0] == image[row - 1, (column - 2) % 2, 0]
    assert (covered[0] == image[0]).all() and (covered[:, :2] == image[:, :2]).all()
    assert not tiled_over(image, (slice(0, 6), slice(0, 6))).any()


def test_backgrounds_of_random_labels_come_from_all_and_others_from_one() -> None:
    labels = np.arange(300) % 3
    rng = np.random.default_rng(0)
    same, random, following = (labels[donors_of(labels, name, rng)] for name in (SAME, RAND, NEXT))
    assert (same == labels).all() and (following == (labels + 1) % 3).all()
    assert 0.2 < (random == labels).mean() < 0.45


def test_without_masks_there_are_no_variants() -> None:
    known = part()
    assert known.masks is not None
    known.masks[3] = 0
    with pytest.raises(DatasetError, match="an animal in it"):
        variants(known, np.random.default_rng(0))


def test_accuracy_by_animals_drawn_one_by_one() -> None:
    rng = np.random.default_rng(1)
    seeds = [
        Measured(rng.integers(6, size=30), {"ERM": {name: rng.random(30) < 0.6 for name in VARIANTS}}) for _ in range(2)
    ]
    found, animals = intervals(seeds, "ERM", draws=40), sorted({int(x) for seed in seeds for x in seed.animals})
    by_hand: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for times in np.random.default_rng(0).multinomial(len(animals), [1 / len(animals)] * len(animals), 40):
        for name in VARIANTS:
            each = []
            for seed in seeds:
                rows = [row for row in range(30) for _ in range(times[animals.index(seed.animals[row])])]
                each.append(np.mean([seed.is_right["ERM"][name][row] for row in rows]))
            by_hand[name].append(float(np.mean(each)))
    for name in VARIANTS:
        assert found[name].value == pytest.approx(np.mean([seed.is_right["ERM"][name].mean() for seed in seeds]))
        assert found[name][1:] == pytest.approx(np.quantile(by_hand[name], (0.025, 0.975)))
    gaps = np.array(by_hand[SAME]) - np.array(by_hand[RAND])
    assert found[GAP][1:] == pytest.approx(np.quantile(gaps, (0.025, 0.975)))
    assert found[GAP].value == pytest.approx(found[SAME].value - found[RAND].value)
    assert f"| {GAP} |" in report(seeds) and NETWORKS[1] not in report(seeds)


def test_networks_before_and_after_are_measured_on_all_variants() -> None:
    usable = []
    for number in range(16):
        mask = np.zeros((40, 40), bool)
        mask[(slice(4, 36), slice(16, 24)) if number % 2 else (slice(16, 24), slice(4, 36))] = True
        usable.append(Cutout(np.full((40, 40, 3), 60 + 8 * number, np.uint8), mask, f"{number:02}", number % 2))
    sizes = Sizes(side=32, training=40, validation=8, test=16)
    measured = measure(usable, sizes, Recipe(epochs=1, batch=16), 0, Stages(pretrained=False))
    assert {"ERM", "head, true masks"} <= set(measured.is_right) <= set(NETWORKS)
    assert all(set(by_variant) == set(VARIANTS) for by_variant in measured.is_right.values())
    assert measured.animals.shape == measured.is_right["ERM"][ORIGINAL].shape == (16,)
