"""A large JPEG decoded at a part of its sides stands for the whole: sizes, pixels, masks and rows of an audit."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from whalecam import network
from whalecam.arrays import ByteArray, Sample
from whalecam.config import MaskOptions
from whalecam.data import inspect_images, open_dataset, read_boxes, read_sample
from whalecam.data.geometry import mask_to_input, needed, to_input
from whalecam.data.images import ORIENTATION_TAG, TRUNCATED
from whalecam.errors import DatasetError
from whalecam.explain.explainer import Explainer
from whalecam.explain.masks import MASK_METHODS, MaskSources, fin_region, joined
from whalecam.network import Network

SIZE = 96
NEED = needed(SIZE)
AT_EDGES = (0.5, 0.002, 0.003)
"""Less than half a pixel of the input, and that at edges only: bounds of `apart_at`."""
MOST_APART = 0.5
"""Mean difference of two network inputs in grey levels of 255; measured: 0.20 at most, 0.34 on 21 photographs."""


@functools.cache
def drawing(width: int, height: int, seed: int = 0) -> ByteArray:
    """Waves of 12 lengths and an ellipse that touches no border, so that no turn of it looks like another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    pixels = np.full((height, width, 3), (40, 80, 110), np.float32)
    for _ in range(12):
        waves = np.sin(rng.uniform(2, 60) * x + rng.uniform(2, 60) * y + rng.uniform(0, 6))
        pixels += waves[..., None] * rng.uniform(0, 9, 3).astype(np.float32)
    pixels[((x - 0.35) / 0.2) ** 2 + ((y - 0.3) / 0.1) ** 2 < 1] += (110, 90, 70)
    return pixels.clip(0, 255).astype(np.uint8)


def save(pixels: ByteArray, path: Path, orientation: int = 1, form: str = "JPEG") -> Path:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(pixels).save(path, form, exif=exif.tobytes(), quality=90)
    return path


def apart(one: Sample, two: Sample, resize: str = "squish") -> float:
    """Mean absolute difference of what a network is given of two readings."""
    first, second = (to_input(sample.pixels, SIZE, resize).astype(float) for sample in (one, two))
    return float(np.abs(first - second).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("width", "height", "need", "kept"),
    [(602, 451, 200, (301, 226)), (1000, 807, 200, (250, 202)), (801, 968, 100, (101, 121))],
)
def test_a_reading_is_as_large_as_it_must_be(
    width: int, height: int, need: int, kept: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    path = save(drawing(width, height), tmp_path / "x.jpg", orientation)
    full, sample = read_sample(path, "x"), read_sample(path, "x", need)
    turned = orientation >= 5
    assert sample.pixels.shape == ((*kept, 3) if turned else (*kept[::-1], 3))
    assert sample.whole == sample.shape == full.shape == ((width, height) if turned else (height, width))
    assert (sample.orientation, full.whole) == (orientation, None)
    assert apart(full, sample) < 2
    assert min(apart(full, Sample("x", other)) for other in (sample.pixels[::-1], sample.pixels[:, ::-1])) > 10


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 700), st.integers(1, 700), st.integers(1, 300), st.integers(1, 8), st.sampled_from(["JPEG", "TIFF"])
)
def test_no_side_is_less_than_needed_or_more_than_there_is(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, need: int, orientation: int, form: str
) -> None:
    path = save(np.zeros((height, width, 3), np.uint8), tmp_path_factory.mktemp("x") / "x", orientation, form)
    sample = read_sample(path, "x", need)
    upright = (width, height) if orientation >= 5 else (height, width)
    assert sample.shape == upright
    for side, full in zip(sample.pixels.shape, upright, strict=False):
        assert min(need, full) <= side <= full
    part = form == "JPEG" and min(width, height) >= 2 * need
    assert (sample.whole is not None) == (sample.pixels.shape[:2] != upright) == part


@pytest.mark.parametrize(
    ("form", "width", "height"), [("JPEG", 1500, 2 * NEED - 1), ("JPEG", 500, 2000), ("PNG", 1440, 1440)]
)
def test_small_pictures_and_other_formats_are_read_wholly(form: str, width: int, height: int, tmp_path: Path) -> None:
    path = save(drawing(width, height), tmp_path / "x", form=form)
    sample = read_sample(path, "x", NEED)
    assert sample.whole is None
    assert np.array_equal(sample.pixels, read_sample(path, "x").pixels)


@settings(max_examples=5, deadline=None)
@given(st.integers(2 * NEED, 1900), st.integers(2 * NEED, 1900), st.integers(0, 99), st.sampled_from(["crop", "pad"]))
def test_the_network_is_given_nearly_the_same(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, seed: int, resize: str
) -> None:
    path = save(drawing(width, height, seed), tmp_path_factory.mktemp("x") / "x.jpg")
    full, sample = read_sample(path, "x"), read_sample(path, "x", NEED)
    assert sample.whole == full.shape
    assert apart(full, sample) < MOST_APART
    assert apart(full, sample, resize) < MOST_APART


