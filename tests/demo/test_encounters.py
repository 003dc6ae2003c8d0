"""Drawn encounters: what the sets share, and what a photograph that is drawn anew keeps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from whalecam.demo.encounters import ENCOUNTERS, IMAGES, Drawn, write_encounters

PEOPLE = 4


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return write_encounters(tmp_path_factory.mktemp("encounters"), individuals=PEOPLE, seas=1, again=1)


def pixels(folder: Path, number: int) -> NDArray[np.float64]:
    return np.asarray(Image.open(folder / "images" / f"{number:05d}.jpg"), np.float64)


def fin(folder: Path, number: int) -> NDArray[np.bool_]:
    return np.asarray(Image.open(folder / "masks" / f"{number:05d}.png")) > 0


def water(folder: Path, number: int) -> NDArray[np.float64]:
    """The mean colour around the fin."""
    return np.asarray(pixels(folder, number)[~fin(folder, number)].mean(axis=0))


def spread(folder: Path) -> NDArray[np.float64]:
    """For each encounter how far the colours of its waters lie apart."""
    waters = np.array([water(folder, number) for number in range(PEOPLE * ENCOUNTERS * IMAGES)])
    return np.asarray(np.ptp(waters.reshape(-1, IMAGES, 3), axis=1).max(axis=1))


def test_images_of_most_leaky_encounters_share_one_water_and_of_no_clean_one(drawn: Drawn) -> None:
    leaky, clean = spread(drawn.leaky), spread(drawn.clean)
    sharing = leaky != clean
    assert 0.3 < sharing.mean() < 0.9 and clean.min() > 20
    assert (leaky[sharing] < 0.7 * clean[sharing]).all()
    table = pd.read_csv(drawn.leaky / "train.csv")
    assert table.groupby("individual_id")["date"].nunique().tolist() == [ENCOUNTERS] * PEOPLE
    assert table["date"].nunique() == PEOPLE * ENCOUNTERS


def test_a_photograph_drawn_anew_keeps_fin_and_pose(drawn: Drawn) -> None:
    """Elsewhere the water is another, again only its waves are; the fin is the same in both."""
    for number in range(6):
        area = fin(drawn.leaky, number)
        inside = np.zeros_like(area)
        inside[3:-3, 3:-3] = area[3:-3, 3:-3] & area[6:, 3:-3] & area[:-6, 3:-3] & area[3:-3, 6:] & area[3:-3, :-6]
        before = pixels(drawn.leaky, number)
        for place in (*drawn.elsewhere, *drawn.leaky_again):
            assert (fin(place, number) == area).all()
            assert np.abs(pixels(place, number) - before)[inside].mean() < 6
        (elsewhere,), (again,) = drawn.elsewhere, drawn.leaky_again
        assert np.abs(water(elsewhere, number) - water(drawn.leaky, number)).max() > 8
        assert np.abs(water(again, number) - water(drawn.leaky, number)).max() < 8
        assert np.abs(pixels(again, number) - before)[~area].mean() > 1, "the waves are others"
