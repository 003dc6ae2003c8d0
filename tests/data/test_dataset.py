"""Reading a data set: real tables, real photographs, odd formats with known pixels, box files in every layout."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from tests.cases import case
from tests.conftest import ROOT
from tests.data.bad_inputs import encoded
from whalecam.config import Columns
from whalecam.data import (
    inspect_images,
    merge_labels,
    open_dataset,
    read_boxes,
    read_grey,
    read_header,
    read_sample,
    read_shape,
)
from whalecam.data.boxes import kind_of
from whalecam.errors import DatasetError

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)


def corners(form: str, path: Path, **options: object) -> Path:
    """A 40 × 20 image: red top left, green top right, blue bottom left, grey bottom right."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :20], pixels[:10, 20:], pixels[10:, :20], pixels[10:, 20:] = RED, GREEN, BLUE, GREY
    Image.fromarray(pixels).save(path, form, **options)
    return path


def quadrants(pixels: np.ndarray) -> list[tuple[int, ...]]:
    h, w = pixels.shape[:2]
    return [tuple(int(c) for c in pixels[y, x]) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]


def test_the_real_table_opens(real_data: Path) -> None:
    data = open_dataset(real_data / "happywhale" / "train.csv", None)
    assert len(data.table) == 51_033 and len(data.classes()) == 30
    assert data.table["group"].nunique() == 15_587
    assert data.classes().count("bottlenose_dolpin") == 1


def test_the_real_photographs_open(real_data: Path) -> None:
    data = inspect_images(open_dataset(real_data / "photos.csv", real_data / "photos"))
    assert len(data.table) == 401
    assert data.table["status"].value_counts().to_dict() == {"ok": 376, "empty label": 25}
    assert data.good()["width"].between(1, 256).all()


@pytest.mark.parametrize(
    ("form", "suffix", "exact"),
    [
        ("PNG", "png", 0),
        ("TIFF", "tif", 0),
        ("BMP", "bmp", 0),
        ("JPEG", "jpg", 60),
        ("WEBP", "webp", 60),
        ("AVIF", "avif", 60),
        ("JPEG2000", "jp2", 0),
    ],
)
def test_formats_keep_their_pixels(tmp_path: Path, form: str, suffix: str, exact: int) -> None:
    pixels = read_sample(corners(form, tmp_path / f"x.{suffix}"), "x").pixels
    assert pixels.shape == (20, 40, 3) and pixels.dtype == np.uint8
    found = np.array(quadrants(pixels), int)
    assert abs(found - np.array([RED, GREEN, BLUE, GREY])).max() <= exact


@pytest.mark.parametrize(("form", "exact"), [("PNG", 0), ("TIFF", 0), ("JPEG", 60), ("WEBP", 60), ("AVIF", 60)])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, (RED, GREEN, BLUE, GREY)),
        (2, (GREEN, RED, GREY, BLUE)),
        (3, (GREY, BLUE, GREEN, RED)),
        (4, (BLUE, GREY, RED, GREEN)),
        (5, (RED, BLUE, GREEN, GREY)),
        (6, (BLUE, RED, GREY, GREEN)),
        (7, (GREY, GREEN, BLUE, RED)),
        (8, (GREEN, GREY, RED, BLUE)),
    ],
)
def test_pictures_come_upright(
    tmp_path: Path, orientation: int, expected: tuple[tuple[int, int, int], ...], form: str, exact: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    sample = read_sample(corners(form, tmp_path / "x", exif=exif.tobytes()), "x")
    assert sample.orientation == orientation
    assert sample.pixels.shape[:2] == ((20, 40) if orientation < 5 else (40, 20))
    assert abs(np.array(quadrants(sample.pixels), int) - np.array(expected)).max() <= exact


@given(at=st.integers(41, 3600))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_png_is_never_passed_as_whole(tmp_path: Path, at: int) -> None:
    whole = encoded("PNG")
    damaged = bytearray(whole)
    damaged[at : at + 20] = bytes(255 - byte for byte in whole[at : at + 20])
    (tmp_path / "x.png").write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"^(unreadable|truncated)$"):
        read_sample(tmp_path / "x.png", "x")


