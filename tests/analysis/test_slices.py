"""Slices: clouds with known mistakes, every formula a second time, and no slice where mistakes fall by chance."""

from math import comb, log

import numpy as np
import pandas as pd
import pytest

from whalecam.analysis.patterns.slices import (
    LEVEL,
    MAX_SHARE,
    MIN_IMAGES,
    MIN_MISTAKES,
    RIDGE,
    Slice,
    left_out,
    members_of,
    slices,
    surprises,
    traits_of,
)


def clouds(
    label: str, sizes: tuple[int, ...], mistakes: tuple[int, ...], seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Images of a label in clouds, the first of each named wrongly; each second cloud is near the one before it."""
    rng, rows, vectors = np.random.default_rng(seed), [], []
    for cloud, (size, wrong) in enumerate(zip(sizes, mistakes, strict=True)):
        middle = np.eye(12)[cloud - cloud % 2] + 0.6 * (cloud % 2) * np.eye(12)[cloud]
        vectors.append(rng.normal(0, 0.05, (size, 12)) + middle)
        names = [(f"{label}{cloud}-{at:02}", label, "other" if at < wrong else label) for at in range(size)]
        rows += names
    return pd.DataFrame(rows, columns=["image", "label", "predicted"]), np.concatenate(vectors).astype(np.float32)


def test_the_cloud_in_which_the_network_errs_is_the_slice() -> None:
    rows, vectors = clouds("a", (20, 20, 20), (15, 2, 1))
    (found,) = slices(rows, vectors)
    assert found.label == "a" and set(found.images) == {f"a0-{at:02}" for at in range(20)}
    assert (found.mistakes, found.others, found.other_mistakes) == (15, 40, 3)
    assert found.p_value == 1 / 200 and found.error_gap == pytest.approx(15 / 20 - 3 / 40)
    assert set(found.images[:15]) == {f"a0-{at:02}" for at in range(15)}, "mistakes first"


def test_of_like_images_the_most_typical_is_first() -> None:
    rows, vectors = clouds("a", (20, 20, 20), (15, 0, 0))
    (found,) = slices(rows, vectors)
    by_name = dict(zip(rows["image"], vectors.astype(float), strict=True))
    middle = np.mean([by_name[name] for name in found.images], axis=0)
    away = [float(np.linalg.norm(by_name[name] - middle)) for name in found.images]
    assert away[:15] == sorted(away[:15]) and away[15:] == sorted(away[15:])


def test_the_order_of_rows_changes_nothing_and_labels_are_corrected_together() -> None:
    first, second = clouds("a", (20, 20, 20), (15, 2, 1)), clouds("b", (20, 20, 20), (3, 4, 3), seed=1)
    rows = pd.concat([first[0], second[0]], ignore_index=True)
    vectors = np.concatenate([first[1], second[1]])
    (found,) = slices(rows, vectors)
    assert found.label == "a" and found.p_value == 2 / 200
    order = np.random.default_rng(0).permutation(len(rows))
    (again,) = slices(rows.iloc[order], vectors[order])
    assert set(again.images) == set(found.images) and again.mistakes == found.mistakes


def test_slices_of_a_label_share_no_image_and_the_worst_is_first() -> None:
    rows, vectors = clouds("a", (20, 20, 20, 20), (16, 1, 19, 0))
    found = slices(rows, vectors)
    images = [image for each in found for image in each.images]
    assert len(set(images)) == len(images) and {f"a2-{at:02}" for at in range(19)} <= set(images)
    assert sum(each.mistakes for each in found) >= 34 and len(images) <= 45
    assert [each.error_gap for each in found] == sorted((each.error_gap for each in found), reverse=True)


def test_mistakes_that_fall_by_chance_make_a_slice_no_more_often_than_said() -> None:
    vectors, rng, found = clouds("a", (16, 16, 16), (0, 0, 0))[1], np.random.default_rng(5), 0
    names = [f"{at:02}" for at in range(48)]
    for _ in range(80):
        predicted = np.where(rng.random(48) < 0.3, "other", "a")
        found += bool(slices(pd.DataFrame({"image": names, "label": "a", "predicted": predicted}), vectors))
    assert found <= 10, "4 of 80 are expected; more than 10 would happen once in 300 times"


@pytest.mark.parametrize("mistakes", [(MIN_MISTAKES - 1, 0), (10, 20)])
def test_too_few_mistakes_or_too_few_without_one_say_nothing(mistakes: tuple[int, int]) -> None:
    rows, vectors = clouds("a", (11, 20), mistakes)
    assert slices(rows, vectors) == []
    assert slices(*clouds("a", (MIN_IMAGES, MIN_IMAGES - 1), (MIN_IMAGES, 0))) == []


def test_branches_of_a_tree_by_hand() -> None:
    """Twenty leaves: 0 to 8 joined one after the other, then 9 to 19, then both."""
    tree, last = [], 0
    for leaf in range(1, 9):
        tree.append((last, leaf))
        last = 20 + len(tree) - 1
    left, last = last, 9
    for leaf in range(10, 20):
        tree.append((last, leaf))
        last = 20 + len(tree) - 1
    tree.append((left, last))
    found = {tuple(np.flatnonzero(row).tolist()) for row in members_of(np.array(tree, float), 20)}
    most = int(MAX_SHARE * 20)
    expected = {tuple(range(size)) for size in (8, 9)} | {tuple(range(9, 9 + size)) for size in range(8, 12)}
    assert found == expected and all(MIN_IMAGES <= len(branch) <= most for branch in found)


def test_the_surprise_is_the_tail_of_the_hypergeometric_distribution() -> None:
    table = surprises(30, 9)
    for size, inside in ((8, 0), (8, 3), (12, 9), (20, 5)):
        ways = sum(comb(9, k) * comb(21, size - k) for k in range(inside, min(size, 9) + 1))
        assert table[size, inside] == pytest.approx(-log(ways / comb(30, size)), abs=1e-9)
    assert np.isinf(table[4, 5]), "more mistakes than images"


def test_each_image_is_expected_to_be_wrong_by_all_others() -> None:
    rng = np.random.default_rng(0)
    points, is_wrong = rng.normal(size=(20, 3)), (rng.random((20, 2)) < 0.4).astype(np.int64)
    scaled = points / points.std(axis=0)
    for at, expected in enumerate(left_out(points, is_wrong)):
        others = np.arange(20) != at
        inputs = np.concatenate([np.ones((19, 1)), scaled[others]], axis=1)
        penalty = RIDGE * 20 * np.diag([0, 1, 1, 1])
        weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ is_wrong[others])
        np.testing.assert_allclose(np.array([1, *scaled[at]]) @ weights, expected, atol=1e-9)


def test_a_direction_that_crosses_every_cloud_is_found() -> None:
    """Each cloud has both kinds of image; no branch of the tree is one of them, but the mistakes lie to one side."""
    rows, vectors = clouds("a", (24, 24, 24), (0, 0, 0))
    side = np.arange(72) % 2
    vectors[:, 10] += 0.3 * side
    is_wrong = (side == 1) & (np.arange(72) % 8 != 1)
    rows["predicted"] = np.where(is_wrong, "other", "a")
    (found,) = slices(rows, vectors)
    planted = set(rows["image"][side == 1])
    assert len(planted & set(found.images)) >= 33 and len(set(found.images) - planted) <= 3


def test_traits_by_counting_pairs_and_shares() -> None:
    here = pd.DataFrame(
        {"light": [0.1, 0.2, 0.3, np.nan], "place": ["bay", "bay", "bay", "fjord"], "same": [1, 1, 1, 1]}
    )
    elsewhere = pd.DataFrame({"light": [0.25, 0.5, 0.6], "place": ["fjord", "bay", ""], "same": [1, 1, 1]})
    first, second = traits_of(here, elsewhere, ["light", "place", "same", "absent"])
    pairs = [np.sign(a - b) for a in (0.1, 0.2, 0.3) for b in (0.25, 0.5, 0.6)]
    assert (first.name, first.value, first.here, first.elsewhere) == ("light", "", 0.2, 0.5)
    assert first.effect == pytest.approx(np.mean(pairs)) and first.effect < 0
    assert (second.name, second.value) == ("place", "bay")
    assert (second.here, second.elsewhere, second.effect) == pytest.approx((3 / 4, 1 / 3, 3 / 4 - 1 / 3))
    assert traits_of(here, elsewhere, ["place"], least=0.5) == []


def test_a_slice_is_never_beyond_the_level() -> None:
    rows, vectors = clouds("a", (12, 30), (6, 9), seed=3)
    assert all(isinstance(each, Slice) and each.p_value < LEVEL for each in slices(rows, vectors))
