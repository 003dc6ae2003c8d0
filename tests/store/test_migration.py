"""Runs, journals and verdict files that the version before wrote: opened, counted and taken in unchanged."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from whalecam.cli.options import Recipe
from whalecam.config import RECIPES, Thresholds
from whalecam.output import csv as exporting
from whalecam.store.open_table import open_table
from whalecam.store.parts import EARLIER, read_batches, read_part
from whalecam.store.reviews import Journal
from whalecam.store.run import Run, open_run
from whalecam.store.schema import SCHEMA, SCHEMA_VERSION
from whalecam.store.table import Table, embeddings, unseen_odds
from whalecam.store.table.maps import stored_maps

OLD = ROOT / "tests" / "written" / "run-schema-4"
"""Twenty-two images of the demo with three verdicts, and the file that `export --only all` wrote of them."""
NEWER = ("high_norm_share",)
"""Columns that those parts lack."""
KNOWN = [name for name in SCHEMA.names if name not in NEWER]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    shutil.copytree(OLD, tmp_path / "old")
    return open_run(tmp_path / "old")


def written() -> list[dict[str, str]]:
    with (OLD / "verdicts.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_manifest_has_the_present_names(run: Run) -> None:
    manifest = run.manifest
    assert (manifest.schema_version, manifest.exactness) == (SCHEMA_VERSION, "exact")
    assert manifest.train["recipe"] == "notebook" and manifest.audit["background_test"] == "all"
    assert "needs" not in manifest.audit
    run.update(model_sha256="changed")
    assert open_run(run.path).manifest == run.manifest


REASSESSED = {"00004.jpg": "confirmed_leak", "00011.jpg": "cosmetic", "00028.jpg": "hidden_reliance"}
"""What was measured stays; what it makes probable is computed when a run is opened, with the present weights."""


def test_the_table_says_what_the_version_before_exported(run: Run) -> None:
    rows = open_table(run).all_rows().set_index("image")
    assert len(rows) == len(written()) == 22
    same = {"species": "label", "individual_id": "group", "predicted": "predicted"}
    numbers = {"leak": "background_share", "excess": "attention_score", "needs": "reliance"}
    for line in written():
        row = rows.loc[line["image"]]
        assert row["assessment"] == REASSESSED.get(line["image"], line["auto_verdict"])
        for before, present in same.items():
            assert ("" if pd.isna(row[present]) else row[present]) == line[before]
        for before, present in numbers.items():
            known = float(line[before]) if line[before] else np.nan
            np.testing.assert_allclose(np.float64(str(row[present])), known, rtol=1e-6)


def test_every_renamed_column_is_the_one_that_the_part_holds(run: Run) -> None:
    together = pd.concat([pq.read_table(part).to_pandas() for part in run.parts()])
    read = pd.concat([read_part(part, KNOWN).to_pandas() for part in run.parts()])
    assert set(read.columns) == set(KNOWN) and set(EARLIER.values()) <= set(together.columns)
    for present, before in EARLIER.items():
        told = together[before].replace("colour", "color") if present == "reliance_on" else together[before]
        pd.testing.assert_series_equal(read[present], told.rename(present), check_exact=True)
    assert "color" in set(read["reliance_on"]) and "colour" not in set(read["reliance_on"])
    columns = ["reliance_on", "image"]
    batches = [batch.to_pandas() for part in run.parts() for batch in read_batches(part, columns, 3)]
    pd.testing.assert_frame_equal(
        pd.concat(batches, ignore_index=True), read[columns].reset_index(drop=True), check_dtype=False
    )


def test_a_column_that_no_part_has_is_named(run: Run) -> None:
    with pytest.raises(KeyError, match="has no column speed"):
        read_part(run.parts()[0], ["image", "speed"])


def test_single_images_maps_and_vectors_open(run: Run) -> None:
    table, classes = open_table(run), run.manifest.classes
    shown = [row for row in table.all_rows().to_dict("records") if row["reliance_on"] == "color"]
    row = table.row(shown[0]["image"])
    assert row["maps"] is not None and row["maps"].shape[0] == len(classes)
    assert row["reliance_image"] is not None and row["reliance_image"][:4] == b"RIFF"
    labels = sorted({str(row["label"]) for row in shown})
    maps = list(stored_maps(run.parts(), labels, 100))
    assert maps and all(row["maps"].shape[0] == len(classes) for row in maps)
    assert len(embeddings(run.parts())) == len(unseen_odds(run.parts(), classes)) + sum(table.all_rows()["in_training"])


def test_parts_of_both_versions_make_one_table(run: Run) -> None:
    before = open_table(run).all_rows()
    assert before[list(NEWER)].isna().all(axis=None)
    old = run.parts()[0]
    content = read_part(old, KNOWN)
    pq.write_table(content, run.path / "audit" / "part-000009-00000009.parquet")
    old.unlink()
    columns = [name for name in before.columns if name != "part"]
    pd.testing.assert_frame_equal(
        Table(run.parts(), Thresholds(), Journal.of(run).latest()).all_rows()[columns], before[columns]
    )


def test_the_journal_keeps_its_verdicts_and_thresholds(run: Run) -> None:
    latest = Journal.of(run).latest()
    assert dict(zip(latest["verdict"], latest["reviewed_at"].str[:10], strict=True)) == {
        "flag": "2026-03-01",
        "keep": "2026-03-02",
        "unsure": "2026-03-03",
    }
    assert set(latest["attention_threshold"]) == {1.0} and set(latest["reliance_threshold"]) == {0.25}
    assert Journal.of(run).undo("Ana") == [latest.loc[latest["verdict"] == "unsure", "image"].iloc[0]]


def test_an_older_verdict_file_is_known_already(run: Run, tmp_path: Path) -> None:
    frame = exporting.read_csv(OLD / "verdicts.csv")
    assert {"assessment", "attention_threshold"} <= set(frame.columns)
    report = exporting.merge(Journal.of(run), frame, run.audited())
    assert (len(report.added), len(report.unchanged), len(report.refused)) == (0, 3, 0)
    fresh = Journal(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    assert len(exporting.merge(fresh, frame, run.audited()).added) == 3
    assert fresh.latest()["attention_threshold"].tolist() == [1.0] * 3


def test_what_is_exported_now_has_the_names_of_the_source(run: Run) -> None:
    journal, level = Journal.of(run), Thresholds()
    rows = exporting.verdict_rows(
        run, open_table(run, level, journal=journal), journal.latest(), thresholds=level, only="all"
    )
    lines = list(csv.DictReader(exporting.verdict_file(rows, run).decode().splitlines()))
    for now, before in zip(lines, written(), strict=True):
        for name in ("image", "species", "individual_id", "verdict", "reviewer", "reason"):
            assert now[name] == before[name]
        assert now["assessment"] == REASSESSED.get(before["image"], before["auto_verdict"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": "kind", "group": "who"}, ["image", "kind", "who"]),
        ({"label": "verdict", "group": "who"}, ["image", "label", "who"]),
        ({"label": "same", "group": "same"}, ["image", "label", "group"]),
        ({}, ["image", "label", "group"]),
    ],
)
def test_names_that_would_clash_are_not_taken(columns: dict[str, Any], expected: list[str]) -> None:
    frame = pd.DataFrame(columns=list(exporting.COLUMNS))
    assert exporting.in_source_names(frame, columns).columns[:3].tolist() == expected


def test_the_earlier_name_of_a_recipe_is_taken() -> None:
    kind = Recipe(RECIPES)
    assert kind.convert("seed", None, None) == "notebook" and kind.convert("fast", None, None) == "fast"
