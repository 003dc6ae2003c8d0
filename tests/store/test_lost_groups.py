"""A run whose table has lost the column of its groups: it opens, and says that and why no groups are used."""

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import whalecam as wc
from tests.pages.test_pages import PAGES, open_page, texts
from whalecam.audit import run_audit
from whalecam.config import Columns
from whalecam.data import open_dataset
from whalecam.errors import DatasetError
from whalecam.store.run import Run, open_run

WORDS = "has no column 'whale_id', which the run takes its groups from. No groups are used: each image counts as one of"


@pytest.fixture
def without_groups(runs: Path, tmp_path: Path) -> Run:
    """The demo's run, made with the group column `whale_id`, which its table has no more."""
    run = open_run(runs / "demo")
    record = run.manifest.dataset
    table = tmp_path / "train.csv"
    pd.read_csv(record.csv, dtype=str).drop(columns=record.columns["group"]).to_csv(table, index=False)
    columns = {**record.columns, "group": "whale_id"}
    run.update(dataset=replace(record, csv=str(table), columns=columns))
    return open_run(run.path)


def test_a_run_without_its_group_column_opens_and_says_so(
    without_groups: Run, prepared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = run_audit.open_data(without_groups)
    assert WORDS in caplog.text and any(WORDS in note for note in data.notes)
    before = run_audit.open_data(open_run(prepared / "runs" / "demo"))
    assert (data.table["group"] == "").all() and (before.table["group"] != "").any()
    assert data.table[["image", "label", "path", "status"]].equals(before.table[["image", "label", "path", "status"]])
    rows = wc.open_run(without_groups.path).to_pandas()
    assert set(rows["image"]) <= set(data.table["image"]) and len(rows) > 0


@pytest.mark.parametrize("page", [None, *PAGES])
def test_every_page_opens_on_it(without_groups: Run, page: str | None) -> None:
    app = open_page(page)
    assert not app.exception, app.exception
    assert not app.error, texts(app)
    assert page != "pages/1_Dataset.py" or WORDS in texts(app).replace("\\", "")


def test_a_named_group_column_must_be_there_when_a_data_set_is_opened(without_groups: Run) -> None:
    record = without_groups.manifest.dataset
    with pytest.raises(DatasetError, match="has no column 'whale_id'"):
        open_dataset(Path(record.csv), Path(str(record.images)), Columns(**record.columns))
    with pytest.raises(DatasetError, match="has no column 'no_label'"):
        open_dataset(Path(record.csv), None, replace(Columns(**record.columns), label="no_label"), needs_group=False)


def test_a_table_that_never_had_groups_is_no_reason_for_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.csv").write_text("image,species\na.jpg,orca\n")
    assert not any("groups" in note for note in open_dataset(tmp_path / "t.csv", None, needs_group=False).notes)
