"""Images inside Parquet files: every row and every byte comes out once, under names that are safe, or is counted."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.commandline import whalecam
from whalecam.data import open_dataset
from whalecam.data.unpacking import safe_name, unpack
from whalecam.errors import DatasetError

NAMES = ["beluga", "orca"]
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(level: int, form: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), (level, 60, 90)).save(buffer, form)
    return buffer.getvalue()


def metadata(**features: Any) -> dict[bytes, bytes]:
    """As Dataset.to_parquet writes it."""
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


LABELS = metadata(image={"_type": "Image"}, label={"names": NAMES, "_type": "ClassLabel"})


def parquet(path: Path, files: list[dict[str, Any] | None], labels: list[int | None], **more: Any) -> Path:
    columns = {"image": pa.array(files, FILE), "label": pa.array(labels, pa.int64()), **more}
    pq.write_table(pa.table(columns).replace_schema_metadata(LABELS), path)
    return path


def test_images_become_files_and_ids_names(tmp_path: Path) -> None:
    images = [encoded(1), encoded(2, "PNG"), encoded(3), encoded(4)]
    stated = ["a.jpg", "deep/er/b.png", None, "a.jpg"]
    files: list[dict[str, Any] | None] = [
        {"bytes": content, "path": path} for content, path in zip(images, stated, strict=True)
    ]
    files += [None, {"bytes": None, "path": "/far/z.jpg"}]
    source = parquet(tmp_path / "t.parquet", files, [1, 0, 1, -1, 7, None], site=pa.array(list("xyzzzz")))
    done = unpack([source], tmp_path / "out")
    data = open_dataset(done.table, done.images)
    assert data.table["image"].tolist() == ["a.jpg", "b.png", "000003.jpg", "000004-a.jpg", "", "/far/z.jpg"]
    assert data.table["label"].tolist() == ["orca", "beluga", "orca", "", "", ""]
    assert [Path(path).read_bytes() for path in data.table["path"][:4]] == images
    table = pd.read_csv(done.table, keep_default_na=False)
    assert table["source_path"].tolist() == ["a.jpg", "deep/er/b.png", "", "a.jpg", "", "/far/z.jpg"]
    assert table["site"].tolist() == list("xyzzzz")
    assert (done.rows, done.written, done.kept, done.without_image) == (6, 4, 0, 2)
    assert "2 of 6 rows have no image inside the files" in done.notes[1]
    assert "'label' became the names of 2 classes" in done.notes[0] and "1 ids have no name" in done.notes[0]


def test_a_second_call_writes_nothing_and_a_changed_file_is_written_anew(tmp_path: Path) -> None:
    files = [{"bytes": encoded(level), "path": f"{level}.jpg"} for level in range(3)]
    source = parquet(tmp_path / "t.parquet", list(files), [0, 1, 0])
    first = unpack([source], tmp_path / "out")
    (first.images / "1.jpg").write_bytes(b"half")
    again = unpack([source], tmp_path / "out")
    assert (first.written, first.kept, again.written, again.kept) == (3, 0, 1, 2)
    assert (first.images / "1.jpg").read_bytes() == encoded(1)
    assert sorted(path.name for path in first.images.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]


def test_parts_of_one_set_share_a_folder(tmp_path: Path) -> None:
    parts = [
        parquet(tmp_path / f"train-0000{part}-of-00002.parquet", [{"bytes": encoded(part), "path": "0.jpg"}], [part])
        for part in range(2)
    ]
    done = unpack(parts, tmp_path / "out")
    data = open_dataset(done.table, done.images)
    assert data.table["image"].tolist() == ["0.jpg", "000002-0.jpg"] and data.classes() == ("beluga", "orca")


def test_columns_of_plain_bytes_and_what_is_left_out(tmp_path: Path) -> None:
    columns = {
        "img": pa.array([encoded(1)], pa.large_binary()),
        "species": ["orca"],
        "boxes": pa.array([[1, 2]]),
        "mask": pa.array([{"bytes": encoded(2), "path": None}], FILE),
        "source_path": ["other"],
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    done = unpack([tmp_path / "t.parquet"], tmp_path / "out")
    assert done.notes == ("Columns that are not in the table: boxes, mask, source_path.",)
    assert open_dataset(done.table, done.images).good()[["image", "label"]].to_numpy().tolist() == [
        ["000001.jpg", "orca"]
    ]


def test_ids_of_a_table_without_images_become_names_too(tmp_path: Path) -> None:
    table = pa.table({"image": ["a.jpg", "b.jpg", "c.jpg"], "label": pa.array([1, 0, None], pa.int64())})
    pq.write_table(table.replace_schema_metadata(LABELS), tmp_path / "t.parquet")
    data = open_dataset(tmp_path / "t.parquet", None)
    assert data.table["label"].tolist() == ["orca", "beluga", ""]
    assert "The ids of the column 'label' became the names of 2 classes that the file states." in data.notes


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}', b"\xff"]
)
def test_odd_metadata_leaves_ids_as_they_are(content: bytes, tmp_path: Path) -> None:
    table = pa.table({"image": ["a.jpg"], "label": [1]})
    pq.write_table(table.replace_schema_metadata({b"huggingface": content}), tmp_path / "t.parquet")
    assert open_dataset(tmp_path / "t.parquet", None).table["label"].tolist() == ["1"]


def test_what_cannot_be_unpacked_gets_one_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a.jpg"]}), tmp_path / "plain.parquet")
    (tmp_path / "half.parquet").write_bytes(b"PAR1" + bytes(40))
    good = parquet(tmp_path / "good.parquet", [{"bytes": encoded(1), "path": "a.jpg"}], [0])
    more = parquet(tmp_path / "more.parquet", [{"bytes": encoded(1), "path": "a.jpg"}], [0], site=pa.array(["x"]))
    empty = parquet(tmp_path / "empty.parquet", [], [])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for files, out, words in (
        (["plain.parquet"], "out", "contains no images"),
        (["half.parquet"], "out", "cut short or damaged"),
        (["gone.parquet"], "out", "cut short or damaged|no file"),
        ([good.name, more.name], "out", "other columns"),
        ([empty.name], "empty", "no rows"),
        ([good.name], "full", "contains something else"),
        ([], "out", "Name the Parquet files"),
    ):
        with pytest.raises(DatasetError, match=words):
            unpack([tmp_path / name for name in files], tmp_path / out)
    assert not (tmp_path / "out").exists() and (tmp_path / "full" / "mine.txt").read_text() == "x"


def test_the_verb_counts_and_the_check_reads_it(tmp_path: Path) -> None:
    files = [{"bytes": encoded(level), "path": f"{level}.jpg"} for level in range(4)]
    source = parquet(tmp_path / "t.parquet", list(files), [0, 1, 0, 1])
    refused = whalecam("check", source, tmp_path)
    assert refused.returncode == 2 and "whalecam unpack t.parquet --out DIR" in refused.stderr
    done = whalecam("unpack", source, "--out", tmp_path / "out", "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 0 and (facts["rows"], facts["written"], facts["without_image"]) == (4, 4, 0)
    data = open_dataset(Path(facts["table"]), Path(facts["images"]))
    assert len(data.good()) == 4 and data.files is not None and data.files.unused == 0


PATHS = st.text(st.sampled_from("ab./\\: ~é%'\n\0=-A"), max_size=12)


@given(paths=st.lists(st.none() | PATHS, min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_no_path_leads_out_of_the_folder_and_no_image_is_lost(
    paths: list[str | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("unpack")
    files = [{"bytes": encoded(level), "path": path} for level, path in enumerate(paths)]
    done = unpack([parquet(folder / "t.parquet", list(files), [0] * len(paths))], folder / "out")
    assert {path.name for path in folder.iterdir()} == {"t.parquet", "out"}
    assert {path.name for path in (folder / "out").iterdir()} == {"table.csv", "images"}
    data = open_dataset(done.table, done.images)
    assert (data.table["status"] == "ok").all() and data.files is not None and data.files.unused == 0
    assert [Path(path).read_bytes() for path in data.table["path"]] == [file["bytes"] for file in files]


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("a.jpg", "a.jpg"),
        ("/etc/passwd", "passwd.jpg"),
        ("..\\..\\x.png", "x.png"),
        ("C:\\whales\\b c.JPG", "b c.JPG"),
        ("..", ".jpg"),
        ("=cmd|calc.jpg", "_cmd_calc.jpg"),
        ("détour.jpg", "d_tour.jpg"),
        ("x" * 300 + ".jpg", "x" * 96 + ".jpg"),
    ],
)
def test_a_name_is_safe(stated: str, name: str) -> None:
    assert safe_name(stated, encoded(1)) == name
