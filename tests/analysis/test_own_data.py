"""What is recognized in somebody's data before it is used."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.cases import case
from whalecam.analysis import own_data
from whalecam.analysis.own_data import IMAGES, OwnData, preview
from whalecam.config import Columns, MaskOptions
from whalecam.data import open_dataset
from whalecam.data.preview import Layout, SortedFiles, layout_of, preview_table, sorted_files
from whalecam.errors import DatasetError
from whalecam.explain import masks
from whalecam.explain.render import unpack_mask

WIDTH, HEIGHT = 64, 48
BOX = (16, 12, 48, 36)


def draw(path: Path, box: tuple[int, int, int, int] = BOX) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 220
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 images in class folders, a MegaDetector file of ten of them, masks of two."""
    for number in range(12):
        draw(tmp_path / "set" / ("orca", "beluga")[number % 2] / f"{number}.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    for number in range(2):
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    shares = [BOX[0] / WIDTH, BOX[1] / HEIGHT, (BOX[2] - BOX[0]) / WIDTH, (BOX[3] - BOX[1]) / HEIGHT]
    images = [
        {"file": f"{('orca', 'beluga')[n % 2]}/{n}.png", "detections": [{"category": "1", "conf": 0.9, "bbox": shares}]}
        for n in range(10)
    ]
    content = {"images": images, "detection_categories": {"1": "animal"}, "info": {"format_version": "1.4"}}
    (tmp_path / "md.json").write_text(json.dumps(content))
    return tmp_path


def test_class_folders_and_boxes_are_recognized_with_their_outlines(folder: Path) -> None:
    chosen = OwnData(table=folder / "set", masks=MaskOptions(boxes=(str(folder / "md.json"),)))
    seen = preview(chosen)
    assert seen.table.format == "class folders" and seen.table.header == ("image", "split", "label")
    assert seen.table.data is not None and seen.table.data.columns == Columns("image", "label", "individual_id")
    assert [(join.kind, join.matched, join.images) for join in seen.joins] == [("boxes", 10, 12)]
    assert seen.problems == () and len(seen.images) == IMAGES == len({image.image for image in seen.images})
    for image in seen.images:
        assert int(Path(image.image).stem) < 10 and image.label == Path(image.image).parent.name
        assert image.source == "boxes" and image.area == pytest.approx(0.25)
        assert image.mask_bits is not None and image.thumbnail is not None and not image.reason
        inside = unpack_mask(image.mask_bits)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 71, 24, 71)


def test_a_mask_stands_above_a_box_and_an_audit_sees_the_same(folder: Path) -> None:
    options = MaskOptions(masks=str(folder / "masks"), boxes=(str(folder / "md.json"),))
    seen = preview(OwnData(table=folder / "set", masks=options))
    assert {join.kind: join.matched for join in seen.joins} == {"masks": 2, "boxes": 10}
    data = open_dataset(folder / "set", None)
    audited = masks.joined(data, masks.opened(options)).joins
    assert [join.sentence for join in seen.joins] == [join.sentence for join in audited]
    sources = {image.image: (image.source, image.area) for image in seen.images}
    given_ones = {name: value for name, value in sources.items() if name in ("orca/0.png", "beluga/1.png")}
    assert all(value == ("given", 0.5) for value in given_ones.values())
    assert all(value == ("boxes", 0.25) for name, value in sources.items() if name not in given_ones)


def test_a_fault_of_the_boxes_leaves_the_masks_and_the_table(folder: Path) -> None:
    (folder / "bad.csv").write_text("image,species\na.jpg,orca\n")
    options = MaskOptions(masks=str(folder / "masks"), boxes=(str(folder / "bad.csv"),))
    seen = preview(OwnData(table=folder / "set", masks=options))
    assert len(seen.problems) == 1 and "bad.csv is not a box file" in seen.problems[0]
    assert [join.kind for join in seen.joins] == ["masks"] and seen.table.data is not None
    assert {image.source for image in seen.images} == {"given"} and len(seen.images) == 2


def test_without_masks_and_boxes_images_are_shown_as_they_are(folder: Path) -> None:
    (folder / "set" / "orca" / "broken.png").write_bytes(b"no image")
    for number in range(12):
        if number > 5:
            next((folder / "set").rglob(f"{number}.png")).unlink()
    seen = preview(OwnData(table=folder / "set"))
    assert len(seen.images) == 7 and {image.source for image in seen.images} == {""}
    assert all(image.mask_bits is None for image in seen.images)
    assert {image.image: image.reason for image in seen.images if image.thumbnail is None} == {
        "orca/broken.png": "not an image"
    }


