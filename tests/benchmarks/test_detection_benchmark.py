"""Detectors of leaks: each score by hand or slowly on a few activations, and precision with ties."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.detection import DRAWS, OURS, Trained, metrics_of, report
from benchmarks.protocols.detectors import (
    DETECTORS,
    Seen,
    error_set,
    heat_share,
    loss,
    mixture,
    precision_at,
    spray,
    spuriosity,
)
from benchmarks.protocols.scores import mean_of
from benchmarks.protocols.stages import Linear

SIDE, GRID, EACH = 16, 4, 20


def seen() -> Seen:
    """Feature 0 lies on the animal (the left half), feature 1 on the background; label 1's images have more of both.

    The layer takes feature 1 for label 1 and feature 0 for label 0. Half of the images are strongly active.
    """
    rng, count = np.random.default_rng(0), 2 * EACH
    labels = np.repeat([0, 1], EACH)
    activations = 0.01 * rng.random((count, 3, GRID, GRID))
    strength = np.where(np.arange(count) % 2 == 0, 3.0, 1.0)[:, None, None]
    activations[:, 0, :, :2] += np.where(labels == 0, 1.0, 0.2)[:, None, None] * strength
    activations[:, 1, :, 2:] += np.where(labels == 1, 1.0, 0.2)[:, None, None] * strength
    masks = np.zeros((count, SIDE, SIDE), np.float32)
    masks[:, :, : SIDE // 2] = 1
    layer = Linear(np.array([[4.0, -4.0, 0.0], [-4.0, 4.0, 0.0]]), np.zeros(2))
    pooled = activations.mean(axis=(2, 3))
    return Seen(
        training=pooled, training_labels=labels, activations=activations, labels=labels, masks=masks, layer=layer
    )


def test_the_heat_of_the_class_that_looks_at_the_background_lies_on_it() -> None:
    shares = heat_share(seen())
    assert shares[:EACH].max() < 0.25 < 0.75 < shares[EACH:].min()


def test_maps_add_up_to_the_logit_of_the_prediction_relative_to_the_mean() -> None:
    known = seen()
    for image in range(3):
        slow = np.zeros((GRID, GRID))
        label = known.predicted[image]
        for i in range(GRID):
            for j in range(GRID):
                for k in range(3):
                    weight = known.layer.weights[label, k] - known.layer.weights[:, k].mean()
                    slow[i, j] += weight * known.activations[image, k, i, j] / GRID**2
        np.testing.assert_allclose(known.maps[image], slow)
        logits = known.layer.logits(known.pooled)[image]
        assert slow.sum() == pytest.approx(logits[label] - logits.mean())


def test_the_loss_by_hand() -> None:
    known = seen()
    logits = known.layer.logits(known.pooled)[3]
    assert loss(known)[3] == pytest.approx(math.log(1 + math.exp(logits[1] - logits[0])))


def test_an_image_of_the_other_label_is_in_the_error_set() -> None:
    known = seen()
    swapped = known.labels.copy()
    swapped[[0, 25]] = 1 - swapped[[0, 25]]
    values = {name: getattr(known, name) for name in ("training", "training_labels", "activations", "masks", "layer")}
    assert np.flatnonzero(error_set(Seen(labels=swapped, **values))).tolist() == [0, 25]
    assert not error_set(known).any()


def test_clusters_have_the_mean_heat_share_of_their_images() -> None:
    known = seen()
    scores = spray(known)
    assert scores[:EACH].max() < scores[EACH:].min()
    shares = heat_share(known)
    for score in np.unique(scores):
        assert shares[scores == score].mean() == pytest.approx(score)


def test_a_slice_has_the_mean_loss_of_its_images() -> None:
    scores = mixture(seen())
    assert scores.shape == (2 * EACH,) and (scores >= loss(seen()).min()).all() and (scores <= loss(seen()).max()).all()


def test_spurious_features_rank_the_images_by_their_activation() -> None:
    known = seen()
    scores = spuriosity(known)
    feature = known.pooled[:, 1]
    standard = (feature - feature.mean()) / feature.std()
    strong, weak = (scores[EACH:][np.arange(EACH) % 2 == parity] for parity in (0, 1))
    assert strong.min() > weak.max()
    assert np.corrcoef(scores[EACH:], standard[EACH:])[0, 1] > 0.9


def test_precision_with_ties_counts_them_in_proportion() -> None:
    scores, truth = np.array([3.0, 2.0, 1.0, 1.0, 1.0, 0.0]), np.array([True, False, True, False, False, True])
    assert precision_at(scores, truth, 2) == 0.5
    # Two above; two of the three that tie, a third of them true.
    assert precision_at(scores, truth, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert precision_at(scores, truth, 10) == 0.5


def rows(separated: bool) -> pd.DataFrame:
    rng, parts = np.random.default_rng(0), []
    for kind in ("tint", "haze"):
        fall = np.repeat([0.9, 0.0], 40)
        drop = np.clip(fall + rng.normal(0, 0.1, 80), -1, 1)
        columns = {name: fall if separated else rng.random(80) for name in DETECTORS}
        known = {"kind": kind, "seed": 0, "half": 0, "fall": fall, "drop": drop, "expected": 0.5}
        parts.append(pd.DataFrame(known | columns))
    return pd.concat(parts, ignore_index=True)


def test_a_detector_that_knows_the_truth_has_all_of_it() -> None:
    metrics = metrics_of(rows(True).assign(**{OURS: 0.5})).set_index("detector")
    assert (metrics.loc["heat share", ["auroc", "precision"]].to_numpy() == 1).all()
    assert (metrics.loc[[OURS], "auroc"] == 0.5).all() and (metrics.loc[["chance"], "precision"] == 0.5).all()
    none = metrics_of(rows(True).assign(fall=0.0, **{OURS: 0.5}))
    assert none.empty, "a set without any image that relies is left out"


def test_the_report_has_a_line_for_each_detector() -> None:
    text = report(rows(False))
    assert all(f"| {name} |" in text for name in (*DETECTORS, OURS)) and "Over 2 of 2 planted sets" in text
    assert "| loss | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |" in report(rows(True))


def test_the_interval_of_a_mean() -> None:
    assert mean_of(np.array([0.5, 0.5]), DRAWS) == (0.5, 0.5, 0.5)
    value, low, high = mean_of(np.array([0.0, 1.0] * 50), DRAWS)
    assert value == 0.5 and low == pytest.approx(0.4, abs=0.02) and high == pytest.approx(0.6, abs=0.02)


def test_a_trained_network_predicts_by_its_layer() -> None:
    layer = Linear(np.array([[1.0], [-1.0]]), np.array([0.0, 0.5]))
    p = Trained(np.zeros((1, 1)), np.array([0]), layer)(np.array([[0.3]]))
    assert p[0].tolist() == pytest.approx([1 / (1 + math.exp(0.2 - 0.3)), 1 - 1 / (1 + math.exp(-0.1))])
