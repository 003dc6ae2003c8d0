"""The placed share of maps: exact values, and what is said of a run."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.commandline import whalecam
from whalecam.analysis.placement import Placement, placement_of, refusal_of
from whalecam.store.run import Run, open_run


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
    assert refusal_of(run) == ""


def test_nothing_is_said_before_an_audit(run_without_audit: Run) -> None:
    assert placement_of(run_without_audit) is None


@pytest.fixture
def run_without_audit(runs: Path) -> Run:
    run = open_run(runs / "demo")
    for part in run.parts():
        part.unlink()
    return open_run(runs / "demo")
