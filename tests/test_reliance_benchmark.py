"""The benchmark of reliance: it draws exact counterfactuals, and judges no kind by a method fitted on that kind."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.reliance import ANIMALS, LEAK, calibration_error, crossfitted, draw, metrics_of
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
                            "gap": gap,
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


@pytest.mark.parametrize("kind", ["wave_direction", "pair"])
def test_the_flipped_set_is_the_exact_counterfactual_of_the_leaking_one(real_data: Path, kind: str) -> None:
    drawn = draw(real_data, kind, seed=0, half=0, images=60)
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
    one, same, other, half = (
        draw(real_data, "tint", seed, at, images=4) for seed, at in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert np.array_equal(one.leaking, same.leaking)
    assert not np.array_equal(one.leaking, other.leaking) and not np.array_equal(one.leaking, half.leaking)
    assert len(KINDS) >= 12