def test_columns_that_are_not_recognized_leave_the_header_to_choose_from(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    (tmp_path / "t.csv").write_text("photo,kind,who\na.png,orca,w1\n")
    seen = preview(OwnData(table=tmp_path / "t.csv", images=tmp_path / "images"))
    assert seen.table.header == ("photo", "kind", "who") and seen.table.data is None and not seen.images
    assert seen.problems == (seen.table.problem,) and "has no column 'image'" in seen.table.problem
    columns = Columns("photo", "kind", "who")
    found = preview(OwnData(table=tmp_path / "t.csv", images=tmp_path / "images", columns=columns))
    assert found.table.data is not None and found.table.data.classes() == ("orca",) and not found.problems
    assert [image.image for image in found.images] == ["a.png"]


def test_only_some_sizes_are_read_but_every_name_is_matched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_data, "LOOKED_AT", 3)
    seen = preview(OwnData(table=folder / "set", masks=MaskOptions(boxes=(str(folder / "md.json"),))))
    assert (seen.joins[0].matched, seen.joins[0].images, seen.joins[0].unused) == (10, 12, 0)
    assert "The sizes of 3 images were looked at; an audit looks at all 10." in seen.joins[0].sentence
    assert {image.area for image in seen.images} == {0.25}


@pytest.mark.parametrize(
    ("name", "format_name"),
    [("train.csv", "CSV"), ("coco.json", "COCO")],
)
def test_formats_have_their_names(name: str, format_name: str) -> None:
    home = case("10-megadetector-json")
    seen = preview_table(home / name, home / "images")
    assert seen.format == format_name and seen.data is not None and (seen.data.table["status"] == "ok").all()


def test_detections_are_no_table_and_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"md\.json is not a table of labels.*given as boxes"):
        preview_table(case("10-megadetector-json") / "md.json", None)
    with pytest.raises(DatasetError, match="cannot be read"):
        preview_table(tmp_path / "nothing.csv", None)


def test_detections_beside_class_folders_are_no_table_and_are_named(folder: Path) -> None:
    (folder / "md.json").rename(folder / "set" / "md.json")
    seen = preview(OwnData(table=folder / "set"))
    assert seen.table.format == "class folders" and seen.table.data is not None
    assert "Detections beside the class folders are used where they are given as boxes: md.json." in (
        seen.table.data.reading
    )
    assert layout_of(folder / "set") == Layout(table=folder / "set", boxes=(folder / "set" / "md.json",))
    (folder / "set" / "t.csv").write_text("image,species\n")
    with pytest.raises(DatasetError, match=r"contains t\.csv\. Give the table itself"):
        preview(OwnData(table=folder / "set"))


def test_uploaded_files_are_sorted_into_tables_and_boxes(tmp_path: Path) -> None:
    home = case("10-megadetector-json")
    for name in ("train.csv", "md.json", "coco.json"):
        (tmp_path / name).write_bytes((home / name).read_bytes())
    places = {name: tmp_path / name for name in ("train.csv", "md.json", "coco.json")}
    assert sorted_files(tmp_path) == SortedFiles(
        tables=(places["coco.json"], places["train.csv"]), boxes=(places["coco.json"], places["md.json"])
    )
    assert sorted_files(home / "yolo") == SortedFiles(boxes=(home / "yolo",))


def test_a_folder_with_a_table_says_where_its_images_and_masks_are(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,species\na.png,orca\n")
    (tmp_path / "md.json").write_bytes((case("10-megadetector-json") / "md.json").read_bytes())
    for name in ("pictures", "Masks", ".hidden"):
        (tmp_path / name).mkdir()
    table, pictures, drawn = (tmp_path / name for name in ("labels.csv", "pictures", "Masks"))
    boxes = (tmp_path / "md.json",)
    assert layout_of(tmp_path) == Layout(table=table, images=pictures, masks=drawn, boxes=boxes)
    (tmp_path / "more").mkdir()
    assert layout_of(tmp_path) == Layout(table=table, images=tmp_path, masks=drawn, boxes=boxes)
    (tmp_path / "second.tsv").write_text("image\tspecies\na.png\torca\n")
    assert layout_of(tmp_path) == Layout(table=tmp_path, boxes=boxes)
    assert layout_of(pictures) == Layout(table=pictures)


@given(seed=st.integers(0, 5), count=st.integers(0, 20))
def test_the_sample_is_fixed_and_never_larger_than_there_are_images(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    home = tmp_path_factory.mktemp("set")
    rows = [f"{seed}-{number}.png,{('orca', 'beluga')[number % 2]}" for number in range(count)]
    (home / "t.csv").write_text("\n".join(["image,species", *rows, "gone.png,orca"]) + "\n")
    (home / "images").mkdir()
    for row in rows:
        (home / "images" / row.split(",")[0]).write_bytes(b"x")
    chosen = OwnData(table=home / "t.csv", images=home / "images")
    names = [image.image for image in preview(chosen).images]
    assert names == [image.image for image in preview(chosen).images]
    assert len(names) == len(set(names)) == min(count, IMAGES) and set(names) <= {row.split(",")[0] for row in rows}