@pytest.mark.parametrize("left", [0.4, -2])
@pytest.mark.parametrize("progressive", [False, True])
def test_half_a_file_is_refused_at_any_size(left: float, progressive: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(drawing(1500, 1440)).save(path, progressive=progressive)
    raw = path.read_bytes()
    path.write_bytes(raw[: round(left * len(raw)) if left > 0 else int(left)])
    for need in (None, NEED, 1):
        with pytest.raises(DatasetError, match=f"^{TRUNCATED}$"):
            read_sample(path, "x", need)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("orientation", "resize"), [(1, "squish"), (6, "crop"), (7, "pad")])
def test_a_box_falls_on_the_same_share_of_the_picture(
    relative: bool, orientation: int, resize: str, tmp_path: Path
) -> None:
    path = save(np.zeros((1501, 1607, 3), np.uint8), tmp_path / "x.jpg", orientation)
    box = np.array([200, 300, 1100, 731]) / (np.array([1607, 1501, 1607, 1501]) if relative else 1)
    table = pd.DataFrame([("x", *box, kind, relative) for kind in ("body", "fin")])
    table.columns = ["image", "x1", "y1", "x2", "y2", "kind", "relative"]
    sources = MaskSources(None, table, MaskOptions(box_orientation="upright"))
    full, sample = read_sample(path, "x"), read_sample(path, "x", NEED)
    assert sample.whole is not None
    find = MASK_METHODS["boxes"](sources)
    assert (apart_at(find(full), find(sample), resize) < AT_EDGES).all()
    assert (apart_at(fin_region(full, sources), fin_region(sample, sources), resize) < AT_EDGES).all()


@pytest.mark.parametrize(("factor", "resize"), [(1, "squish"), (0.5, "crop"), (0.25, "pad")])
def test_a_given_mask_falls_on_the_same_share_of_the_picture(factor: float, resize: str, tmp_path: Path) -> None:
    path = save(np.zeros((1501, 1607, 3), np.uint8), tmp_path / "x.jpg")
    (tmp_path / "masks").mkdir()
    shape = (round(1607 * factor), round(1501 * factor))
    animal = Image.fromarray((drawing(1607, 1501)[..., 0] > 130).astype(np.uint8) * 255)
    animal.resize(shape, Image.Resampling.NEAREST).save(tmp_path / "masks" / "x.png")
    (tmp_path / "x.csv").write_text("image,species\nx.jpg,orca\n")
    sources = joined(open_dataset(tmp_path / "x.csv", tmp_path), MaskSources(tmp_path / "masks")).sources
    find = MASK_METHODS["given"](replace(sources, given={"x": sources.given["x.jpg"]}))
    full, part = find(read_sample(path, "x")), find(read_sample(path, "x", NEED))
    assert (apart_at(full, part, resize) < AT_EDGES).all()


def apart_at(full: object, part: object, resize: str) -> NDArray[np.float64]:
    """How far two regions are apart in a network's input: the largest difference, inside, and of the whole share."""
    one, two = (np.asarray(region, np.float32) for region in (full, part))
    assert full is not None and part is not None and two.shape < one.shape
    (first, seen), (second, _) = (mask_to_input(region, SIZE, resize) for region in (one, two))
    assert 0.02 < first.mean() < 0.6
    difference: NDArray[np.float32] = np.abs(first - second)
    inner = ((first == 0) | (first == 1)) & (seen is None or seen == 1)
    return np.array([difference.max(), difference[inner].mean(), abs(first.mean() - second.mean())])


def test_an_audit_says_the_same_of_a_large_photograph(real_data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    body = network.build_body("efficientnet_lite0_fine", pretrained=True)
    head = network.linear_head(body.channels, 4).eval()
    torch.nn.init.normal_(next(head.parameters()), std=0.3)
    model = Network(body.features.eval(), head, body.arch, tuple("abcd"), SIZE, "squish", body.mean, body.std, "linear")
    boxes = read_boxes([real_data / "boxes.csv"]).rows
    boxes = boxes[boxes["kind"] == "body"].drop_duplicates("image").iloc[::20].head(3).reset_index(drop=True)
    for at, image in enumerate(boxes["image"]):
        photograph = Image.open(real_data / "photos" / image).convert("RGB")
        boxes.loc[at, ["x1", "x2"]] *= 2400 / photograph.width
        boxes.loc[at, ["y1", "y2"]] *= 1800 / photograph.height
        photograph.resize((2400, 1800), Image.Resampling.BICUBIC).save(tmp_path / image, quality=90)
    pd.DataFrame({"image": boxes["image"], "species": "a"}).to_csv(tmp_path / "x.csv", index=False)
    batch = inspect_images(open_dataset(tmp_path / "x.csv", tmp_path)).table
    assert (batch["width"] == 2400).all() and (batch["height"] == 1800).all()
    explainer = Explainer(model, MaskSources(None, boxes))
    assert [sample.pixels.shape for _, sample in explainer.read(batch) if sample] == 3 * [(900, 1200, 3)]
    part = [item.row for item in explainer(batch)]
    explainer.need = 2400
    for row, full in zip(part, (item.row for item in explainer(batch)), strict=True):
        assert (row["width"], row["height"]) == (full["width"], full["height"]) == (2400, 1800)
        assert row["predicted"] == full["predicted"]
        assert row["mask_source"] == full["mask_source"] == "boxes"
        for name, bound in {
            "background_share": 0.02,
            "attention_score": 0.03,
            "mask_area": 0.003,
            "confidence": 0.05,
        }.items():
            assert row[name] == pytest.approx(full[name], abs=bound), name
