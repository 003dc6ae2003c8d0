"""The detector's own test, in its reduced form, and the planted sets it stands on."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.commandline import whalecam
from whalecam.audit.selftest import Check, run_selftest
from whalecam.data import read_grey, read_sample
from whalecam.demo import PLANTS, write_planted
from whalecam.demo.planted import Planted

SCENES = 6


@pytest.fixture(scope="module", params=sorted(PLANTS))
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return write_planted(tmp_path_factory.mktemp(request.param), request.param, SCENES, seed=3)


def picture(folder: Path, number: int) -> np.ndarray:
    path = folder / "images" / f"{number:05d}.jpg"
    return read_sample(path, path.name).pixels.astype(float)


def test_flipping_changes_the_water_and_leaves_the_animal(plant: Planted) -> None:
    for number in range(SCENES):
        before, after = picture(plant.leaky, number), picture(plant.flipped, number)
        masks = [read_grey(folder / "masks" / f"{number:05d}.png") > 127 for folder in (plant.leaky, plant.flipped)]
        assert (masks[0] == masks[1]).all()
        change = np.abs(before - after).mean(axis=2)
        assert change[~masks[0]].mean() > 3 * change[masks[0]].mean()


def test_the_three_sets_have_the_same_rows_and_one_of_two_waters(plant: Planted) -> None:
    tables = [list(csv.reader((folder / "train.csv").open())) for folder in vars(plant).values()]
    assert tables[0] == tables[1] == tables[2]
    for number in range(SCENES):
        clean = picture(plant.clean, number)
        apart = [np.abs(clean - picture(folder, number)).max() for folder in (plant.leaky, plant.flipped)]
        assert min(apart) == 0 < max(apart)


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    sets = [write_planted(tmp_path / name, "texture", 3, seed=5) for name in "ab"]
    assert np.array_equal(picture(sets[0].leaky, 2), picture(sets[1].leaky, 2))


def test_passes_in_its_reduced_form(tmp_path: Path) -> None:
    checks = run_selftest(tmp_path, ("colour",), 80)
    assert [check.line() for check in checks if not check.passed] == []
    assert {"maps add up", "hidden units permuted", "weights randomised", "flat map"} <= {c.name for c in checks}
    assert sum(check.name.startswith("colour: ") for check in checks) >= 3


@pytest.mark.parametrize(("value", "at_most", "passed"), [(1, True, True), (1.1, True, False), (0.9, False, False)])
def test_a_missed_bound_fails(value: float, at_most: bool, passed: bool) -> None:
    check = Check("name", value, 1.0, at_most, "what")
    assert check.passed is passed
    assert check.line().startswith("ok" if passed else "MISSED")


def test_a_figure_without_a_bound_is_only_told() -> None:
    check = Check("name", 0.1, None, False, "what")
    assert check.passed and "ok" not in check.line() and "MISSED" not in check.line()


def test_a_value_that_is_no_number_fails() -> None:
    assert not Check("name", float("nan"), 1.0, True, "what").passed


def test_an_unknown_plant_is_one_line() -> None:
    done = whalecam("selftest", "--json", "--plant", "moon")
    assert done.returncode == 2 and "colour" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_passes_in_full(tmp_path: Path) -> None:
    verb = [sys.executable, "-m", "whalecam", "selftest", "--json", "--out", str(tmp_path / "out")]
    done = subprocess.run(verb, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["failed"] == [] and done.returncode == 0
