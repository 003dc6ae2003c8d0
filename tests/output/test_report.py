"""The report: what stands in it, that it needs nobody else, and how it looks in a real browser."""

import re
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from whalecam.config import Thresholds
from whalecam.data import open_dataset
from whalecam.output.report import report_html
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import Run, open_run
from whalecam.store.table import Filters, Table

HOSTILE = '<script>alert(1)</script><img src="http://evil.test/x.png" onerror="alert(2)">'


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


def data_of(run: Run) -> Any:
    record = run.manifest.dataset
    return open_dataset(Path(record.csv), Path(record.images or ""))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.split("<body>")[1]))


def test_its_figures_are_those_of_the_table_and_the_journal(run: Run) -> None:
    table = Table(run.parts(), Thresholds(), pd.DataFrame())
    facts, species = table.overview(), table.per_label()
    flagged = table.page(Filters(), limit=2)["image"].tolist()
    Journal(run.reviews_url).add([Review(image, "flag", "Ana", reason="water", note="ice") for image in flagged])
    Journal(run.reviews_url).add([Review(flagged[0], "keep", "Ben")])
    text = words(report_html(run, data_of(run), cases=5))
    assert f"{facts['confirmed']} of {facts['measured']} tested images" in text
    assert "2 people signed: Ana, Ben. At present 1 flag · 1 keep · 0 unsure" in text.replace("  ", " ")
    for row in species.to_dict("records"):
        assert row["label"] in text and f"{100 * row['low']:.0f} % to {100 * row['high']:.0f} %" in text
    assert run.manifest.dataset.fingerprint in text and run.manifest.model_sha256 in text
    assert all(f"{name} {version}" in text for name, version in run.manifest.versions.items())
    assert "the map is the whole story" in text and run.manifest.exactness == "exact"
    assert str(Path(run.manifest.dataset.csv).parent) not in text, "a path of this machine is nobody else's business"


def test_flagged_pictures_come_first_each_with_picture_heat_and_changed_water(run: Run) -> None:
    clean = Table(run.parts(), Thresholds(), pd.DataFrame()).all_rows()
    image = str(clean.loc[clean["assessment"] == "clean", "image"].iloc[0])
    Journal(run.reviews_url).add([Review(image, "flag", "Ana", suggested_label="orca")])
    first, *rest = report_html(run, data_of(run), cases=4).split('<div class="case">')[1:]
    assert image in first and "should be orca" in first and len(rest) == 3
    assert all(part.count("data:image/webp;base64,") == 3 for part in rest)
    assert all("water changed:" in part and "→" in part for part in rest)


def test_thresholds_decide_its_verdicts(run: Run) -> None:
    text = words(report_html(run, data_of(run), cases=0, thresholds=Thresholds(attention=9, false_rate=0.01)))
    assert "attention 9.00 · at most 1 % false" in text and text.startswith(" WhaleCAM") and "0 of" in text


def test_nothing_that_people_or_the_data_set_say_becomes_markup(run: Run, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in run.parts():
        rows = pq.read_table(part)
        kinds = pa.array([HOSTILE] * len(rows), pa.string())
        pq.write_table(rows.set_column(rows.schema.get_field_index("label"), "label", kinds), part)
    image = sorted(run.audited())[0]
    Journal(run.reviews_url).add([Review(image, "flag", HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    html = report_html(run, data_of(run), cases=3)
    body = html.split("<body>")[1]
    assert escape(HOSTILE).replace("&quot;", "&#34;") in body
    assert "<script" not in body and 'onerror="' not in body and not re.findall(r"<img src=\"(?!data:)", body)


def test_a_picture_that_is_gone_costs_the_report_nothing_else(run: Run, tmp_path: Path) -> None:
    data = data_of(run)
    broken = type(data)(**{**vars(data), "table": data.table.assign(path="/gone.jpg")})
    assert report_html(run, broken, cases=3).count("Without its image") == 3
