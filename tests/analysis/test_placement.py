"""The placed share of maps: exact values, and what is said of a run."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.commandline import whalecam
from whalecam.analysis.placement import Placement, placed_share, placement_of
from whalecam.store.run import Run, open_run


def maps_of(*sums: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """A map of 2 × 2 for each sum, unevenly spread."""
    return np.array([[[total, 1.0], [-3.0, 2.0]] for total in sums], np.float32)


@pytest.mark.parametrize(
    ("sums", "logits", "share"),
    [
        ((1.0, 3.0), (1.0, 3.0), 1.0),
        ((1.0, 3.0), (11.0, 13.0), 1.0),  # what all classes share tells none apart
        ((1.0, 2.0), (1.0, 3.0), 0.5),
        ((0.0, 0.0, 0.0), (1.0, 2.0, 5.0), 0.0),
        ((3.0, 1.0), (1.0, 3.0), -1.0),
    ],
)
def test_the_share_of_the_differences_between_logits(
    sums: tuple[float, ...], logits: tuple[float, ...], share: float
) -> None:
    assert placed_share(maps_of(*sums), np.array(logits)) == pytest.approx(share, abs=1e-6)


def test_equal_logits_leave_nothing_to_explain() -> None:
    assert np.isnan(placed_share(maps_of(1.0, 2.0), np.array([4.0, 4.0])))


@pytest.mark.parametrize(("share", "partial", "warned"), [(1.01, False, False), (0.7, True, False), (0.3, True, True)])
def test_what_is_said_depends_on_the_share(share: float, partial: bool, warned: bool) -> None:
    placement = Placement(share, 12)
    assert placement.is_partial == partial and ("background test decide" in placement.sentence) == warned
    assert f"{100 * share:.0f}\u00a0%" in placement.sentence and "12 images" in placement.sentence


def test_a_run_tells_its_median_and_a_part_without_maps_none(prepared: Path, runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    found = placement_of(run)
    assert found is not None
    rows = pq.read_table(run.parts()[0]).to_pylist()
    by_hand = []
    for row in rows:
        if row["maps"] is not None:
            shape = (len(row["logits"]), row["map_height"], row["map_width"])
            values = np.frombuffer(row["maps"], "<f2").astype(float).reshape(shape)
            sums = [float(one.sum()) for one in values]
            centred = [one - sum(sums) / len(sums) for one in sums]
            told = [one - sum(row["logits"]) / len(sums) for one in row["logits"]]
            by_hand.append(sum(a * b for a, b in zip(centred, told, strict=True)) / sum(b * b for b in told))
    assert found.share == pytest.approx(float(np.median(by_hand)), abs=1e-6) and found.images == len(by_hand)
    assert found.sentence not in whalecam("info", runs / "demo").stdout, "nothing is missing there"


def test_nothing_is_said_before_an_audit(run_without_audit: Run) -> None:
    assert placement_of(run_without_audit) is None


@pytest.fixture
def run_without_audit(runs: Path) -> Run:
    run = open_run(runs / "demo")
    for part in run.parts():
        part.unlink()
    return open_run(runs / "demo")
