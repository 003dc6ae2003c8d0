"""Masks and boxes against a data set: everything handed over is used, or counted with its reason, or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.cases import case
from tests.data.box_files import STATE_SIZE, STATE_UPRIGHT, WRITERS, Write, old_megadetector, relative_table, written
from whalecam.arrays import Mask, Sample
from whalecam.config import MaskOptions
from whalecam.data import Dataset, open_dataset, read_sample, read_shape
from whalecam.data.geometry import rotate_array, rotate_box
from whalecam.data.outlines import filled
from whalecam.errors import DatasetError
from whalecam.explain.masks import MASK_METHODS, MaskSources, joined, opened
from whalecam.explain.masks.folder import join_masks
from whalecam.explain.masks.join import Join

WIDTH, HEIGHT = 48, 32
READ_AS = "Read as 2 values, 0 and 255: white is the subject."
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
        white().save(path, None if path.suffix != ".txt" else "PNG")
    return str(folder / "masks")


def box_file(folder: Path, text: str, header: str = "image,x1,y1,x2,y2") -> str:
    (folder / "boxes.csv").write_text(f"{header}\n{text}")
    return str(folder / "boxes.csv")


def sources_of(masks: str | None = None, boxes: str | None = None, **options: Any) -> MaskSources:
    return opened(MaskOptions(masks=masks, boxes=(boxes,) if boxes else (), **options))


def the_join(data: Dataset, masks: str | None = None, boxes: str | None = None, **options: Any) -> Join:
    return joined(data, sources_of(masks, boxes, **options)).joins[0]


# What is counted


def test_all_masks_join(tmp_path: Path) -> None:
    found = the_join(data_of(tmp_path, "a.jpg", "b.jpg"), masks_of(tmp_path, "a.png", "b.jpg.png"))
    assert found == Join("masks", 2, 2, 2, 0, read_as=(READ_AS,))
    assert found.sentence == f"matched 2 of 2 images, 0 of 2 files were not used. {READ_AS}"


def test_files_that_no_image_has_are_counted_and_the_first_named(tmp_path: Path) -> None:
    folder = masks_of(tmp_path, "a.png", "b_x.png", "c_mask.png", "d_mask.png", "e/f.png")
    found = the_join(data_of(tmp_path, "a.jpg", "b.jpg"), folder)
    assert (found.images, found.matched, found.given, found.unused) == (2, 1, 5, 4)
    assert found.sentence == (
        f"matched 1 of 2 images, 4 of 5 files were not used: b_x.png, c_mask.png, d_mask.png, …. {READ_AS}"
    )


@pytest.mark.parametrize(
    "names", [("a_x.png", "b_x.png"), ("c.jpg", "d.jpg"), ("a.npy",), ("a", "b"), ("ab.png", "ba.png")]
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
    assert found == Join("masks", 1, 1, 2, 1, ("gone.png",), (), (READ_AS,))


def test_one_file_is_never_the_mask_of_two_images(tmp_path: Path) -> None:
    data = data_of(tmp_path, "orca/0.jpg", "beluga/0.jpg", "beluga/1.jpg")
    result = joined(data, sources_of(masks_of(tmp_path, "0.png", "1.png")))
    assert set(result.sources.given) == {"beluga/1.jpg"}
    assert (result.joins[0].matched, result.joins[0].first_unused) == (1, ("0.png",))
    assert "one file has the name of several, or several files have theirs: beluga/0.jpg, orca/0.jpg" in (
        result.joins[0].sentence
    )
    picture = read_sample(tmp_path / "images" / "orca" / "0.jpg", "orca/0.jpg")
    assert MASK_METHODS["given"](result.sources)(picture) is None
    with pytest.raises(DatasetError, match="matched 0 of 2 images"):
        the_join(data_of(tmp_path / "x", "orca/0.jpg", "beluga/0.jpg"), masks_of(tmp_path / "x", "0.png"))


def test_two_rows_of_one_image_share_its_mask(tmp_path: Path) -> None:
    path = data_of(tmp_path, "orca/0.jpg").table["path"].iloc[0]
    sources = sources_of(masks_of(tmp_path, "0.png"))
    found, given_masks, _ = join_masks({"orca/0.jpg": path, "0.jpg": path}, sources)
    assert found.matched == 2 and set(given_masks) == {"orca/0.jpg", "0.jpg"}


def test_masks_of_another_shape_are_counted_and_refused_where_all_are(tmp_path: Path) -> None:
    data, folder = data_of(tmp_path, "a.jpg", "b.jpg"), Path(masks_of(tmp_path, "a.png"))
    white(HEIGHT, WIDTH).save(folder / "b.png")
    found = the_join(data, str(folder))
    assert (found.matched, found.unused, found.first_unused) == (1, 1, ("b.png",))
    assert "b.png: it is 32 × 48 pixels, its image 48 × 32" in found.sentence
    assert set(joined(data, sources_of(str(folder))).sources.given) == {"a.jpg", "b.jpg"}
    white(HEIGHT, WIDTH).save(folder / "a.png")
    with pytest.raises(DatasetError, match="None of the 2 masks"):
        the_join(data, str(folder))


def test_one_mask_of_ids_refuses_the_folder(tmp_path: Path) -> None:
    data, folder = data_of(tmp_path, "a.jpg", "b.jpg"), Path(masks_of(tmp_path, "a.png"))
    white().point(lambda value: 3 if value else 0).save(folder / "b.png")
    with pytest.raises(DatasetError, match=r"a.png contains .*; b.png contains 2 values \(0, 3\) in grey"):
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
        ("a.jpg,1,1,9,9\nother/b.jpg,1,1,9,9\nC.JPG,1,1,9,9\nd,1,1,9,9\n", ("other/b.jpg", "C.JPG", "d")),
        ("a.jpg,1,1,9,9\na.jpg,1,1,90,9\n", ("a.jpg",)),
        ("a.jpg,1,1,9,9\nb.jpg,9,1,1,9\n", ("b.jpg",)),
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
        ("other/a.jpg,1,1,9,9\n", "other/a.jpg; the images are called a.jpg, b.jpg"),
        ("c,1,1,9,9\nd,1,1,9,9\n", "2 of 2 rows were not used: c, d"),
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
    result = joined(data, sources_of(boxes=box_file(tmp_path, f"{name},{text}\n"), box_orientation=stated))
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
    assert the_join(data, boxes=boxes, box_orientation="upright").matched == 1
    with pytest.raises(DatasetError, match="No box orientation 'sideways'"):
        the_join(data, boxes=boxes, box_orientation="sideways")
    with pytest.raises(DatasetError, match="No mask orientation 'sideways'"):
        the_join(data, boxes=boxes, mask_orientation="sideways")


def test_turned_images_without_boxes_need_no_orientation(tmp_path: Path) -> None:
    data_of(tmp_path, "a.jpg", turned=6)
    data = data_of(tmp_path, "b.jpg", rows=("a.jpg", "b.jpg"))
    assert the_join(data, boxes=box_file(tmp_path, "b.jpg,1,1,9,9\n")).matched == 1


# Every row and every file is accounted for

NAMES = st.sampled_from(["a.jpg", "b.jpg", "c/a.jpg", "c/d.jpg", "D.JPG", "a", "x/b.jpg", "e.png", "A.jpg", "C/d.jpg"])


def agree(name: str, image: str) -> bool:
    """Whether a name may mean an image: without extensions, in any case, it is the end of its path."""
    one, two = (text.lower().rsplit(".", 1)[0].split("/") for text in (name, image))
    return len(one) <= len(two) and two[-len(one) :] == one


@given(images=st.sets(NAMES, min_size=1), rows=st.lists(NAMES, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_every_row_of_boxes_is_used_for_what_it_names_or_counted(images: set[str], rows: list[str]) -> None:
    names = sorted(images)
    table = pd.DataFrame({"image": names, "path": "", "label": "orca", "group": "", "status": "ok"})
    data = Dataset(Path("t.csv"), Path("images"), None, table, "")  # type: ignore[arg-type]
    left = np.arange(len(rows), dtype=float)
    frame = pd.DataFrame({"image": rows, "x1": left, "y1": 1.0, "x2": left + 5, "y2": 5.0, "kind": "body"})
    sources = MaskSources(None, frame.assign(relative=False))
    try:
        result = joined(data, sources)
    except DatasetError as error:
        assert f"matched 0 of {len(names)} images, {len(rows)} of {len(rows)} rows" in str(error)
        assert not images & set(rows)
        return
    found, kept = result.joins[0], result.sources.boxes
    assert kept is not None
    assert found.unused + len(kept) == found.given == len(rows)
    assert found.images == len(images) and found.matched == kept["image"].nunique() > 0
    joins = {rows[int(x1)]: image for x1, image in zip(kept["x1"], kept["image"], strict=True)}
    assert set(kept["image"]) <= images and all(agree(name, image) for name, image in joins.items())
    assert all(joins[name] == name for name in images & set(rows)), "an exact name means nothing else"
    assert set(found.first_unused) <= set(rows) - set(joins)


FILES = st.sampled_from(
    [
        *("a.png", "a.jpg.png", "b.png", "c/a.png", "x/a.png", "x/d.png", "c/d.png", "b.jpg", "q.png"),
        *("a_mask.png", "b-mask.tif", "c/d_seg.png", "A.PNG", "mask.png", "notes.txt"),
    ]
)


@given(
    images=st.sets(st.sampled_from(["a.jpg", "b.jpg", "c/a.jpg", "c/d.jpg"]), min_size=1),
    files=st.sets(FILES, min_size=1),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_counted_is_what_is_used(
    images: set[str], files: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("joins")
    data = data_of(folder, *sorted(images))
    sources = sources_of(masks_of(folder, *sorted(files)))
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
    for image, path in result.sources.given.items():
        stem = path.relative_to((folder / "masks").resolve()).as_posix().rsplit(".", 1)[0]
        stem = stem.removesuffix("_mask").removesuffix("-mask").removesuffix("_seg")
        assert agree(stem, image) or agree(image, stem)


def test_rotate_box_and_back_is_the_same() -> None:
    """Turning by 6 and then by 8 leaves a box where it was, as 5 and 7 do when done twice."""
    box = (3.0, 4.0, 20.0, 9.0)
    assert rotate_box(rotate_box(box, WIDTH, HEIGHT, 6), HEIGHT, WIDTH, 8) == box
    for orientation in (5, 7):
        assert rotate_box(rotate_box(box, WIDTH, HEIGHT, orientation), HEIGHT, WIDTH, orientation) == box


# How masks and boxes of turned images lie

SIZES = {"wide": (48, 32), "tall": (32, 48), "square": (40, 40)}
FORMATS: dict[str, Write] = {
    **{name: WRITERS[name] for name in ("table", "COCO", "MegaDetector", "CVAT", "Label Studio", "YOLO")},
    "relative table": relative_table,
    "old MegaDetector": old_megadetector,
}


def scene(folder: Path, orientation: int, size: str) -> tuple[Dataset, Sample, NDArray[np.bool_], NDArray[np.bool_]]:
    """A data set of one image that EXIF turns, its sample, and its animal upright and as stored."""
    width, height = SIZES[size]
    upright = np.full((height, width, 3), (20, 60, 90), np.uint8)
    upright[6:20, 4:28] = 220
    (folder / "images").mkdir(parents=True)
    stored = turned_file(folder / "images" / "a.png", orientation, upright)
    (folder / "train.csv").write_text("image,species\na.png,orca\n")
    data = open_dataset(folder / "train.csv", folder / "images")
    sample = read_sample(folder / "images" / "a.png", "a.png")
    return data, sample, upright[..., 0] > 120, stored[..., 0] > 120


def iou(mask: Mask | None, truth: NDArray[np.bool_]) -> float:
    assert mask is not None
    return float(((mask.values > 0.5) & truth).sum() / ((mask.values > 0.5) | truth).sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", FORMATS)
def test_boxes_cover_the_animal_or_are_refused(form: str, orientation: int, size: str, tmp_path: Path) -> None:
    data, sample, upright, stored = scene(tmp_path, orientation, size)
    for lies, animal in (("upright", upright), ("stored", stored)):
        height, width = animal.shape
        path = FORMATS[form](tmp_path / lies, {"a.png": [bounds(animal)]}, width, height)
        result = joined(data, sources_of(boxes=str(path), box_orientation=lies))
        assert iou(MASK_METHODS["boxes"](result.sources)(sample), upright) >= 0.98
        assert orientation == 1 or f"1 boxes of turned images are {lies}, as stated." in result.joins[0].sentence
        states = lies == "upright" if form in STATE_UPRIGHT else form in STATE_SIZE and orientation >= 5
        if form in STATE_UPRIGHT and lies == "stored":
            continue  # a file that states what is not so
        if orientation == 1 or (states and (size != "square" or form in STATE_UPRIGHT)):
            result = joined(data, sources_of(boxes=str(path)))
            assert iou(MASK_METHODS["boxes"](result.sources)(sample), upright) >= 0.98
        else:
            with pytest.raises(DatasetError, match=rf"a.png \({orientation}\).*--box-orientation upright"):
                joined(data, sources_of(boxes=str(path)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [1, 2])
def test_masks_cover_the_animal_or_are_refused(factor: int, orientation: int, size: str, tmp_path: Path) -> None:
    data, sample, upright, stored = scene(tmp_path, orientation, size)
    for lies, animal in (("upright", upright), ("stored", stored)):
        folder = tmp_path / lies
        folder.mkdir()
        larger = np.kron(animal, np.ones((factor, factor), bool))
        Image.fromarray(larger.astype(np.uint8) * 255).save(folder / "a.png")
        result = joined(data, sources_of(str(folder), mask_orientation=lies))
        assert iou(MASK_METHODS["given"](result.sources)(sample), upright) >= 0.98
        if orientation == 1 or (orientation >= 5 and size != "square"):
            result = joined(data, sources_of(str(folder)))
            assert iou(MASK_METHODS["given"](result.sources)(sample), upright) >= 0.98
            assert orientation == 1 or f"1 masks of turned images are {lies}." in result.joins[0].sentence
        else:
            with pytest.raises(DatasetError, match="--mask-orientation stored or --mask-orientation upright"):
                joined(data, sources_of(str(folder)))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_with_the_orientation_of_its_own_is_upright(orientation: int, tmp_path: Path) -> None:
    data, sample, upright, _ = scene(tmp_path, orientation, "square")
    (tmp_path / "masks").mkdir()
    turned_file(tmp_path / "masks" / "a.png", orientation, np.repeat(upright[..., None], 3, axis=2) * np.uint8(255))
    result = joined(data, sources_of(str(tmp_path / "masks")))
    assert iou(MASK_METHODS["given"](result.sources)(sample), upright) >= 0.98


@pytest.mark.parametrize("orientation", [1, 2, 4, 6, 7])
@pytest.mark.parametrize("form", ["polygon", "runs", "CVAT", "percent"])
def test_outlines_are_drawn_upright_and_count_as_given(form: str, orientation: int, tmp_path: Path) -> None:
    """A triangle, as every format has it, in the pixels of the stored file."""
    data, sample, _, stored = scene(tmp_path, orientation, "wide")
    height, width = stored.shape
    ring = (3.2, 2.1, width - 4.3, 5.4, 8.7, height - 3.6)
    truth = rotate_array(filled(np.array(ring).reshape(-1, 2), (height, width)), orientation)
    path = outline_file(tmp_path, form, ring, width, height)
    mask = MASK_METHODS["boxes"](joined(data, sources_of(boxes=str(path), box_orientation="stored")).sources)(sample)
    assert mask is not None and (mask.source, mask.confidence) == ("given", 1.0)
    assert np.array_equal(mask.values > 0.5, truth)


def outline_file(folder: Path, form: str, ring: tuple[float, ...], width: int, height: int) -> Path:
    if form == "CVAT":
        points = ";".join(f"{x},{y}" for x, y in zip(ring[::2], ring[1::2], strict=True))
        image = (
            f'<image name="a.png" width="{width}" height="{height}"><polygon label="orca" points="{points}"/></image>'
        )
        return written(folder / "x.xml", f"<annotations>{image}</annotations>")
    if form == "percent":
        percents = [[100 * x / width, 100 * y / height] for x, y in zip(ring[::2], ring[1::2], strict=True)]
        value = {"points": percents, "polygonlabels": ["orca"]}
        result = {"type": "polygonlabels", "value": value, "original_width": width, "original_height": height}
        task = {"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}
        return written(folder / "x.json", json.dumps([task]))
    shape: object = [list(ring)]
    if form == "runs":
        flat = filled(np.array(ring).reshape(-1, 2), (height, width)).T.ravel()
        edges = np.flatnonzero(np.diff(flat)) + 1
        shape = {"counts": np.diff([0, *edges, flat.size]).tolist(), "size": [height, width]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "annotations": [{"image_id": 1, "segmentation": shape}],
    }
    return written(folder / "x.json", json.dumps(content))


# Boxes of copies and of other units


def copies(folder: Path, factor: float, form: str = "table", count: int = 8) -> tuple[Dataset, str]:
    """Images of 48 × 32 and boxes of copies that are larger by a factor."""
    names = [f"{at}.jpg" for at in range(count)]
    boxes = {name: [(at * factor, 3 * factor, (at + 38) * factor, 30 * factor)] for at, name in enumerate(names)}
    path = WRITERS[form](folder / "boxes", boxes, round(WIDTH * factor), round(HEIGHT * factor))
    return data_of(folder, *names), str(path)


@pytest.mark.parametrize("factor", [1.5, 2, 3, 4, 10])
def test_boxes_of_a_larger_copy_are_refused_with_the_factor(factor: float, tmp_path: Path) -> None:
    data, path = copies(tmp_path, factor)
    with pytest.raises(DatasetError, match=rf"8 of 8 boxes lie outside .* a copy of {factor:g} × the size"):
        the_join(data, boxes=path)


@pytest.mark.parametrize("factor", [1 / 2, 1 / 4, 1 / 10])
def test_boxes_of_a_smaller_copy_are_asked_about(factor: float, tmp_path: Path) -> None:
    data, path = copies(tmp_path, factor)
    with pytest.raises(DatasetError, match=rf"a copy of 1/{1 / factor:g} of the size, or percent.*--box-units"):
        the_join(data, boxes=path)
    assert the_join(data, boxes=path, box_units="pixels").matched == 8


@pytest.mark.parametrize("form", sorted(STATE_SIZE - {"Label Studio"}))
@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_boxes_of_a_copy_whose_size_the_file_states_are_scaled_and_said(
    form: str, factor: float, tmp_path: Path
) -> None:
    data, path = copies(tmp_path, factor, form)
    result = joined(data, sources_of(boxes=path))
    assert "8 boxes were scaled from the size that the file states to that of their image." in result.joins[0].sentence
    sample = read_sample(tmp_path / "images" / "3.jpg", "3.jpg")
    truth = np.zeros(sample.shape, bool)
    truth[3:30, 3:41] = True
    assert iou(MASK_METHODS["boxes"](result.sources)(sample), truth) >= 0.98


@pytest.mark.parametrize("form", sorted(STATE_SIZE))
def test_boxes_of_images_of_another_shape_are_not_used(form: str, tmp_path: Path) -> None:
    data = data_of(tmp_path, "a.jpg", "b.jpg")
    path = WRITERS[form](tmp_path / "x", {"a.jpg": [(1, 1, 9, 9)], "b.jpg": [(1, 1, 9, 9)]}, 60, 60)
    with pytest.raises(DatasetError, match="the file states 60 × 60 pixels where the image has 48 × 32"):
        the_join(data, boxes=str(path))


def test_fractions_up_to_100_in_larger_images_may_be_percent(tmp_path: Path) -> None:
    names = [f"{at}.png" for at in range(8)]
    (tmp_path / "images").mkdir()
    for name in names:
        Image.new("RGB", (160, 120)).save(tmp_path / "images" / name)
    (tmp_path / "train.csv").write_text("image,species\n" + "".join(f"{name},orca\n" for name in names))
    data = open_dataset(tmp_path / "train.csv", tmp_path / "images")
    path = box_file(tmp_path, "".join(f"{name},10.5,20,90,80\n" for name in names))
    with pytest.raises(DatasetError, match="may be pixels or percent of the sides"):
        the_join(data, boxes=path)
    for units, expected in (("pixels", [10.5, 20, 90, 80]), ("percent", [0.105, 0.2, 0.9, 0.8])):
        rows = joined(data, sources_of(boxes=path, box_units=units)).sources.boxes
        assert rows is not None and rows[["x1", "y1", "x2", "y2"]].to_numpy(float)[0].tolist() == pytest.approx(
            expected
        )
    whole = box_file(tmp_path, "".join(f"{name},10,20,90,80\n" for name in names))
    assert the_join(data, boxes=whole).matched == 8


def test_a_small_file_of_a_copy_is_not_lost_in_a_large_right_one(tmp_path: Path) -> None:
    data, path = copies(tmp_path, 2)
    right = "".join(f"{at % 8}.jpg,1,2,40,{20 + at % 9}\n" for at in range(200))
    other = box_file(tmp_path, right)
    with pytest.raises(DatasetError, match="8 of 8 boxes lie outside their image"):
        joined(data, opened(MaskOptions(boxes=(other, path))))


def test_a_box_is_found_by_the_path_of_the_file_too(tmp_path: Path) -> None:
    data = data_of(tmp_path, "orca/1.jpg", "beluga/2.jpg", rows=("1.jpg", "2.jpg"))
    found = the_join(data, boxes=box_file(tmp_path, "orca/1.jpg,1,1,9,9\norca/2.jpg,1,1,9,9\n"))
    assert (found.matched, found.first_unused) == (1, ("orca/2.jpg",))
    assert "A name with a folder only matches a file of that folder" in found.sentence


# The cases that people reported


HALF_SIZE = (
    "4 of the 4 masks looked at are smaller than their images, as p00.png: 80 × 60 pixels for an image of 160 × 120. "
    "An outline is as fine as its mask.",
)
BLACK_AND_WHITE = "2 values, 0 and 255: white is the subject"


def truth_of(number: int) -> NDArray[np.bool_]:
    return np.asarray(Image.open(case("12-masks") / "ok" / f"p{number:02}.png")) > 127


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ok", BLACK_AND_WHITE),
        ("half_size", "greys from 0 to 255: white is the subject"),
        ("bool_bit", BLACK_AND_WHITE),
        ("u16", "2 values, 0 and 65535: white is the subject"),
        ("zero_one", "numbers with 2 values, 0, 1: 1 is the subject"),
        ("instance_ids", "numbers with 5 values, 0, 2, 3, 4, 5: ids, each above 0 is the subject"),
        ("jpgmask", "greys from 0 to 255: white is the subject"),
        ("suffix", BLACK_AND_WHITE),
    ],
)
def test_masks_of_the_cases_cover_the_animal_and_are_said(name: str, words: str) -> None:
    folder = case("12-masks")
    result = joined(open_dataset(folder / "train.csv", folder / "images"), sources_of(str(folder / name)))
    found = result.joins[0]
    assert (found.images, found.matched, found.given, found.unused) == (4, 4, 4, 0)
    assert found.read_as[0] == f"Read as {words}." and found.read_as[1:] == HALF_SIZE * (name == "half_size")
    for number in range(4):
        sample = read_sample(folder / "images" / f"p{number:02}.jpg", f"p{number:02}.jpg")
        assert iou(MASK_METHODS["given"](result.sources)(sample), truth_of(number)) >= 0.98


def test_a_black_and_white_mask_of_half_the_size_gives_its_own_pixels_and_that_is_said(tmp_path: Path) -> None:
    folder, factor = case("12-masks"), 2
    (tmp_path / "masks").mkdir()
    best = []
    for number in range(4):
        blocks = truth_of(number).reshape(60, factor, 80, factor).sum((1, 3)) >= factor
        Image.fromarray(blocks.astype(np.uint8) * 255).save(tmp_path / "masks" / f"p{number:02}.png")
        best.append(np.kron(blocks, np.ones((factor, factor), bool)))
    result = joined(open_dataset(folder / "train.csv", folder / "images"), sources_of(str(tmp_path / "masks")))
    assert HALF_SIZE[0] in result.joins[0].sentence
    for number, drawn in enumerate(best):
        sample = read_sample(folder / "images" / f"p{number:02}.jpg", f"p{number:02}.jpg")
        assert iou(Mask(drawn.astype(np.float32), 1.0, "given"), truth_of(number)) < 0.98  # all that it can state
        assert iou(MASK_METHODS["given"](result.sources)(sample), drawn) >= 0.98


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_soft_mask_of_half_the_size_covers_the_animal_and_is_said(
    orientation: int, size: str, tmp_path: Path
) -> None:
    data, sample, upright, stored = scene(tmp_path, orientation, size)
    for lies, animal in (("upright", upright), ("stored", stored)):
        folder, (height, width) = tmp_path / lies, animal.shape
        folder.mkdir()
        whole = Image.fromarray(animal.astype(np.uint8) * 255)
        whole.resize((width // 2, height // 2), Image.Resampling.BOX).save(folder / "a.png")
        result = joined(data, sources_of(str(folder), mask_orientation=lies))
        assert iou(MASK_METHODS["given"](result.sources)(sample), upright) >= 0.98
        assert f"a.png: {width // 2} × {height // 2} pixels for an image of {width} × {height}. " in (
            result.joins[0].sentence
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("voc_palette", "a palette with 4 values, 0, 1, 2, 3: which is the subject? State it: --mask-class"),
        ("other_aspect", "it is 128 × 128 pixels, its image 160 × 120"),
    ],
)
def test_other_masks_of_the_cases_are_refused_in_words(name: str, words: str) -> None:
    folder = case("12-masks")
    with pytest.raises(DatasetError) as caught:
        the_join(open_dataset(folder / "train.csv", folder / "images"), str(folder / name))
    assert words in str(caught.value) and str(folder / name) in str(caught.value)


@pytest.mark.parametrize("stated", ["1,2,3", "any"])
def test_the_palette_of_the_cases_is_read_as_stated(stated: str) -> None:
    folder = case("12-masks")
    data = open_dataset(folder / "train.csv", folder / "images")
    result = joined(data, sources_of(str(folder / "voc_palette"), mask_class=stated))
    for number in range(4):
        sample = read_sample(folder / "images" / f"p{number:02}.jpg", f"p{number:02}.jpg")
        assert iou(MASK_METHODS["given"](result.sources)(sample), truth_of(number)) >= 0.98


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "resized-2x.csv",
            "look like boxes of a copy of 2 × the size. The boxes belong to images of another size",
        ),
        ("swapped-corners.csv", "8 of 8 boxes have no area"),
    ],
)
def test_boxes_of_the_cases_are_refused_in_words(name: str, words: str) -> None:
    folder = case("10-megadetector-json")
    with pytest.raises(DatasetError) as caught:
        the_join(open_dataset(folder / "train.csv", folder / "images"), boxes=str(folder / name))
    assert words in str(caught.value)


BOX_CASES = {
    "voc.csv": "voc.csv: table, in pixels.",
    "xywidth.csv": "xywidth.csv: table, in pixels.",
    "caps.csv": "caps.csv: table, in pixels.",
    "camtrapdp.csv": "camtrapdp.csv: Camtrap DP, in shares.",
    "coco.json": "coco.json: COCO JSON, in pixels.",
    "yolo": "yolo: YOLO text files, in shares.",
    "names-stem.csv": "8 of 8 names matched without their extension.",
    "names-case.csv": "8 of 8 names matched in another case.",
    "names-with-folder.csv": "names-with-folder.csv: table, in pixels.",
    "md.json": "md.json: MegaDetector JSON, in shares, confidence from 0.2 on.",
}


@pytest.mark.parametrize("name", BOX_CASES)
def test_boxes_of_the_cases_are_those_of_the_plain_table(name: str) -> None:
    folder = case("10-megadetector-json")
    data = open_dataset(folder / "train.csv", folder / "images")
    result = joined(data, sources_of(boxes=str(folder / name)))
    found = result.joins[0]
    rows = 24 if name == "md.json" else 8
    assert (found.images, found.matched, found.given, found.unused) == (8, 8, rows, rows - 8)
    assert BOX_CASES[name] in found.sentence
    plain = joined(data, sources_of(boxes=str(folder / "caps.csv")))
    for image, path in zip(data.table["image"], data.table["path"], strict=True):
        sample = read_sample(Path(path), image)
        expected = MASK_METHODS["boxes"](plain.sources)(sample)
        assert expected is not None
        assert iou(MASK_METHODS["boxes"](result.sources)(sample), expected.values > 0.5) >= 0.98


@pytest.mark.parametrize("name", ["boxes-upright-px.csv", "boxes-upright-rel.csv"])
def test_upright_boxes_of_the_cases_cover_the_animal(name: str) -> None:
    folder = case("11-exif-upright-boxes")
    data = open_dataset(folder / "train.csv", folder / "images")
    with pytest.raises(DatasetError, match="8 of 8 images with boxes are turned"):
        the_join(data, boxes=str(folder / name))
    boxes = joined(data, sources_of(boxes=str(folder / name), box_orientation="upright")).sources
    masks = joined(data, sources_of(str(folder / "masks"))).sources
    stored = joined(data, sources_of(str(folder / "masks_stored"))).sources
    for image, path in zip(data.table["image"], data.table["path"], strict=True):
        sample = read_sample(Path(path), image)
        drawn = MASK_METHODS["given"](masks)(sample)
        assert drawn is not None
        box = np.zeros(sample.shape, bool)
        left, top, right, bottom = bounds(drawn.values > 0.5)
        # The file states the corners that the animal was drawn by; the drawing has their last pixels too.
        box[top : bottom - 1, left : right - 1] = True
        assert iou(MASK_METHODS["boxes"](boxes)(sample), box) == 1
        assert iou(MASK_METHODS["given"](stored)(sample), drawn.values > 0.5) >= 0.98
