"""The benchmark of reliance: it draws exact counterfactuals, and judges no kind by a method fitted on that kind."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.learners import Frozen, Setting, Tuned, learner_of, mirrored
from benchmarks.reliance import (
    ANIMALS,
    DONORS,
    LEAK,
    PREDICTED,
    Plant,
    calibration_error,
    crossfitted,
    draw,
    kept,
    measured,
    metrics_of,
    published,
    report,
)
from benchmarks.scenery import SCENERIES
from whalecam.assessment.reliance import WEIGHTS
from whalecam.demo.backgrounds import KINDS


def made(seed: int = 0, halves: int = 1) -> pd.DataFrame:
    """Rows of three kinds: networks that rely on the background, and twins that do not."""
    rng, parts = np.random.default_rng(seed), []
    for kind in ("tint", "grain", "shore"):
        for half in range(halves):
            for network, gap in (("leaking", 0.7), ("clean", 0.0)):
                drop = np.clip(gap + rng.normal(0, 0.2, 60), -1, 1)
                parts.append(
                    pd.DataFrame(
                        {
                            "kind": kind,
                            "half": half,
                            "seed": 0,
                            "network": network,
                            "fall": np.clip(drop + rng.normal(0, 0.15, 60), -1, 1),
                            "drop": drop,
                            "placebo": rng.normal(0, 0.05, 60),
                            "expected": np.clip(gap + rng.normal(0, 0.1, 60), -1, 1),
                            "class_p": 0.001 if gap else 0.4,
                            "accuracy": 0.9,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("halves", [1, 2])
def test_no_kind_and_no_animal_is_judged_by_a_method_fitted_on_it(halves: int) -> None:
    rows = made(halves=halves)
    before = crossfitted(rows)
    own = (rows["kind"] == "tint") & (rows["half"] == 0)
    other_way = rows.assign(fall=rows["fall"].where(~own, 1 - rows["fall"]))
    after = crossfitted(other_way)
    np.testing.assert_allclose(after[own], before[own])
    assert not np.allclose(after[~own], before[~own]), "the others are judged by a method fitted on it"
    if halves == 2:
        same_animals = ~own & (rows["half"] == 0)
        np.testing.assert_allclose(after[same_animals], before[same_animals])


def test_figures_of_networks_that_are_told_apart() -> None:
    rows = made()
    metrics = metrics_of(rows.assign(probability=crossfitted(rows))[rows["kind"] == "tint"])
    assert metrics["AUROC probability"] > 0.95 and metrics["clean twin's listed"] == 0 and metrics["recall"] > 0.5
    assert (
        metrics["false of them"] <= 0.15
        and metrics["fall"] > 0.7
        and metrics["clean twin is right"] == pytest.approx(0.9)
    )
    none = metrics_of(rows.assign(probability=crossfitted(rows), class_p=1.0))
    assert none["listed"] == 0 and none["false of them"] == 0, "no class relies, so no image is listed"


def test_calibration_error_by_hand() -> None:
    truth, probability = np.array([True, False, False, True]), np.array([0.81, 0.89, 0.1, 0.2])
    # Three bins: 0.85 said and 0.5 true of two, 0.1 and 0 of one, 0.2 and 1 of one.
    assert calibration_error(truth, probability) == pytest.approx((2 * 0.35 + 0.1 + 0.8) / 4)
    assert calibration_error(np.array([True]), np.array([1.0])) == 0


@pytest.mark.parametrize(("kind", "scenery"), [("wave_direction", "water"), ("pair", "air"), ("pair", "land")])
def test_the_flipped_set_is_the_exact_counterfactual_of_the_leaking_one(
    real_data: Path, kind: str, scenery: str
) -> None:
    drawn = draw(Plant(data=real_data, kind=kind, scenery=scenery), images=60)
    kept_side = []
    for leaking, clean, flipped, mask in zip(drawn.leaking, drawn.clean, drawn.flipped, drawn.masks, strict=True):
        apart = np.abs(leaking.astype(int) - flipped).max(axis=2)
        assert apart[mask == 0].mean() > 2
        inside = cv2.erode((mask > 0.999).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert not inside.any() or apart[inside].max() <= 1, "inside the animal nothing changes"
        assert (clean == leaking).all() or (clean == flipped).all()
        kept_side.append((clean == leaking).all())
    assert 0.3 < np.mean(kept_side) < 0.7
    assert (drawn.labels == drawn.animals % 2).all() and drawn.animals.max() < ANIMALS and LEAK > 0.9


def test_halves_share_no_animal_and_seeds_draw_others(real_data: Path) -> None:
    settings = ((0, 0), (0, 0), (1, 0), (0, 1))
    one, same, other, half = (
        draw(Plant(data=real_data, kind="tint", seed=seed, half=half), images=4) for seed, half in settings
    )
    assert np.array_equal(one.leaking, same.leaking)
    assert not np.array_equal(one.leaking, other.leaking) and not np.array_equal(one.leaking, half.leaking)
    assert len(KINDS) >= 12


def test_published_weights_by_hand() -> None:
    rows = pd.DataFrame({"drop": [0.9, 0.0], "expected": [0.8, 0.0]})
    by_hand = [WEIGHTS.intercept + 0.9 * WEIGHTS.drop + 0.8 * WEIGHTS.expected, WEIGHTS.intercept]
    np.testing.assert_allclose(published(rows), [1 / (1 + np.exp(-logit)) for logit in by_hand])


def test_the_report_names_kinds_whose_networks_did_not_learn() -> None:
    rows = made()
    rows.loc[rows["kind"] == "shore", "accuracy"] = 0.7
    text = report(rows, by_published=True)
    assert "less than 80%: shore." in text and text != report(rows)
    assert "Not learned" not in report(made(), by_published=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Only one class is present")
def test_a_report_of_networks_that_never_rely_has_no_weights() -> None:
    sound = made().assign(fall=0.0)
    assert '"weights": []' in report(sound[sound["network"] == "clean"], by_published=True)


def test_kept_rows_are_not_measured_again_and_no_settings_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tint.csv"
    first = kept(file, lambda: pd.DataFrame({"drop": [0.5]}))
    assert kept(file, lambda: pd.DataFrame({"drop": [0.1]})).equals(first)
    assert kept(None, lambda: pd.DataFrame({"drop": [0.1]}))["drop"].tolist() == [0.1]
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"body": "resnet18"},
        {"tuned": True},
        {"tuned": True, "epochs": 9},
        {"size": 224},
        {"images": 9},
    )
    plants = [Plant(data=tmp_path, kind="tint"), Plant(data=tmp_path, kind="tint", scenery="air")]
    names = {plant.name(Setting(**change)) for change in changes for plant in plants}
    assert len(names) == 2 * len(changes)


def test_about_half_of_the_images_are_mirrored_and_nothing_else_changes() -> None:
    images = np.random.default_rng(0).integers(256, size=(100, 4, 4, 3), dtype=np.uint8)
    changed = mirrored(images, np.random.default_rng(1))
    is_mirrored = np.array([(after == before[:, ::-1]).all() for before, after in zip(images, changed, strict=True)])
    assert 30 < is_mirrored.sum() < 70 and (changed[~is_mirrored] == images[~is_mirrored]).all()


def test_a_tuned_network_learns_and_is_the_same_for_one_seed() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=96)
    bright = [rng.integers(80 * label, 80 * label + 120, size=(32, 32, 3), dtype=np.uint8) for label in labels]
    learner = learner_of(Setting(tuned=True, size=32, epochs=4))
    images = learner.prepare(bright)
    first, same, other = (learner.train(images[:64], labels[:64], seed)(images[64:]) for seed in (0, 0, 1))
    assert first.shape == (32, 2) and np.allclose(first.sum(axis=1), 1)
    assert (first.argmax(axis=1) == labels[64:]).mean() > 0.9
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert isinstance(learner, Tuned) and isinstance(learner_of(Setting()), Frozen)


def test_rows_keep_what_their_drop_and_their_placebo_were_computed_from(real_data: Path) -> None:
    setting = Setting(body="mobilenet_v3_small", tuned=True, size=64, images=40, epochs=1)
    plant = Plant(data=real_data, kind="tint")
    rows = measured(plant, learner_of(setting))
    sides = {side: rows[[f"{side}_{donor}" for donor in range(DONORS)]].mean(axis=1) for side in ("own", "other")}
    np.testing.assert_allclose(rows["before"] - sides["other"], rows["drop"])
    np.testing.assert_allclose(rows["before"] - sides["own"], rows["placebo"])
    assert len(rows) == 2 * PREDICTED and rows["network"].unique().tolist() == ["leaking", "clean"]
    labels = draw(plant, 40 + PREDICTED, 64).labels
    for donor in range(DONORS):
        assert (labels[rows[f"own_unit_{donor}"]] == rows["predicted"]).all()
        assert (labels[rows[f"other_unit_{donor}"]] != rows["predicted"]).all()
    assert (rows["body"] == setting.body).all() and rows["tuned"].all() and (rows["size"] == 64).all()


@pytest.mark.parametrize("name", sorted(SCENERIES))
def test_sceneries_are_the_same_for_one_generator_and_no_two_alike(name: str) -> None:
    first, same, other = (SCENERIES[name](np.random.default_rng(seed), 48) for seed in (0, 0, 1))
    assert first.shape == (48, 48, 3) and first.dtype == np.uint8
    assert np.array_equal(first, same) and np.abs(first.astype(int) - other).mean() > 3
    assert first.std() > 2, "it is no even colour"
