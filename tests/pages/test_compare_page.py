"""The Compare page: what it says of two runs, of one, and of a link."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.pages.test_pages import open_page, texts
from whalecam.analysis.compare import compare_runs
from whalecam.analysis.compare.sentence import leaks_sentence
from whalecam.config import WRONG_MASK
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import open_run

PAGE = "pages/7_Compare.py"


@pytest.fixture
def pair(runs: Path) -> Path:
    """`demo` as it is, and `mended`: every leak gone, one unseen image now wrong."""
    shutil.copytree(runs / "demo", runs / "mended")
    run = open_run(runs / "mended")
    rows: list[dict[str, Any]] = [row for part in run.parts() for row in pq.read_table(part).to_pylist()]
    right = [row for row in rows if not row["in_training"] and row["predicted"] == row["label"]]
    lost = next(row for row in right if row["reliance_swap"] is not None and row["reliance_swap"] < 0.1)
    lost["predicted"] = next(name for name in run.manifest.classes if name != lost["label"])
    for row in rows:
        if own := row["exchange_own"]:  # no class is surer on water of its own label
            row |= {"exchange_other": own, "exchange_other_donors": row["exchange_other_donors"][: len(own)]}
    run.clear_audit()
    run.write_part(rows)
    return runs


def test_one_run_says_what_to_do(runs: Path) -> None:
    app = open_page(PAGE)
    assert not app.exception and "two audited runs" in texts(app)


def test_only_runs_that_share_images_are_chosen_first(pair: Path) -> None:
    stranger = open_run(Path(shutil.copytree(pair / "demo", pair / "stranger")))
    rows = [row for part in stranger.parts() for row in pq.read_table(part).to_pylist()]
    stranger.clear_audit()
    stranger.write_part([row | {"image": f"other-{row['image']}"} for row in rows])
    record = replace(stranger.manifest.dataset, csv="/elsewhere.csv", fingerprint="another")
    stranger.update(dataset=record)
    app = open_page(PAGE, run="stranger")
    assert not app.exception and not app.error and app.multiselect(key="compared").value == []
    assert "No other audited run seems to share an image" in texts(app)
    both = open_page(PAGE, run="demo")
    assert not both.exception
    assert sorted(both.multiselect(key="compared").value) == ["demo", "mended"]


@pytest.mark.parametrize("opened", ["demo", "mended"])
def test_the_run_before_the_change_comes_first(pair: Path, opened: str) -> None:
    demo, mended = open_run(pair / "demo"), open_run(pair / "mended")
    demo.update(created="2026-01-01T10:00:00+00:00")
    mended.update(created="2026-01-01T11:00:00+00:00")
    app = open_page(PAGE, run=opened)
    assert not app.exception and app.multiselect(key="compared").value == ["demo", "mended"]
    assert "The confirmed leaks are gone" in texts(app)


@pytest.mark.parametrize("opened", ["demo", "mended"])
def test_a_parent_comes_first_and_before_newer_runs(pair: Path, opened: str) -> None:
    demo, mended = open_run(pair / "demo"), open_run(pair / "mended")
    demo.update(created="2026-01-01T11:00:00+00:00")  # as of a run whose folder was copied from elsewhere
    mended.update(created="2026-01-01T10:00:00+00:00", model_sha256="another")
    changed = {"name": "head", "parent": "demo", "parent_sha256": demo.manifest.model_sha256}
    mended.save_metrics({**mended.metrics(), "remedy": changed})
    if opened == "mended":
        later = open_run(Path(shutil.copytree(pair / "demo", pair / "later")))
        later.update(created="2026-01-01T12:00:00+00:00", model_sha256="a third")
    app = open_page(PAGE, run=opened)
    assert not app.exception and app.multiselect(key="compared").value == ["demo", "mended"]


def test_the_figures_are_those_of_the_library(pair: Path) -> None:
    app = open_page(PAGE)
    app.multiselect(key="compared").set_value(["demo", "mended"]).run()
    assert not app.exception and not app.error, texts(app)
    found = compare_runs([open_run(pair / "demo"), open_run(pair / "mended")])
    shown = {metric.label: metric.value for metric in app.metric}
    before, after = found.metrics("demo"), found.metrics("mended")
    assert shown["Accuracy"] == f"{before['accuracy'] * 100:.1f}\u00a0% → {after['accuracy'] * 100:.1f}\u00a0%"
    assert shown["Confirmed leaks"] == f"{before['confirmed_leak'] * 100:.1f}\u00a0% → 0.0\u00a0%"
    assert shown["Loss"] == f"{before['loss']:.3f} → {after['loss']:.3f}"
    said = texts(app).replace("\\", "")
    assert "McNemar p = 1" in said and "images shared" in said
    assert [box.value.replace("\\", "") for box in app.success] == [leaks_sentence(found, "mended")]
    assert found.leaks["mended"].state == "gone" and found.leaks["mended"].after == 0


def test_the_picture_that_got_worse_is_shown_under_both_maps(pair: Path) -> None:
    app = open_page(PAGE)
    app.multiselect(key="compared").set_value(["demo", "mended"]).run()
    worse = compare_runs([open_run(pair / "demo"), open_run(pair / "mended")]).changed("mended", "got_worse")
    said = texts(app).replace("\\", "")
    listed = next(frame.value for frame in app.dataframe if "predicted" in frame.value)
    assert isinstance(listed, pd.DataFrame) and listed["image"].tolist() == worse and len(worse) == 1
    assert " → " in listed["predicted"][0] and "→" not in listed["assessment"][0], "a verdict that stayed is named once"
    assert worse[0] in said and "right" in said and "wrong" in said
    assert "not assessable" not in said
    Journal.of(open_run(pair / "demo")).add([Review(worse[0], "unsure", "Ann", reason=WRONG_MASK)])
    app.run()
    assert not app.exception and "not assessable" in texts(app), "a rejected mask takes the scores back here too"


def test_the_other_way_round_and_a_run_chosen_alone(pair: Path) -> None:
    app = open_page(PAGE)
    app.multiselect(key="compared").set_value(["demo"]).run()
    assert not app.exception and "Choose two runs" in texts(app)
    app.multiselect(key="compared").set_value(["mended", "demo"]).run()
    assert (not app.exception and "do not differ" in texts(app)) or "worse" in texts(app)