def test_photographs_of_phones_are_read(tmp_path: Path) -> None:
    register_heif_opener()
    file = corners("HEIF", tmp_path / "x.heic", quality=100)
    found = np.array(quadrants(read_sample(file, "x").pixels), int)
    assert abs(found - np.array([RED, GREEN, BLUE, GREY])).max() <= 10
    assert read_shape(file) == (40, 20, 1) and read_header(file).format == "HEIF"


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_of_a_camera_fill_the_range(tmp_path: Path, bits: int) -> None:
    values = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_allclose(read_sample(tmp_path / "x.png", "x").pixels[..., 0].ravel(), np.arange(256), atol=1)


def test_odd_images_are_read_or_called_by_their_name() -> None:
    folder = case("09-odd-images")
    table = inspect_images(open_dataset(folder / "train.csv", folder / "images")).table
    status = dict(zip(table["image"], table["status"], strict=True))
    assert {name: reason for name, reason in status.items() if reason != "ok"} == {
        "cut.jpg": "truncated",
        "html.jpg": "not an image",
        "pano.jpg": "missing file",
        "phone.heic": "HEIC image, unreadable",
        "phone2.jpg": "HEIC image, unreadable",
    }
    pixels = read_sample(folder / "images" / "png12in16.png", "x").pixels
    assert pixels.max() == round(3056 / 4095 * 255)


def test_without_its_library_a_heic_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from importlib import util; from pathlib import Path\n"
        "real = util.find_spec; util.find_spec = lambda name, *a: None if name == 'pillow_heif' else real(name, *a)\n"
        "from whalecam.data import read_sample\n"
        "try: read_sample(Path(sys.argv[1]), 'x')\n"
        "except Exception as error: print(error)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "x.jpg")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "HEIC image, needs the extra heif\n"


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, -1).repeat(4, axis=0)
    Image.fromarray(values).save(tmp_path / "x.png")
    pixels = read_sample(tmp_path / "x.png", "x").pixels
    np.testing.assert_allclose(pixels[0, :, 0], np.arange(256), atol=1)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 5e6])
def test_floats_fill_the_range_whatever_their_white_is(tmp_path: Path, white: float) -> None:
    values = np.linspace(0, white, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "x.tif")
    pixels = read_sample(tmp_path / "x.tif", "x").pixels
    np.testing.assert_allclose(pixels[..., 0].ravel(), np.arange(256), atol=1)


def test_grey_of_lab_colours(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "white").save(tmp_path / "x.png")
    Image.new("LAB", (4, 4), (255, 128, 128)).save(tmp_path / "x.tif")
    assert (read_grey(tmp_path / "x.png") == 255).all()
    assert (read_grey(tmp_path / "x.tif") >= 253).all()


def test_names_that_no_file_system_takes_are_missing_files() -> None:
    for name in ("a\0.jpg", "x" * 5000):
        with pytest.raises(DatasetError, match=r"^missing file$"):
            read_sample(Path(name), name)


def test_paths_that_no_file_system_takes_are_explained(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,species\na.png,orca\n")
    for odd in (Path("a\0b"), Path("x" * 5000), Path("line\nend")):
        for csv, images in ((odd, None), (tmp_path / "t.csv", odd)):
            with pytest.raises(DatasetError) as caught:
                open_dataset(csv, images)
            assert str(caught.value).isprintable() and len(str(caught.value)) <= 520


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "x.png")
    assert (read_sample(tmp_path / "x.png", "x").pixels == 255).all()


def test_files_join_by_name_in_subfolders(tmp_path: Path) -> None:
    (tmp_path / "images" / "deep" / "er").mkdir(parents=True)
    corners("PNG", tmp_path / "images" / "deep" / "er" / "a.png")
    (tmp_path / "t.csv").write_text("image,species\na.png,orca\ndeep/er/a.png,orca\n")
    table = open_dataset(tmp_path / "t.csv", tmp_path / "images").table
    assert table["status"].tolist() == ["ok", "duplicate row"]
    assert table["path"].nunique() == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("001.png", "ok"),
        ("orca/001.png", "ok"),
        ("./orca/001.png", "ok"),
        ("orca\\001.png", "ok"),
        ("images/orca/001.png", "ok"),
        ("humpback/001.png", "missing file"),
        ("rca/001.png", "missing file"),
    ],
)
def test_a_name_never_means_a_namesake_in_another_folder(tmp_path: Path, name: str, status: str) -> None:
    (tmp_path / "images" / "orca").mkdir(parents=True)
    corners("PNG", tmp_path / "images" / "orca" / "001.png")
    (tmp_path / "t.csv").write_text(f"image,species\n{name},orca\n")
    assert open_dataset(tmp_path / "t.csv", tmp_path / "images").table["status"].tolist() == [status]


