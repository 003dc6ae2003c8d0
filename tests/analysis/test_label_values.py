"""Several rows for an image, placeholders, lists of labels, a single class: stated, and no false finding on them."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whalecam as wc
from tests.cases import case
from whalecam.analysis.findings import Evidence, Finding, find
from whalecam.analysis.findings.label_values import is_list
from whalecam.audit.run_audit import _wanted
from whalecam.config import AuditOptions
from whalecam.data import Dataset
from whalecam.data import open_dataset as open_table
from whalecam.data.placeholders import is_placeholder
from whalecam.errors import DatasetError

FILES = ("a.jpg", "b.JPG", "sub/c.png", "sub/a.jpg", "001.jpg", "d.jpeg")
NAMES = (
    "a.jpg",
    "a",
    "B.jpg",
    "b.jpg",
    "c.png",
    "sub\\c.png",
    "sub/a.jpg",
    "1",
    "x/a.jpg",
    "/y/d.jpeg",
    "gone.jpg",
    "",
)


def opened(rows: list[tuple[str, ...]], images: Path | None = None) -> Dataset:
    columns = ["image", "species", "individual_id"][: len(rows[0])]
    return wc.open_dataset(pd.DataFrame(rows, columns=columns), images)


def found(data: Dataset) -> dict[str, Finding]:
    return {finding.code: finding for finding in find(Evidence(data))}


def test_rows_of_an_image_with_two_labels_are_a_high_finding() -> None:
    folder = case("16-several-rows")
    data = wc.open_dataset(folder / "train.csv", folder / "images")
    rows = pd.read_csv(folder / "train.csv")
    labels = rows.groupby("image")["species"].nunique()
    contradicting = set(labels.index[labels > 1])
    assert contradicting == {"p000.jpg", "p003.jpg", "p006.jpg", "p009.jpg"}
    by_image = data.table.groupby("image")["status"].agg(Counter)
    for image, statuses in by_image.items():
        own = int((rows["image"] == image).sum())
        wanted = {"several labels": own} if image in contradicting else {"ok": 1, "duplicate row": own - 1}
        assert statuses == {status: count for status, count in wanted.items() if count}
    finding = found(data)["several_labels"]
    assert finding.severity == "high" and finding.facts == {"images": 4, "of": 12, "rows": 9}
    assert "4 of 12 images have rows with different labels, as p000.jpg: beluga, orca" in finding.sentence
    assert set(finding.rows["image"]) == contradicting and len(data.good()) == 8


def test_two_names_of_one_file_are_rows_of_one_image(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"x")
    same = opened([("a.jpg", "orca"), ("images/a.jpg", "orca")], tmp_path / "images")
    assert same.table["status"].tolist() == ["ok", "duplicate row"]
    other = opened([("a.jpg", "orca"), ("images/a.jpg", "beluga")], tmp_path / "images")
    assert other.table["status"].tolist() == ["several labels"] * 2


def test_a_row_without_a_label_never_hides_one_with_a_label() -> None:
    data = opened([("a.jpg", ""), ("a.jpg", "orca"), ("a.jpg", "orca"), ("b.jpg", "orca")])
    assert data.table["status"].tolist() == ["empty label", "ok", "duplicate row", "ok"]
    rows = _wanted(data, AuditOptions())
    assert rows[["image", "status"]].to_numpy().tolist() == [["a.jpg", "ok"], ["b.jpg", "ok"]]


def test_placeholders_of_individuals_are_no_individuals() -> None:
    folder = case("17-unknown-individuals")
    data = wc.open_dataset(folder / "train.csv", folder / "images")
    source = pd.read_csv(folder / "train.csv", keep_default_na=False)
    named = source["individual_id"].str.fullmatch(r"w\d")
    assert data.table["group"].tolist() == source["individual_id"].where(named, "").tolist()
    assert "32 of 40 rows have a placeholder in place of a group: " in data.notes[0]
    assert all(f"{word} ({count})" in data.notes[0] for word, count in (("unknown", 11), ("new_whale", 11), ("NA", 10)))
    findings = found(data)
    assert findings["two_species"].severity == "info" and findings["seen_once"].facts["individuals"] == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("unknown", "Unknown", "new_whale", "New Whale", "NA", "n/a", "-1", "#N/A", "None")),
        *((text, False) for text in ("w1", "0", "1", "", "Nana", "unknown_7", "orca", "Noah")),
    ],
)
def test_what_a_placeholder_is(text: str, expected: bool) -> None:
    assert is_placeholder(text) == expected


def test_a_group_of_a_third_of_the_images_and_two_labels_is_asked_about() -> None:
    named = [(f"{at}.jpg", ("orca", "beluga")[at % 2], f"w{at % 6}") for at in range(12)]
    mixed = [(f"m{at}.jpg", ("orca", "beluga")[at % 2], "the_rest") for at in range(8)]
    findings = found(opened([*named, *mixed]))
    assert findings["mixed_group"].facts == {"group": "the_rest", "images": 8, "of": 20, "labels": 2}
    assert "Does 'the_rest' mean that the individual is unknown?" in findings["mixed_group"].sentence
    assert findings["two_species"].severity == "info"
    for few in (mixed[:3], [(name, "orca", group) for name, _, group in mixed]):
        assert "mixed_group" not in found(opened([*named, *few]))


def test_placeholders_and_lists_among_labels_are_stated() -> None:
    folder = case("07-odd-labels")
    findings = found(wc.open_dataset(folder / "train.csv", folder / "images"))
    placeholders = findings["placeholder_labels"]
    assert placeholders.facts["labels"] == {"NA": 1, "None": 1, "nan": 1, "null": 1, "#N/A": 1}
    assert placeholders.severity == "medium" and "5 of 17 images" in placeholders.sentence
    lists = findings["label_lists"]
    assert lists.facts["labels"] == {"orca;beluga": 1, "beluga|orca": 1}
    merged = {name for finding in findings.values() if finding.code == "look_alike" for name in finding.about}
    assert not merged & {"NA", "#N/A", "null", "None", "nan"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a;b", True), ("a | b", True), ("a;x", True), ("x;y", False), ("a, b", True), ("fox, red", False), ("a", False)],
)
def test_what_a_list_of_labels_is(name: str, expected: bool) -> None:
    assert is_list(name, {"a", "b", "fox, red", "fox, arctic"}) == expected


@pytest.mark.parametrize(
    ("name", "code"), [("single.csv", "one_class"), ("singletons.csv", "too_small"), ("one-rare.csv", "too_small")]
)
def test_classes_that_cannot_be_learnt_are_stated(name: str, code: str) -> None:
    folder = case("18-class-shapes")
    data = wc.open_dataset(folder / name, folder / "images")
    assert (data.table["status"] == "ok").all() and code in found(data)
    if code == "one_class":
        assert found(data)[code].severity == "high" and "have one label, 'orca'" in found(data)[code].sentence


@pytest.mark.parametrize("name", ["numeric.csv", "comma-label.csv"])
def test_numbers_and_commas_are_labels(name: str) -> None:
    folder = case("18-class-shapes")
    data = wc.open_dataset(folder / name, folder / "images")
    assert data.table["label"].tolist() == pd.read_csv(folder / name, dtype=str)["species"].tolist()
    assert not {"label_lists", "placeholder_labels", "several_labels"} & set(found(data))


def test_one_hot_columns_are_labels_where_each_row_has_one() -> None:
    folder = case("18-class-shapes")
    data = wc.open_dataset(folder / "onehot.csv", folder / "images")
    source = pd.read_csv(folder / "onehot.csv")
    assert data.table["label"].tolist() == source[["orca", "beluga"]].idxmax(axis=1).tolist()
    assert data.notes[0] == "Read the 2 columns orca, beluga as the labels of one row each (one-hot)."
    assert data.columns.label == "label" and data.words().label == "label"
    assert len(data.reading) == 1
    again = open_table(folder / "onehot.csv", folder / "images", data.columns)  # as a run opens it
    assert again.table.equals(data.table) and again.columns == data.columns
    several = source.assign(beluga=1)
    with pytest.raises(
        DatasetError, match=r"a column for each label \(orca, beluga\), but \d+ of 20 rows have several"
    ):
        wc.open_dataset(several, folder / "images")


@given(
    rows=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["orca", "beluga", ""])), min_size=1, max_size=12),
    files=st.sets(st.sampled_from(FILES), min_size=1),
)
@settings(max_examples=200, deadline=None)
def test_every_row_and_every_file_is_in_exactly_one_count(
    rows: list[tuple[str, str]], files: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    images = tmp_path_factory.mktemp("set") / "images"
    for file in files:
        (images / file).parent.mkdir(parents=True, exist_ok=True)
        (images / file).write_bytes(b"x")
    data = opened(list(rows), images)
    table, report = data.table, data.files
    assert report is not None and len(table) == len(rows) == report.total
    assert report.matched + report.ambiguous_count + report.unmatched == len(rows)
    assert report.matched == int((table["path"] != "").sum())
    used = set(table["path"]) - {""}
    assert report.files == len(files) and report.unused == len(files) - len(used)
    assert len(data.good()) + len(data.problems) == len(rows)
    good = data.good()
    assert not good["path"].duplicated().any() and (good["path"] != "").all()
    for path in used:
        own = table[(table["path"] == path) & (table["label"] != "") & (table["image"] != "")]
        contradicts = own["label"].nunique() > 1
        assert set(own["status"]) <= ({"several labels"} if contradicts else {"ok", "duplicate row"})
        assert contradicts or own.empty or (own["status"] == "ok").sum() == 1
    for finding in find(Evidence(data)):
        assert finding.sentence and "\n" not in finding.sentence
