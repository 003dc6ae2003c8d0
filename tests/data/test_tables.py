"""Tables in every format: the same rows, a word about what was guessed, and one true sentence for what is no table."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import whalecam as wc
from tests.cases import case
from whalecam.config import Columns
from whalecam.data import open_dataset
from whalecam.data.readers.tables import TABLE_READERS, TableContents, read_table
from whalecam.data.readers.tables.contents import text_of
from whalecam.errors import DatasetError, WhalecamError
from whalecam.output.csv import cleaned_source

ROWS = [
    ("a.jpg", "orca", "w1"),
    ("sub/b.jpg", "beluga, white", "07"),
    ("c.jpg", 'the "grey"', ""),
    ("détour.jpg", "", "w1"),
]
FRAME = pd.DataFrame(ROWS, columns=["image", "species", "individual_id"])
CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)


def write_excel(frame: pd.DataFrame, path: Path) -> None:
    """A workbook with the cells as inline texts, as small as they come."""
    cells = [list(frame.columns), *frame.to_numpy().tolist()]
    rows = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{_escaped(cell)}</t></is></c>' for cell in row) + "</row>"
        for row in cells
    )
    main, relations = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    parts = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{parts}"><Relationship Id="r1" Type="{relations}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>'
            '<sheet name="labels" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{parts}"><Relationship Id="r1" Type="{relations}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        book.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
        )


def _escaped(cell: object) -> str:
    return str(cell).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def write_coco(frame: pd.DataFrame, path: Path) -> None:
    names = sorted(set(frame["species"]) - {""})
    images = [{"id": at, "file_name": name} for at, name in enumerate(frame["image"])]
    annotations = [
        {"id": at, "image_id": at, "category_id": names.index(label), "individual_id": group}
        for at, (label, group) in enumerate(zip(frame["species"], frame["individual_id"], strict=True))
        if label
    ]
    categories = [{"id": at, "name": name} for at, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def json_lines(frame: pd.DataFrame) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in frame.to_dict("records"))


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "t.csv": lambda frame, path: frame.to_csv(path, index=False),
    "t.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "semicolon.csv": lambda frame, path: path.write_text("sep=;\n" + frame.to_csv(index=False, sep=";")),
    "comment.csv": lambda frame, path: path.write_text("# by hand\n#again\n\n" + frame.to_csv(index=False)),
    "utf16.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16"),
    "t.csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.to_csv(index=False).encode())),
    "cp1252.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="cp1252"),
    "mac.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="mac_roman"),
    "t.xlsx": write_excel,
    "t.parquet": lambda frame, path: frame.to_parquet(path),
    "t.jsonl": lambda frame, path: path.write_text(json_lines(frame)),
    "t.json": lambda frame, path: path.write_text(json.dumps(frame.to_dict("records"))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    WRITERS[name](FRAME, tmp_path / name)
    data = open_dataset(tmp_path / name, None)
    assert data.table[["image", "label", "group"]].to_numpy().tolist() == [list(row) for row in ROWS]
    assert data.csv == tmp_path / name and len(data.fingerprint) == 64
    guessed = name in ("cp1252.csv", "mac.csv")
    assert any("is not UTF-8; it was read as" in note and "'détour.jpg'" in note for note in data.notes) == guessed


def test_coco_gives_the_same_rows(tmp_path: Path) -> None:
    write_coco(FRAME, tmp_path / "coco.json")
    data = open_dataset(tmp_path / "coco.json", None)
    labelled = [list(row) if row[1] else [row[0], "", ""] for row in ROWS]
    assert data.table[["image", "label", "group"]].to_numpy().tolist() == labelled
    assert data.notes == ("Read 4 images with 3 annotations of 3 COCO categories as labels.",)


def test_a_table_in_memory_gives_the_same_rows(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    wanted = wc.open_dataset(tmp_path / "t.csv").table
    for table in (FRAME, pa.Table.from_pandas(FRAME), FRAME.astype("category"), FRAME.set_index(np.arange(4) + 7)):
        pd.testing.assert_frame_equal(wc.open_dataset(table).table, wanted)
    with pytest.raises(DatasetError, match="no rows"):
        wc.open_dataset(FRAME.head(0))


@given(frame=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_through_every_format(
    frame: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, table = tmp_path_factory.mktemp("t"), pd.DataFrame(frame, columns=FRAME.columns)
    for name in ("t.csv.gz", "utf16.csv", "t.parquet", "t.jsonl", "t.json", "t.xlsx"):
        WRITERS[name](table, folder / name)
        assert read_table(folder / name).frame.to_numpy().tolist() == [list(row) for row in frame], name


@pytest.mark.parametrize("name", TABLE_READERS)
def test_a_reader_leaves_other_formats_alone(name: str, tmp_path: Path) -> None:
    reader, own = TABLE_READERS[name], {"Excel": "t.xlsx", "Parquet": "t.parquet"}.get(name)
    for file in ("t.csv", "t.tsv", "t.parquet", "t.xlsx", "utf16.csv", "t.csv.gz"):
        WRITERS[file](FRAME, tmp_path / file)
        contents = reader(tmp_path / file)
        assert isinstance(contents, TableContents) == (file == own)
    assert reader(tmp_path / "nowhere.csv") is None


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (np.nan, ""), (pd.NaT, ""), (7.0, "7"), (1.5, "1.5"), ("01", "01"), (3, "3"), (True, "True")],
)
def test_cells_become_the_texts_of_a_csv(cell: object, text: str) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", b"PK\x03\x04" + bytes(40), "cannot be read as a workbook"),
        ("t.parquet", b"PAR1" + bytes(40), "cut short or damaged"),
        ("t.csv.gz", b"\x1f\x8b" + bytes(40), "packed by gzip, but damaged"),
        ("t.json", b'{"images": [], "detection_categories": {}}', "are given as boxes"),
        ("t.jsonl", b'{"image": "a"}\n[1]\n', "row 2 is not a JSON object"),
        ("t.jsonl", b'{"image": "a"}\n{"image"\n', "line 2 is not JSON"),
        ("t.json", b"[]", "has no rows"),
        ("coco.json", b'{"images": [], "annotations": [], "categories": []}', "without images"),
        ("t.csv", b"a.jpg,orca\nb.jpg,orca\n", "no line of column names"),
        ("t.csv", b"Image,IMAGE,species\na,b,c\n", "no column 'image'. It has: Image, IMAGE, species"),
        ("t.csv", b"image,label,class\na,b,c\n", "no column 'species'"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\x00\x01\x02", "is not UTF-8 text"),
    ],
)
def test_what_is_no_table_gets_one_true_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WhalecamError, match=r"^[^\n]*$") as caught:
        open_dataset(tmp_path / name, None)
    assert words in str(caught.value) and name in str(caught.value)


def test_images_inside_a_table_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"image": [{"bytes": b"x", "path": "a.jpg"}], "species": ["orca"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(
        DatasetError, match=r"contains images in its column 'image'.*whalecam unpack t.parquet --out DIR"
    ):
        open_dataset(tmp_path / "t.parquet", None)


@pytest.mark.parametrize(
    ("header", "columns", "notes"),
    [
        ("image,species", Columns("image", "species"), 0),
        ("Image,SPECIES", Columns("Image", "SPECIES"), 2),
        ("file_name,label", Columns("file_name", "label"), 2),
        ("path,Category", Columns("path", "Category"), 2),
    ],
)
def test_columns_are_found_in_another_case_and_by_usual_names(
    header: str, columns: Columns, notes: int, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\na.jpg,orca\n")
    data = open_dataset(tmp_path / "t.csv", None)
    assert data.columns == columns and len(data.notes) == notes and data.classes() == ("orca",)


def test_a_named_column_that_is_absent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,species,label\na.jpg,orca,x\n")
    for columns in (Columns("picture"), Columns(label="kind"), Columns(group="pod")):
        with pytest.raises(DatasetError, match=r"no column '(picture|kind|pod)'. It has: image, species, label"):
            open_dataset(tmp_path / "t.csv", None, columns)


def draw(folder: Path, paths: list[str]) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(folder / path)


def test_class_folders_are_labels_and_split_folders_are_not(tmp_path: Path) -> None:
    draw(tmp_path / "plain", ["orca/1.jpg", "orca/deep/2.png", "beluga/1.jpg", "beluga/.hidden.jpg"])
    data = wc.open_dataset(tmp_path / "plain")
    assert data.table[["image", "label", "status"]].to_numpy().tolist() == [
        ["beluga/1.jpg", "beluga", "ok"],
        ["orca/1.jpg", "orca", "ok"],
        ["orca/deep/2.png", "orca", "ok"],
    ]
    assert data.images == tmp_path / "plain" and data.notes == (
        "Read 3 images of 2 class folders as labels: beluga (1), orca (2).",
        "Matched 3 of 3 rows with 3 of 3 files.",
    )
    draw(tmp_path / "split", ["train/orca/1.jpg", "val/orca/1.jpg", "Test/beluga/2.jpg"])
    split = wc.open_dataset(tmp_path / "split")
    assert split.table["label"].tolist() == ["beluga", "orca", "orca"]
    assert "Test, train, val are parts of the set" in split.notes[1]
    assert read_table(tmp_path / "split").frame["split"].tolist() == ["Test", "train", "val"]


def test_a_folder_that_is_no_set_of_class_folders_is_explained(tmp_path: Path) -> None:
    draw(tmp_path / "flat", ["1.jpg"])
    draw(tmp_path / "both", ["images/1.jpg"])
    (tmp_path / "both" / "train.csv").write_text("image,species\n1.jpg,orca\n")
    (tmp_path / "empty").mkdir()
    for name, words in (("flat", "no class folders"), ("both", "contains train.csv"), ("empty", "without images")):
        with pytest.raises(DatasetError, match=words):
            open_dataset(tmp_path / name, None)
    draw(tmp_path / "some", ["orca/1.jpg", "2.jpg"])
    assert open_dataset(tmp_path / "some", None).table["status"].tolist() == ["empty label", "ok"]


def test_class_folders_and_tables_of_the_same_images_are_the_same(tmp_path: Path) -> None:
    images = case("14-imagefolder") / "data"
    folders = wc.open_dataset(images)
    rows = [(path, path.split("/")[1]) for path in folders.table["image"]]
    assert len(rows) == 16 and folders.table["status"].eq("ok").all()
    frame = pd.DataFrame(rows, columns=["image", "species"])
    for name in ("t.csv", "t.parquet", "t.jsonl"):
        WRITERS[name](frame, tmp_path / name)
        pd.testing.assert_frame_equal(wc.open_dataset(tmp_path / name, images).table, folders.table)
    pd.testing.assert_frame_equal(wc.open_dataset(frame, images).table, folders.table)
    write_coco(frame.assign(individual_id=""), tmp_path / "coco.json")
    pd.testing.assert_frame_equal(wc.open_dataset(tmp_path / "coco.json", images).table, folders.table)


def test_camera_traps_keep_the_place_and_all_labels_of_an_image(tmp_path: Path) -> None:
    content = {
        "images": [
            {"id": "i1", "file_name": "a.jpg", "location": 4},
            {"id": "i2", "file_name": "b.jpg", "location": 5},
        ],
        "annotations": [
            {"id": 1, "image_id": "i1", "category_id": 3},
            {"id": 2, "image_id": "i1", "category_id": 0},
            {"id": 3, "image_id": "i1", "category_id": 3},
            {"id": 4, "image_id": "gone", "category_id": 3},
        ],
        "categories": [{"id": 0, "name": "empty"}, {"id": 3, "name": "fox"}],
    }
    (tmp_path / "cct.json").write_text(json.dumps(content))
    data = wc.open_dataset(tmp_path / "cct.json", group_column="location")
    assert data.table[["image", "label", "group"]].to_numpy().tolist() == [
        ["a.jpg", "fox", "4"],
        ["a.jpg", "empty", "4"],
        ["b.jpg", "", "5"],
    ]
    assert "1 annotations name an image or a category that is not in the file" in data.notes[1]


@pytest.mark.parametrize("name", ["bom", "caps", "comment", "cp1252", "cr", "semicolon", "utf16"])
def test_encodings_that_people_have(name: str) -> None:
    folder = case("08-encodings")
    data = open_dataset(folder / f"{name}.csv", folder / "images")
    assert (data.table["status"] == "ok").all() and data.classes() == ("bélouga", "orque")
    assert data.table["path"].nunique() == 12


def test_a_table_without_column_names_is_explained() -> None:
    with pytest.raises(DatasetError, match=r"it begins with a row of data, e00\.jpg, bélouga"):
        open_dataset(case("08-encodings") / "noheader.csv", None)


@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.parquet", "labels.tsv", "with_index.csv"])
def test_other_tables_that_people_have(name: str) -> None:
    folder = case("15-other-tables")
    table = open_dataset(folder / name, folder / "images").table
    assert (table["status"] == "ok").all() and len(table) == 8
    assert table["label"].tolist() == ["orca", "beluga"] * 4


def test_odd_labels_stay_as_they_are() -> None:
    folder = case("07-odd-labels")
    table = open_dataset(folder / "train.csv", folder / "images").table
    assert table["label"].tolist()[:9] == ["NA", "None", "nan", "1", "01", "1.0", "orca", "orca", "Orca"]
    assert table.loc[table["status"] != "ok", "image"].tolist() == ["i10.jpg"]


def test_the_source_without_flagged_rows_is_a_csv_for_every_format(tmp_path: Path) -> None:
    draw(tmp_path / "set", ["orca/1.jpg", "orca/2.jpg"])
    text = cleaned_source(tmp_path / "set", "image", {"orca/1.jpg"}).decode()
    assert text.splitlines() == ["image,split,label", "orca/2.jpg,,orca"]
    (tmp_path / "t.csv").write_bytes("# é\nsep=;\nimage;species\né.jpg;x\nb.jpg;y\n".encode("cp1252"))
    assert cleaned_source(tmp_path / "t.csv", "image", {"b.jpg"}).decode("cp1252") == (
        "# é\nsep=;\nimage;species\né.jpg;x\n"
    )


def test_a_run_keeps_a_table_that_was_in_memory(tmp_path: Path) -> None:
    names = [f"{label}/{at}.jpg" for label in ("orca", "beluga") for at in range(6)]
    draw(tmp_path / "images", names)
    frame = pd.DataFrame({"file": names, "kind": [name.split("/")[0] for name in names], "pod": range(12)})
    data = wc.open_dataset(frame, tmp_path / "images", image_column="file", label_column="kind", group_column="pod")
    run = wc.train(data, tmp_path / "run", arch="resnet18", pretrained=False, recipe="linear-probe", size=32)
    again = wc.open_dataset(run.manifest.dataset.csv, tmp_path / "images", **_named(run.manifest.dataset.columns))
    assert again.table["image"].tolist() == names and again.table["label"].tolist() == frame["kind"].tolist()
    assert again.table["group"].tolist() == [str(at) for at in range(12)]


def _named(columns: object) -> dict[str, str]:
    return {f"{name}_column": value for name, value in dict(columns).items()}  # type: ignore[call-overload]
