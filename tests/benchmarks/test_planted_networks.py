"""The benchmark of planted leaks in networks: what it fits, compares and tells, on a ViT and drawings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.planted_networks import MEASURED, apart, judged, told
from whalecam.demo import write_planted


def test_a_black_box_relies_as_the_vit_inside_it(tmp_path: Path) -> None:
    write_planted(tmp_path, "colour", 50)
    rows = judged(tmp_path, "vit, 96 wide, 4 layers", "leaky", size=48, seed=0)
    assert len(rows) == 20 and rows["reliance_swap"].notna().all() and rows["apart"].max() <= 1e-6
    assert rows["then_apart"].max() <= 1e-5
    assert (rows["label"] == rows["predicted"]).mean() >= 0.8 and (rows["fall"] > 0.5).mean() > 0.5
    assert rows["reliance_swap"].mean() > 0.25


def test_a_body_that_learns_relies_on_the_leak_too(tmp_path: Path) -> None:
    write_planted(tmp_path, "colour", 50)
    rows = judged(tmp_path, "vit, 96 wide, 4 layers", "leaky", size=48, seed=0, epochs=12)
    assert (rows["label"] == rows["predicted"]).mean() >= 0.8 and (rows["fall"] > 0.5).mean() > 0.5


def test_what_lies_apart_is_the_largest_difference_of_the_same_image() -> None:
    rows = pd.DataFrame({"image": ["a", "b"], "reliance": [np.nan, 0.5], "reliance_swap": [0.1, 0.2]})
    other = rows.iloc[::-1].assign(reliance_swap=[0.2, 0.4])
    assert apart(rows, rows.iloc[::-1], MEASURED) == 0
    assert apart(rows, other, MEASURED) == pytest.approx(0.3)
    assert apart(rows, other, ["reliance"]) == 0
    assert apart(rows, rows.assign(reliance=[0.5, 0.5]), MEASURED) == float("inf")


def test_an_auroc_is_told_of_the_images_that_have_a_score() -> None:
    rows = pd.DataFrame({"fall": [0.9, 0.8, 0.1, 0.2, 0.3], "score": [0.9, 0.8, 0.1, 0.2, np.nan]})
    assert told(rows, "score") == "1.000 (1.000 to 1.000), of 4"
    assert told(rows.head(4), "score") == "1.000 (1.000 to 1.000)"
    assert told(rows.head(2), "score") == "–"
