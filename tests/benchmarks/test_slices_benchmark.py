"""Planted slices: what is drawn, what is taught, and how a found slice is scored, by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.protocols.detectors import slices_of_mixture
from benchmarks.slices import FIGURES, METHODS, TOP, by_loss, noted, overlap, precision, report, scored, sides_of


@pytest.mark.parametrize(
    ("plant", "first", "second"), [("correlation", 0.03, 0.97), ("rare", 0.03, 0.5), ("noisy", 0.5, 0.5)]
)
def test_sides_go_with_labels_as_the_plant_has_it(plant: str, first: float, second: float) -> None:
    labels = np.arange(4000) % 2
    sides = sides_of(plant, labels, np.random.default_rng(0))
    assert [sides[labels == label].mean() for label in (0, 1)] == pytest.approx([first, second], abs=0.04)


def test_only_the_noisy_plant_teaches_wrong_labels_and_only_on_its_slice() -> None:
    labels, sides = np.arange(4000) % 2, np.arange(4000) // 2 % 2
    assert np.array_equal(noted("rare", labels, sides, np.random.default_rng(0)), labels)
    taught = noted("noisy", labels, sides, np.random.default_rng(0))
    on_slice = (labels == 0) & (sides == 1)
    assert np.array_equal(taught[~on_slice], labels[~on_slice])
    assert taught[on_slice].mean() == pytest.approx(0.8, abs=0.04)


def test_precision_and_overlap_by_hand() -> None:
    is_planted = np.arange(30) < 12
    assert precision(np.arange(6, 26), is_planted) == 6 / TOP and precision(np.arange(4), is_planted) == 4 / TOP
    assert overlap(np.arange(6, 26), is_planted) == 6 / 26 and overlap(np.arange(12), is_planted) == 1


def clouds() -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Two labels of two sides in clouds; the network names label 0 wrongly on side 1."""
    rng, labels, sides = np.random.default_rng(0), np.arange(200) % 2, np.arange(200) // 2 % 2
    features = rng.normal(0, 0.1, (200, 4)) + np.stack([labels, sides, 0 * labels, 0 * labels], axis=1)
    wrong = np.where((labels == 0) & (sides == 1), 0.9, 0.05)
    other = np.where(labels == 0, wrong, 1 - wrong)
    return (features, np.stack([1 - other, other], axis=1), labels), sides == 1


def test_every_method_finds_a_slice_that_is_a_cloud() -> None:
    judged, is_on_side = clouds()
    scores = scored(judged, is_on_side, 0)
    assert scores["excess"] == 1 and len(scores) == 1 + len(METHODS) * len(FIGURES)
    assert all(scores[f"precision@10, {name}"] == 1 for name in METHODS)
    assert scores["overlap, slices (ours)"] == 1 and scores["overlap, loss"] == TOP / 50
    assert [rows.tolist()[0] % 4 for rows in by_loss(judged)] == [2, 1]


def test_the_mixture_gives_each_image_to_one_slice_the_worst_first() -> None:
    judged, is_on_side = clouds()
    found = slices_of_mixture(*judged)
    assert sorted(np.concatenate(found).tolist()) == list(range(200))
    assert (is_on_side & (judged[2] == 0))[found[0]].all()


def test_slices_that_hardly_fail_are_counted_and_left_out() -> None:
    judged, is_on_side = clouds()
    rows = [{"kind": kind, "plant": "rare", **scored(judged, is_on_side, 0)} for kind in ("tint", "haze")]
    rows.append(rows[0] | {"excess": 0.1, "overlap, loss": 0.0})
    text = report(pd.DataFrame(rows))
    assert "| rare | 2 of 3 | 1.00 (1.00 to 1.00) |" in text and "| all | 2 of 3 |" in text
    assert "| noisy | 0 of 0 | – |" in text and "0.20 (0.20 to 0.20)" in text
