"""The reliability diagram that ships, recomputed from its bins, and the benchmark that measures it on made-up rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.learners import Setting
from benchmarks.reliability import draw, read, reliability_of, table, with_probability
from tests.benchmarks.test_reliance_benchmark import made
from whalecam.analysis.reliability import Bin, measured, parsed
from whalecam.app.charts import audit_charts
from whalecam.store.table import wilson


def test_the_diagram_that_ships_adds_up() -> None:
    shipped = measured()
    assert sum(bin_.images for bin_ in shipped.bins) == shipped.images > 10_000
    assert shipped.kinds >= 12 and shipped.networks >= 2 * shipped.kinds
    places = [int(10 * bin_.probability) for bin_ in shipped.bins]
    assert places == sorted(set(places)), "each bin is a tenth of its own"
    off = sum(bin_.images * abs(bin_.share - bin_.probability) for bin_ in shipped.bins) / shipped.images
    assert shipped.error == pytest.approx(off, abs=1e-4) and shipped.error <= 0.05
    for bin_ in shipped.bins:
        share, low, high = wilson(round(bin_.share * bin_.images), bin_.images)
        assert (bin_.share, bin_.low, bin_.high) == pytest.approx((share, low, high), abs=1e-4)


def kept(folder: Path, rows: pd.DataFrame) -> None:
    """As `benchmarks.reliance --keep` leaves them, a file for each kind and half."""
    setting = Setting()
    for (kind, half), part in rows.groupby(["kind", "half"]):
        columns = part.assign(body=setting.body, tuned=False, size=setting.size)
        columns.to_csv(folder / f"{kind}-0-{half}.csv", index=False)


def test_rows_of_a_folder_become_a_diagram(tmp_path: Path) -> None:
    kept(tmp_path, made(halves=2))
    rows = with_probability(read(tmp_path))
    record = reliability_of(rows)
    again = parsed(record)
    assert (again.images, again.networks, again.kinds) == (720, 12, 3)
    truth, probability = rows["fall"].to_numpy() > 0.5, rows["probability"].to_numpy()
    last = again.bins[-1]
    inside = probability >= 0.9
    assert last.images == inside.sum() and last.share == pytest.approx(truth[inside].mean(), abs=1e-4)
    assert again.error < 0.1, "rows made alike in all kinds are calibrated"
    assert "| water | efficientnet_lite0_fine | False | 128 | 3 |" in table(rows)
    draw(again, tmp_path / "diagram.svg")
    assert "720 predictions, 3 kinds" in (tmp_path / "diagram.svg").read_text(encoding="utf-8")
    json.dumps(record)


def test_networks_that_did_not_learn_are_left_out(tmp_path: Path) -> None:
    rows = made()
    rows.loc[rows["kind"] == "shore", "accuracy"] = 0.7
    kept(tmp_path, rows)
    assert set(read(tmp_path)["kind"]) == {"tint", "grain"}


def test_other_bodies_and_sceneries_are_not_fitted_on(tmp_path: Path) -> None:
    kept(tmp_path, made())
    rows = read(tmp_path)
    other = rows.assign(scenery="air", fall=1 - rows["fall"])
    both = with_probability(pd.concat([rows, other], ignore_index=True))
    alone = with_probability(rows)
    np.testing.assert_allclose(both["probability"][: len(rows)], alone["probability"])
    np.testing.assert_allclose(both["probability"][len(rows) :], alone["probability"])


def test_the_chart_shows_each_bin_with_its_interval() -> None:
    bins = (Bin(probability=0.1, share=0.2, low=0.1, high=0.4, images=9),)
    trace = audit_charts.reliability(bins).data[0]
    assert (list(trace.x), list(trace.y)) == ([0.1], [0.2])
    assert trace.error_y.array[0] == pytest.approx(0.2) and trace.error_y.arrayminus[0] == pytest.approx(0.1)
