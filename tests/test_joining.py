"""Masks and boxes against a data set: everything handed over is used, or counted with its reason, or refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.cases import case
from whalecam.data import Dataset, open_dataset, read_sample, read_shape
from whalecam.data.geometry import rotate_box
from whalecam.errors import DatasetError
from whalecam.explain.masks import MASK_METHODS, joined, opened
from whalecam.explain.masks.join import Join

WIDTH, HEIGHT = 48, 32
ANIMAL = (12, 6, 40, 16)
"""Left, top, right and bottom of the animal, in the pixels of the upright image."""


def white(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A mask of the animal in an image of this size."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = (round(v * width / WIDTH) for v in ANIMAL)
    mask[top:bottom, left:right] = 255
    return Image.fromarray(mask)


def data_of(folder: Path, *names: str, rows: tuple[str, ...] | None = None, turned: int = 1) -> Dataset:
    """Small images in `folder/images`, and a CSV of them, or of other `rows`."""
    exif = Image.Exif()
    exif[0x0112] = turned
    for number, name in enumerate(names):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (20, 60, 90 + number)).save(path, exif=exif.tobytes())
    (folder / "train.csv").write_text("image,species\n" + "".join(f"{name},orca\n" for name in rows or names))
    return open_dataset(folder / "train.csv", folder / "images")


def masks_of(folder: Path, *names: str) -> str:
    for name in names:
        path = folder / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        white().save(path)
    return str(folder / "masks")


def box_file(folder: Path, text: str, header: str = "image,x1,y1,x2,y2") -> str:
    (folder / "boxes.csv").write_text(f"{header}\n{text}")
    return str(folder / "boxes.csv")


def the_join(data: Dataset, masks: str | None = None, boxes: str | None = None, orientation: str | None = None) -> Join:
    return joined(data, opened(masks, [boxes] if boxes else []), orientation).joins[0]


# What is counted


def test_all_masks_join(tmp_path: Path) -> None:
    found = the_join(data_of(tmp_path, "a.jpg", "b.jpg"), masks_of(tmp_path, "a.png", "b.jpg.png"))
    assert found == Join("masks", 2, 2, 2, 0)
    assert found.sentence == "matched 2 of 2 images, 0 of 2 files were not used."


def test_files_that_no_image_has_are_counted_and_the_first_named(tmp_path: Path) -> None:
    folder = masks_of(tmp_path, "a.png", "b_mask.png", "c_mask.png", "d_mask.png", "e/f.png")
    found = the_join(data_of(tmp_path, "a.jpg", "b.jpg"), folder)
    assert (found.images, found.matched, found.given, found.unused) == (2, 1, 5, 4)
    assert found.sentence == (
        "matched 1 of 2 images, 4 of 5 files were not used: b_mask.png, c_mask.png, d_mask.png, …."
    )


@pytest.mark.parametrize(
    "names", [("a_mask.png", "b_mask.png"), ("a.jpg", "b.jpg"), ("a.npy",), ("0/A.png", "0/B.png")]
)
def test_a_folder_of_which_nothing_joins_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = data_of(tmp_path, "a.jpg", "b.jpg")
    for name in names:
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        white().save(tmp_path / "masks" / name, "PNG")
    with pytest.raises(DatasetError, match="matched 0 of 2 images") as caught:
        the_join(data, str(tmp_path / "masks"))
    assert names[0] in str(caught.value) and "such as a.png for a.jpg" in str(caught.value)


def test_an_empty_mask_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetError, match="has no files"):
        the_join(data_of(tmp_path, "a.jpg"), str(tmp_path / "masks"))


def test_images_that_cannot_be_used_take_no_mask(tmp_path: Path) -> None:
    data = data_of(tmp_path, "a.jpg", rows=("a.jpg", "gone.jpg"))
    found = the_join(data, masks_of(tmp_path, "a.png", "gone.png"))
    assert found == Join("masks", 1, 1, 2, 1, ("gone.png",))


def test_one_file_is_never_the_mask_of_two_images(tmp_path: Path) -> None:
    data = data_of(tmp_path, "orca/0.jpg", "beluga/0.jpg", "beluga/1.jpg")
    result = joined(data, opened(masks_of(tmp_path, "0.png", "1.png"), []))
    assert result.sources.withheld == {"orca/0.jpg", "beluga/0.jpg"}
    assert (result.joins[0].matched, result.joins[0].first_unused) == (1, ("0.png",))
    assert "one file has the name of several: beluga/0.jpg, orca/0.jpg" in result.joins[0].sentence
    picture = read_sample(tmp_path / "images" / "orca" / "0.jpg", "orca/0.jpg")
    assert MASK_METHODS["given"](result.sources)(picture) is None
    with pytest.raises(DatasetError, match="folders like those of the images"):
        the_join(data_of(tmp_path / "x", "orca/0.jpg", "beluga/0.jpg"), masks_of(tmp_path / "x", "0.png"))


def test_two_rows_of_one_image_share_its_mask(tmp_path: Path) -> None:
    data = data_of(tmp_path, "orca/0.jpg", rows=("orca/0.jpg", "0.jpg"))
    assert the_join(data, masks_of(tmp_path, "0.png")).matched == 2


def test_masks_of_another_shape_are_counted_and_refused_where_all_are(tmp_path: Path) -> None:
    data, folder = data_of(tmp_path, "a.jpg", "b.jpg"), Path(masks_of(tmp_path, "a.png"))
    white(HEIGHT, WIDTH).save(folder / "b.png")
    found = the_join(data, str(folder))
    assert (found.matched, found.unused, found.first_unused) == (1, 1, ("b.png",))
    assert "b.png: it is 32 × 48 pixels, its image 48 × 32" in found.sentence
    white(HEIGHT, WIDTH).save(folder / "a.png")
    with pytest.raises(DatasetError, match="None of the 2 masks"):
        the_join(data, str(folder))


def test_one_mask_of_ids_refuses_the_folder(tmp_path: Path) -> None:
    data, folder = data_of(tmp_path, "a.jpg", "b.jpg"), Path(masks_of(tmp_path, "a.png"))
    white().point(lambda value: 3 if value else 0).save(folder / "b.png")
    with pytest.raises(DatasetError, match=r"1 of 2 looked at .* b.png contains 2 values \(0, 3\) in grey mode"):
        the_join(data, str(folder))


def test_a_black_mask_is_fine_beside_others_and_no_folder_alone(tmp_path: Path) -> None:
    data, folder = data_of(tmp_path, "a.jpg", "b.jpg"), Path(masks_of(tmp_path, "a.png"))
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "b.png")
    assert the_join(data, str(folder)).matched == 2
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "a.png")
    with pytest.raises(DatasetError, match="lie between 0 and 0"):
        the_join(data, str(folder))


@pytest.mark.parametrize(
    ("text", "unused"),
    [
        ("a.jpg,1,1,9,9\nb.jpg,1,1,9,9\n", ()),
        ("a.jpg,1,1,9,9\na.jpg,20,1,30,9\nc.jpg,1,1,2,2\nc.jpg,1,1,2,2\n", ("c.jpg",)),
        ("a.jpg,1,1,9,9\nimages/b.jpg,1,1,9,9\nB.JPG,1,1,9,9\nb,1,1,9,9\n", ("images/b.jpg", "B.JPG", "b")),
        ("a.jpg,1,1,9,9\na.jpg,1,1,90,9\n", ("a.jpg",)),
        ("a.jpg,1,1,9,9\nb.jpg,9,1,1,9\n", ()),
    ],
)
def test_rows_of_boxes_are_used_or_counted(tmp_path: Path, text: str, unused: tuple[str, ...]) -> None:
    found = the_join(data_of(tmp_path, "a.jpg", "b.jpg"), boxes=box_file(tmp_path, text))
    rows = [line.split(",") for line in text.splitlines()]
    good = [row for row in rows if row[0] in ("a.jpg", "b.jpg") and row[3] != "90" and float(row[3]) > float(row[1])]
    assert (found.given, found.unused) == (len(rows), len(rows) - len(good))
    assert (found.matched, found.first_unused) == (len({row[0] for row in good}), unused)
    assert ("have no area" in found.sentence) == (",9,1,1,9" in text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("images/a.jpg,1,1,9,9\n", "images/a.jpg; the images are called a.jpg, b.jpg"),
        ("a,1,1,9,9\nb,1,1,9,9\n", "2 of 2 rows were not used: a, b"),
        ("a.jpg,9,9,1,1\n", "1 of 1 boxes have no area"),
        ("a.jpg,1,1,90,9\nb.jpg,1,1,90,60\n", "2 of 2 boxes lie outside their image"),
        ("a.jpg,1,1,90,9\nb.jpg,1,1,90,60\nb.jpg,1,1,9,9\n", "2 of 3 boxes lie outside their image"),
    ],
)
def test_boxes_of_which_none_can_be_right_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        the_join(data_of(tmp_path, "a.jpg", "b.jpg"), boxes=box_file(tmp_path, text))
    assert words in str(caught.value)


# Orientation


def turned_file(path: Path, orientation: int, upright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Write an image that is shown as `upright`, stored turned; the pixels as stored. Each way is written out."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif.tobytes())
    return stored


def drawn() -> NDArray[np.uint8]:
    picture = np.full((HEIGHT, WIDTH, 3), (20, 60, 90), np.uint8)
    picture[ANIMAL[1] : ANIMAL[3], ANIMAL[0] : ANIMAL[2]] = (220, 220, 220)
    return picture


def bounds(animal: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(animal.any(1)), np.flatnonzero(animal.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("form", ["png", "jpg", "tif"])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("stated", ["stored", "upright"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_cover_the_animal_in_every_orientation(
    tmp_path: Path, orientation: int, stated: str, relative: bool, form: str
) -> None:
    (tmp_path / "images").mkdir()
    path, name = tmp_path / "images" / f"a.{form}", f"a.{form}"
    raw = turned_file(path, orientation, drawn())
    (tmp_path / "train.csv").write_text(f"image,species\n{name},orca\n")
    box = ANIMAL if stated == "upright" else bounds(raw[..., 0] > 120)
    height, width = (HEIGHT, WIDTH) if stated == "upright" else raw.shape[:2]
    sides = (width, height, width, height) if relative else (1, 1, 1, 1)
    text = ",".join(repr(value / side) for value, side in zip(box, sides, strict=True))
    data = open_dataset(tmp_path / "train.csv", tmp_path / "images")
    result = joined(data, opened(None, [box_file(tmp_path, f"{name},{text}\n")]), stated)
    sample = read_sample(path, name)
    mask = MASK_METHODS["boxes"](result.sources)(sample)
    assert mask is not None
    truth = sample.pixels[..., 0] > 120
    assert truth.sum() == (ANIMAL[2] - ANIMAL[0]) * (ANIMAL[3] - ANIMAL[1]) and sample.orientation == orientation
    assert ((mask.values > 0.5) & truth).sum() / ((mask.values > 0.5) | truth).sum() >= 0.98


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_shape_of_a_file_is_that_of_its_upright_image(tmp_path: Path, orientation: int, form: str) -> None:
    turned_file(tmp_path / f"a.{form}", orientation, drawn())
    assert read_shape(tmp_path / f"a.{form}") == (WIDTH, HEIGHT, orientation)
    assert read_sample(tmp_path / f"a.{form}", "a").shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_boxes_of_turned_images_are_refused_until_somebody_states_the_pixels(tmp_path: Path, orientation: int) -> None:
    data, boxes = data_of(tmp_path, "a.jpg", turned=orientation), box_file(tmp_path, "a.jpg,1,1,9,9\n")
    with pytest.raises(DatasetError, match=rf"1 of 1 images .* a.jpg \({orientation}\).*--box-orientation upright"):
        the_join(data, boxes=boxes)
    assert the_join(data, boxes=boxes, orientation="upright").matched == 1
    with pytest.raises(DatasetError, match="No box orientation 'sideways'"):
        the_join(data, boxes=boxes, orientation="sideways")


def test_turned_images_without_boxes_need_no_orientation(tmp_path: Path) -> None:
    data_of(tmp_path, "a.jpg", turned=6)
    data = data_of(tmp_path, "b.jpg", rows=("a.jpg", "b.jpg"))
    assert the_join(data, boxes=box_file(tmp_path, "b.jpg,1,1,9,9\n")).matched == 1


# Every row and every file is accounted for

NAMES = st.sampled_from(["a.jpg", "b.jpg", "c/a.jpg", "c/d.jpg", "D.JPG", "a", "x/b.jpg", "e.png"])


@given(images=st.sets(NAMES, min_size=1), rows=st.lists(NAMES, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_row_of_boxes_is_used_or_counted(images: set[str], rows: list[str]) -> None:
    names = sorted(images)
    table = pd.DataFrame({"image": names, "path": "", "label": "orca", "group": "", "status": "ok"})
    data = Dataset(Path("t.csv"), None, None, table, "")  # type: ignore[arg-type]
    frame = pd.DataFrame({"image": rows, "x1": 1.0, "y1": 1.0, "x2": 5.0, "y2": 5.0, "kind": "body", "relative": False})
    sources = opened(None, []).__class__(None, frame)
    if not images & set(rows):
        with pytest.raises(DatasetError, match=f"matched 0 of {len(names)} images, {len(rows)} of {len(rows)} rows"):
            joined(data, sources)
        return
    result = joined(data, sources)
    found, kept = result.joins[0], result.sources.boxes
    assert kept is not None
    assert found.unused + len(kept) == found.given == len(rows)
    assert found.unused == sum(row not in images for row in rows)
    assert found.matched == len(images & set(rows)) and found.images == len(images)
    assert set(found.first_unused) <= set(rows) - images


FILES = st.sampled_from(["a.png", "a.jpg.png", "b.png", "c/a.png", "x/a.png", "x/d.png", "c/d.png", "b.jpg", "q.png"])


@given(
    images=st.sets(st.sampled_from(["a.jpg", "b.jpg", "c/a.jpg", "c/d.jpg"]), min_size=1),
    files=st.sets(FILES, min_size=1),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_counted_is_what_is_used(
    images: set[str], files: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("joins")
    data = data_of(folder, *sorted(images))
    sources = opened(masks_of(folder, *sorted(files)), [])
    try:
        result = joined(data, sources)
    except DatasetError as error:
        assert f"matched 0 of {len(images)} images" in str(error)
        return
    given_method = MASK_METHODS["given"](result.sources)
    used = [name for name in images if given_method(read_sample(folder / "images" / name, name)) is not None]
    found = result.joins[0]
    assert found.matched == len(used) and found.images == len(images)
    assert found.given == len(files) and found.given - found.unused == len(used), "each image has a file of its own"


def test_rotate_box_and_back_is_the_same() -> None:
    """Turning by 6 and then by 8 leaves a box where it was, as 5 and 7 do when done twice."""
    box = (3.0, 4.0, 20.0, 9.0)
    assert rotate_box(rotate_box(box, WIDTH, HEIGHT, 6), HEIGHT, WIDTH, 8) == box
    for orientation in (5, 7):
        assert rotate_box(rotate_box(box, WIDTH, HEIGHT, orientation), HEIGHT, WIDTH, orientation) == box


# The cases that people reported


@pytest.mark.parametrize("name", ["ok", "half_size", "bool_bit", "u16"])
def test_right_masks_of_the_cases_join(name: str) -> None:
    folder = case("12-masks")
    data = open_dataset(folder / "train.csv", folder / "images")
    assert the_join(data, str(folder / name)) == Join("masks", 4, 4, 4, 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("voc_palette", "p00.png contains 2 values (0, 1) in palette mode"),
        ("instance_ids", "4 of 4 looked at are no masks by grey value. p00.png contains 2 values (0, 2)"),
        ("zero_one", "save the animal as 255"),
        ("other_aspect", "it is 128 × 128 pixels, its image 160 × 120"),
        ("jpgmask", "matched 0 of 4 images, 4 of 4 files in"),
        ("suffix", "p00_mask.png, p01_mask.png, p02_mask.png"),
    ],
)
def test_other_masks_of_the_cases_are_refused_in_words(name: str, words: str) -> None:
    folder = case("12-masks")
    with pytest.raises(DatasetError) as caught:
        the_join(open_dataset(folder / "train.csv", folder / "images"), str(folder / name))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("names-case.csv", "matched 0 of 8 images, 8 of 8 rows were not used: P00.JPG, P01.JPG, P02.JPG"),
        ("names-stem.csv", "p00, p01, p02; the images are called p00.jpg, p01.jpg, p02.jpg"),
        ("names-with-folder.csv", "images/p00.jpg"),
        ("resized-2x.csv", "belong to images of another size"),
        ("swapped-corners.csv", "8 of 8 boxes have no area"),
    ],
)
def test_boxes_of_the_cases_are_refused_in_words(name: str, words: str) -> None:
    folder = case("10-megadetector-json")
    with pytest.raises(DatasetError) as caught:
        the_join(open_dataset(folder / "train.csv", folder / "images"), boxes=str(folder / name))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["boxes-upright-px.csv", "boxes-upright-rel.csv"])
def test_upright_boxes_of_the_cases_cover_the_animal(name: str) -> None:
    folder = case("11-exif-upright-boxes")
    data = open_dataset(folder / "train.csv", folder / "images")
    with pytest.raises(DatasetError, match="8 of 8 images with boxes are turned"):
        the_join(data, boxes=str(folder / name))
    boxes = joined(data, opened(None, [str(folder / name)]), "upright").sources
    masks = joined(data, opened(str(folder / "masks"), [])).sources
    for image, path in zip(data.table["image"], data.table["path"], strict=True):
        sample = read_sample(Path(path), image)
        one, two = MASK_METHODS["boxes"](boxes)(sample), MASK_METHODS["given"](masks)(sample)
        assert one is not None and two is not None
        box = np.zeros(sample.shape, bool)
        left, top, right, bottom = bounds(two.values > 0.5)
        box[top:bottom, left:right] = True
        assert ((one.values > 0.5) & box).sum() / ((one.values > 0.5) | box).sum() >= 0.95
    with pytest.raises(DatasetError, match="upright as displayed"):
        the_join(data, str(folder / "masks_stored"))