def test_other_column_names_and_leading_zeros(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file;what;who\na.png; orca ;0012\n")
    data = open_dataset(tmp_path / "t.csv", None, Columns("file", "what", "who"))
    assert data.table.iloc[0][["image", "label", "group"]].tolist() == ["a.png", "orca", "0012"]


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,species\na.png,orca\n")
    with pytest.raises(DatasetError, match="no image folder"):
        open_dataset(tmp_path / "t.csv", tmp_path / "nowhere")


def test_labels_are_merged_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,species\na.png,kiler_whale\nb.png,killer_whale\n")
    (tmp_path / "m.csv").write_text("old,new\nkiler_whale,killer_whale\n")
    data = merge_labels(open_dataset(tmp_path / "t.csv", None), tmp_path / "m.csv")
    assert data.classes() == ("killer_whale",)


NAMES = (
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029"), min_size=1)
    .map(str.strip)
    .filter(bool)
)


@given(rows=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8, unique_by=lambda row: row[0]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_the_reader(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO()
    pd.DataFrame(rows, columns=["image", "species"]).to_csv(buffer, index=False)
    (tmp_path / "t.csv").write_text(buffer.getvalue(), encoding="utf-8")
    table = open_dataset(tmp_path / "t.csv", None).table
    assert table[["image", "label"]].to_records(index=False).tolist() == rows


@pytest.mark.parametrize(
    ("header", "row", "relative"),
    [
        ("image,x1,y1,x2,y2", "a.jpg,10,20,40,60", False),
        ("filename,x,y,w,h", "a.jpg,10,20,30,40", False),
        ("image,px_x1,px_y1,px_x2,px_y2", "a.jpg,10,20,40,60", False),
        ("image,px_x1,px_y1,px_x2,px_y2,rel_x1,rel_y1,rel_x2,rel_y2", "a.jpg,1,2,3,4,0.1,0.2,0.4,0.6", True),
        ("image,x1,y1,x2,y2", "a.jpg,0.1,0.2,0.4,0.6", True),
        ("image,rel_x,rel_y,rel_w,rel_h", "a.jpg,0.1,0.2,0.3,0.4", True),
        ("image,px_x,px_y,px_w,px_h", "a.jpg,10,20,30,40", False),
    ],
)
def test_every_layout_of_boxes(tmp_path: Path, header: str, row: str, relative: bool) -> None:
    (tmp_path / "b.csv").write_text(f"{header}\n{row}\n")
    box = read_boxes([tmp_path / "b.csv"]).rows.iloc[0]
    expected = [0.1, 0.2, 0.4, 0.6] if relative else [10, 20, 40, 60]
    assert box[["x1", "y1", "x2", "y2"]].tolist() == pytest.approx(expected)
    assert bool(box["relative"]) is relative and box["kind"] == "body"


def test_shares_that_rounding_pushed_over_one_stay_shares(tmp_path: Path) -> None:
    boxes = read_boxes([_write(tmp_path / "b.csv", "image,x,y,w,h\na.jpg,0.3334,0.1,0.6667,0.2\n")])
    assert boxes.rows["relative"].tolist() == [True]


def test_real_box_files(real_data: Path) -> None:
    boxes = read_boxes([real_data / "boxes.csv", real_data / "happywhale" / "train_backfin_boxes_hand.csv"])
    assert len(boxes.rows) + len(boxes.unused) == 213 + 5201
    assert boxes.rows["kind"].value_counts()["fin"] == 108
    assert read_boxes([real_data / "happywhale" / "train_body_boxes_model.csv"]).rows["relative"].all()


def test_bad_boxes_are_counted_not_raised(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("image,x1,y1,x2,y2\na.jpg,5,5,2,9\nb.jpg,x,1,2,3\n,1,1,2,2\nc.jpg,1,1,5,5\n")
    boxes = read_boxes([tmp_path / "b.csv"])
    assert boxes.rows["image"].tolist() == ["c.jpg"]
    assert len(boxes.refused) == 2 and boxes.unused == ("a.jpg", "b.jpg", "")
    with pytest.raises(DatasetError, match="not a box file"):
        read_boxes([_write(tmp_path / "c.csv", "image,left,top\na.jpg,1,2\n")])


@pytest.mark.parametrize(
    ("text", "kind"), [("naukma_fin_hand", "fin"), ("Fluke", "fluke"), ("happywhale_body_model", "body"), ("", "body")]
)
def test_kinds_of_boxes(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
