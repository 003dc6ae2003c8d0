"""Questions to the table, compared with the same question asked slowly in plain Python."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from whalecam.config import Thresholds
from whalecam.errors import RunError
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run
from whalecam.store.table import ORDERS, Filters, ImageRow, Span, Table, Totals, unpack_maps, wilson
from whalecam.store.table.stats import bootstrap

CLASSES = ("beluga", "orca")
NO_REVIEWS = pd.DataFrame(columns=["image", "verdict"])


def make_rows(n: int = 40) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for i in range(n):
        row: dict[str, object] = {"image": f"{i:03}.jpg", "label": CLASSES[i % 2], "group": f"id{i // 4}"}
        if i % 10 == 9:
            row["reason"] = "truncated"
        else:
            row |= {
                "predicted": CLASSES[int(rng.integers(2))],
                "in_training": bool(i % 3),
                "confidence": float(rng.random()),
                "loss": float(rng.random() * 3),
                "attention_score": float(np.round(rng.normal(0.8, 0.5), 3)),
                "reason": "",
                "completeness_error": 1e-6,
                "peak": float(rng.random()),
                "logits": [0.25, -0.5],
                "map_height": 2,
                "map_width": 3,
                "maps": (np.arange(12) + i).astype("<f2").tobytes(),
                "mask_bits": b"m",
            }
        rows.append(row)
    return rows


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = create_run(tmp_path / "r", DatasetRecord("a", "b", {}, ""))
    rows = make_rows()
    made.write_part(rows[:17])
    made.write_part(rows[17:])
    return made


@pytest.fixture
def table(run: Run) -> Table:
    return Table(run.parts(), Thresholds(), NO_REVIEWS)


def test_an_unaudited_run_says_what_to_do() -> None:
    with pytest.raises(RunError, match="Audit it first"):
        Table([], Thresholds(), NO_REVIEWS)


def test_counts_equal_a_loop(table: Table) -> None:
    rows = make_rows()
    suspects = [r for r in rows if r.get("attention_score") is not None and r["attention_score"] >= 1]  # type: ignore[operator]
    assert table.count() == len(rows)
    assert table.count(Filters(assessments=("suspect",))) == len(suspects)
    assert table.overview()["suspects"] == len(suspects)
    assert table.overview()["unreadable"] == 4
    right = [r["label"] == r["predicted"] for r in rows if r.get("in_training") is False]
    assert table.overview()["accuracy"] == pytest.approx(np.mean(right))


def test_a_slider_moves_verdicts_without_a_model(table: Table) -> None:
    table.at(Thresholds(attention=0.3))
    many = table.count(Filters(assessments=("suspect",)))
    table.at(Thresholds(attention=1.9))
    assert table.count(Filters(assessments=("suspect",))) < many


@pytest.mark.parametrize("order", ORDERS)
def test_pages_are_a_partition_of_the_rows_in_every_order(table: Table, order: str) -> None:
    pages = [table.page(Filters(), order, 7, offset) for offset in range(0, 42, 7)]
    names = [name for page in pages for name in page["image"]]
    assert sorted(names) == [f"{i:03}.jpg" for i in range(40)]


def test_place_agrees_with_the_page(table: Table) -> None:
    names = table.page(Filters(), "loss", 100)["image"].tolist()
    assert table.place(names[5], Filters(), "loss") == (5, names[4], names[6])
    assert table.place(names[0], Filters(), "loss") == (0, None, names[1])
    assert table.place("nobody.jpg", Filters(), "loss") == (-1, None, None)


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        (Filters(labels=("orca",)), lambda r: r["label"] == "orca"),
        (Filters(correct=True), lambda r: r["label"] == r.get("predicted")),
        (Filters(in_training=False), lambda r: r.get("in_training") is False),
        (Filters(text="ID3"), lambda r: "id3" in r["group"]),
        (Filters(images=("001.jpg", "x'; drop table rows; --")), lambda r: r["image"] == "001.jpg"),
        (Filters(review="unreviewed"), lambda r: True),
        (Filters(review="flag"), lambda r: False),
        (Filters(groups=("id3", "nobody")), lambda r: r["group"] == "id3"),
        (Filters(spans=(Span("loss", 1.0, None),)), lambda r: r.get("loss", -1) >= 1),
        (
            Filters(spans=(Span("loss", None, 2.0), Span("attention_score", 0.5, 1.0))),
            lambda r: r.get("loss", 9) < 2 and 0.5 <= r.get("attention_score", 9) < 1,
        ),
    ],
)
def test_filters_equal_a_loop(table: Table, filters: Filters, keep) -> None:  # type: ignore[no-untyped-def]
    expected = [row["image"] for row in make_rows() if keep(row)]
    assert table.all_rows(filters)["image"].tolist() == expected
    assert table.count(filters) == len(expected)


def test_a_span_of_what_is_no_score_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="no score"):
        table.count(Filters(spans=(Span("1=1; drop table rows; --", 0, 1),)))


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(labels=("orca",), predicted=("beluga",), in_training=True),
        Filters(spans=(Span("loss", 0.5, 2.5),), assessments=("clean",), groups=("id1", "id3")),
    ],
)
def test_a_count_leaves_its_own_choice_out_and_no_other(table: Table, filters: Filters) -> None:
    table.join(pd.DataFrame({"image": ["003.jpg", "004.jpg"], "verdict": ["flag", "keep"], "reviewer": "Ana"}))
    facets = table.facets(filters)
    freed = {
        "label": replace(filters, labels=()),
        "predicted": replace(filters, predicted=()),
        "assessment": replace(filters, assessments=()),
        "group": replace(filters, groups=()),
    }
    for column, others in freed.items():
        rows = table.all_rows(others)
        assert facets.counts[column] == dict(Counter(rows[column].dropna())), column
    rows = table.all_rows(replace(filters, review=None))
    assert facets.counts["review"] == dict(Counter(rows["review"].fillna("unreviewed")))
    rows = table.all_rows(replace(filters, in_training=None))
    assert facets.counts["in_training"] == dict(Counter(str(bool(v)).lower() for v in rows["in_training"].dropna()))


def test_a_histogram_counts_every_measured_image_once(table: Table) -> None:
    facets = table.facets(Filters(spans=(Span("loss", 1.0, 2.0), Span("confidence", 0.2, None))))
    assert set(facets.spreads) == {"attention_score", "loss", "confidence"}, "reliance was not measured"
    losses = table.all_rows(Filters(spans=(Span("confidence", 0.2, None),)))["loss"].dropna().astype(float)
    spread = facets.spreads["loss"]
    slowly = [0] * len(spread.counts)
    for loss in losses:
        bar = int((loss - spread.low) * len(slowly) / (spread.high - spread.low) // 1)
        slowly[min(len(slowly) - 1, max(0, bar))] += 1
    assert list(spread.counts) == slowly and sum(slowly) == len(losses)
    assert (facets.spreads["confidence"].low, facets.spreads["confidence"].high) == (0, 1)
    assert sum(table.facets(Filters(labels=("no such label",))).spreads["loss"].counts) == 0


def test_reviews_join_by_image(table: Table) -> None:
    table.join(
        pd.DataFrame({"image": ["003.jpg", "unknown.jpg"], "verdict": ["flag", "keep"], "reviewer": ["Ana", "B"]})
    )
    assert table.all_rows(Filters(review="flag"))["image"].tolist() == ["003.jpg"]
    assert table.overview()["flagged"] == 1
    assert table.count() == 40


def test_a_rejected_mask_takes_its_picture_out_of_every_score(table: Table) -> None:
    rows = table.all_rows()
    looks = rows[rows["attention_score"] >= 1]["image"].tolist()
    before, flagged = table.overview(), pd.DataFrame({"image": looks, "assessment": "unsure", "reviewer": "Ana"})
    table.join(flagged.assign(reason="water"))
    assert table.overview()["suspects"] == before["suspects"] == len(looks) > 2
    table.join(flagged.assign(reason="bad mask"))
    after = table.overview()
    assert (after["suspects"], after["assessable"]) == (0, before["assessable"] - len(looks))
    assert table.quadrants(1.0)["images"].sum() == after["assessable"]
    assert set(table.assessments()["assessment"]) == {"not_assessable", "not_tested"}
    row = table.row(looks[0])
    assert (row["attention_score"], row["assessment"], row["reason"]) == (
        None,
        "not_assessable",
        "mask rejected by Ana",
    )
    table.join(flagged.iloc[:0])
    assert table.overview() == before, "taken back, nothing is lost"


def test_maps_come_back_as_they_were_stored(table: Table) -> None:
    row = table.row("021.jpg")
    np.testing.assert_array_equal(row["maps"], (np.arange(12) + 21).reshape(2, 2, 3))
    overlays = table.overlays_of(["021.jpg", "009.jpg"])
    np.testing.assert_array_equal(overlays["021.jpg"].maps, row["maps"])
    assert set(overlays) == {"021.jpg", "009.jpg"} and overlays["009.jpg"].maps is None
    assert overlays["021.jpg"].mask_bits == row["mask_bits"]
    assert table.row("009.jpg")["maps"] is None
    with pytest.raises(RunError, match=r"no row for 'x.jpg'"):
        table.row("x.jpg")


def test_the_names_like_a_mistyped_one_come_nearest_first(table: Table) -> None:
    assert table.alike("O21.jpg", 3)[0] == "021.jpg"
    assert table.alike("021.jpg", 3)[0] == "021.jpg" and len(table.alike("021.jpg", 3)) == 3
    assert table.alike("something else altogether", 3) == []


def test_no_page_carries_maps(table: Table) -> None:
    assert not {"maps", "logits", "mask_bits"} & set(table.page(Filters()).columns)


def test_unpack_of_nothing_is_nothing() -> None:
    assert unpack_maps(None, None, None) is None


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (5, 10), (10, 10), (37, 412)])
def test_wilson_equals_its_formula(hits: int, of: int) -> None:
    p, z = hits / of, 1.959963984540054
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    np.testing.assert_allclose(wilson(hits, of), (p, middle - half, middle + half), atol=1e-9)


def test_wilson_is_the_interval_of_scipy() -> None:
    for hits, of in ((0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (37, 412), (51_000, 51_033)):
        theirs = binomtest(hits, of).proportion_ci(method="wilson")
        np.testing.assert_allclose(wilson(hits, of), (hits / of, theirs.low, theirs.high), rtol=1e-13, atol=0)


def test_bootstrap_holds_the_mean_and_narrows_with_more() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.normal(0.4, 0.2, 20), rng.normal(0.4, 0.2, 2000)
    (low, high), (near, far) = bootstrap(few), bootstrap(many)
    assert low < few.mean() < high and near < many.mean() < far
    assert far - near == pytest.approx(2 * 1.96 * many.std() / 2000**0.5, rel=0.15)
    assert far - near < (high - low) / 4
    assert bootstrap(few) == (low, high)
    assert np.isnan(bootstrap(np.array([0.3, np.nan]))).all()


def test_wilson_of_nothing_is_unknown() -> None:
    assert np.isnan(wilson(0, 0)).all()


def test_quadrants_and_confusion_add_up(table: Table) -> None:
    assert table.quadrants(1.0)["images"].sum() == 36
    assert table.confusion(unseen_only=False)["images"].sum() == 36


def test_a_row_and_the_totals_have_the_columns_that_their_types_name(table: Table) -> None:
    assert set(table.row(table.images(Filters(), limit=1)[0])) == set(ImageRow.__annotations__)
    totals = get_type_hints(Totals)
    assert table.overview().keys() == totals.keys()
    whole = {name for name, kind in totals.items() if kind is int}
    assert all(isinstance(value, int) == (name in whole) for name, value in table.overview().items())
