"""One contract for every way to find the animal, and what is peculiar to each."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from benchmarks.masks import measure
from whalecam.arrays import Mask, Sample, records
from whalecam.config import MASK_FALLBACKS, Columns, MaskOptions
from whalecam.data import Dataset, read_boxes, read_grey, read_sample
from whalecam.errors import DatasetError, ModelError
from whalecam.explain.masks import MASK_METHODS, MaskSources, agreement, fin_region, find_mask, joined
from whalecam.explain.masks.net import WEIGHTS, sureness
from whalecam.network.segmenter import Segmenter

METHODS = list(MASK_METHODS)
LEAST_IOU, LEAST_AUC = 0.82, 0.993
WIDTH, HEIGHT = 120, 80
TRUE = (slice(20, 60), slice(30, 90))


def sample(image: str = "a.jpg", width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> Sample:
    """A pale animal on dark, slightly rough water."""
    pixels = np.random.default_rng(0).normal((30, 60, 90), 4, (height, width, 3))
    pixels[TRUE] = np.random.default_rng(1).normal((190, 190, 195), 6, pixels[TRUE].shape)
    return Sample(image, pixels.clip(0, 255).astype(np.uint8), orientation)


def truth() -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[TRUE] = True
    return mask


def boxes(*rows: tuple[str, float, float, float, float, str], relative: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["image", "x1", "y1", "x2", "y2", "kind"])
    return frame.assign(relative=relative, source="boxes.csv", kind_raw=frame["kind"])


def save(values: NDArray[np.generic], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


@pytest.fixture
def sources(tmp_path: Path) -> MaskSources:
    """Every method finds the animal of `sample()` in these."""
    save(truth() * 255, tmp_path / "masks" / "a.png")
    return replace(in_folder(tmp_path / "masks"), boxes=boxes(("a.jpg", 30, 20, 90, 60, "body")))


def in_folder(folder: Path, *images: str, **options: Any) -> MaskSources:
    """A folder of masks, joined with images whose files are unknown."""
    names = images or ("a.jpg",)
    table = pd.DataFrame({"image": names, "path": "", "label": "orca", "group": "", "status": "ok"})
    data = Dataset(Path("t.csv"), None, Columns(), table, "")
    return joined(data, MaskSources(folder, options=MaskOptions(**options))).sources


def found(name: str, picture: Sample, sources: MaskSources) -> Mask:
    mask = MASK_METHODS[name](sources)(picture)
    assert mask is not None
    return mask


# The contract of the menu


@pytest.mark.parametrize("name", METHODS)
def test_each_method_keeps_the_contract(name: str, sources: MaskSources) -> None:
    picture = sample()
    before = picture.pixels.copy()
    mask = found(name, picture, sources)
    values = np.asarray(mask)
    assert values.shape == (HEIGHT, WIDTH)
    assert values.dtype == np.float32
    assert 0 <= values.min() <= values.max() <= 1
    assert mask.source == name
    assert 0 < mask.confidence <= 1
    assert ((values > 0.5) & truth()).sum() / ((values > 0.5) | truth()).sum() > 0.85
    assert np.array_equal(picture.pixels, before)
    assert np.array_equal(values, np.asarray(found(name, picture, sources)))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 3), (9, 2000)])
def test_no_method_raises_for_a_strange_picture(name: str, shape: tuple[int, int], sources: MaskSources) -> None:
    for pixels in (np.zeros((*shape, 3), np.uint8), np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)):
        mask = MASK_METHODS[name](sources)(Sample("a.jpg", pixels))
        if mask is not None:
            assert mask.values.shape == shape
            assert np.isfinite(mask.values).all()


HOSTILE = ("", ".", "..", "/", "../a.jpg", "x/../../a.jpg", "/etc/passwd", "..\\a.jpg", "a\0.jpg", "\ud800", "a" * 400)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("image", HOSTILE, ids=[f"name{i}" for i in range(len(HOSTILE))])
def test_no_method_raises_for_a_hostile_name(name: str, image: str, sources: MaskSources) -> None:
    mask = MASK_METHODS[name](sources)(sample(image))
    assert mask is None or name in MASK_FALLBACKS


@pytest.mark.parametrize("name", [name for name in METHODS if name not in MASK_FALLBACKS])
def test_without_its_source_a_method_finds_nothing(name: str) -> None:
    assert MASK_METHODS[name](MaskSources())(sample()) is None


def test_the_menu_is_in_order_of_trust(sources: MaskSources) -> None:
    trust = [found(name, sample(), sources).confidence for name in METHODS if name != "net"]
    assert trust == sorted(set(trust), reverse=True)
    assert METHODS == ["given", "boxes", "net", "border"]
    assert tuple(METHODS[2:]) == MASK_FALLBACKS


def test_find_mask_takes_the_most_trusted_there_is(sources: MaskSources) -> None:
    only_boxes = MaskSources(None, sources.boxes)
    cases = [(sources, "given"), (only_boxes, "boxes"), (MaskSources(), "net"), (MaskSources(), "border")]
    for given, expected in cases:
        mask = find_mask(sample(), given, expected if expected in MASK_FALLBACKS else "net")
        assert mask is not None
        assert mask.source == expected


def test_find_mask_is_none_where_nothing_finds_an_animal() -> None:
    assert find_mask(Sample("a.jpg", np.full((40, 40, 3), 80, np.uint8)), MaskSources()) is None
    with pytest.raises(KeyError, match="magic"):
        find_mask(sample(), MaskSources(), "magic")


# given


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("a.jpg", "a.png"),
        ("a.jpg", "a.jpg.png"),
        ("a.b.jpg", "a.b.png"),
        ("x/a.jpg", "x/a.png"),
        ("x/a.jpg", "a.png"),
        ("x\\a.jpg", "x/a.png"),
        ("a.jpg", "orca/2019/a.png"),
        ("a.jpg", "orca/a.jpg.png"),
        ("a.jpg", "a.PNG"),
    ],
)
def test_where_a_given_mask_is_looked_for(image: str, file: str, tmp_path: Path) -> None:
    save(truth() * 255, tmp_path / file)
    assert np.array_equal(found("given", sample(image), in_folder(tmp_path, image)).values, truth())


def test_an_image_never_gets_the_mask_of_a_namesake_in_another_folder(tmp_path: Path) -> None:
    save(truth() * 255, tmp_path / "humpback" / "a.png")
    with pytest.raises(DatasetError, match="matched 0 of 1 images"):
        in_folder(tmp_path, "orca/a.jpg")


def test_two_masks_of_one_name_are_none_and_said(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        save(truth() * 255, tmp_path / folder / "a.png")
    with pytest.raises(DatasetError, match=r"a.jpg: x/a.png, y/a.png"):
        in_folder(tmp_path)
    save(truth() * 255, tmp_path / "a.jpg.png")
    assert found("given", sample(), in_folder(tmp_path)).source == "given"


HOSTILE_IMAGES = ("../a.jpg", "../a", "x/../../a.jpg", "..\\a.jpg")


def test_a_mask_outside_the_folder_is_never_read(tmp_path: Path) -> None:
    outside = save(truth() * 255, tmp_path / "a.png")
    home = tmp_path / "masks"
    save(truth() * 255, home / "own.png")
    (home / "a.png").symlink_to(outside)
    (home / "sub").mkdir()
    (home / "sub" / "b.png").symlink_to(outside)
    images = (*HOSTILE_IMAGES, str(tmp_path / "a.jpg"), "a.jpg", "b.jpg", "own.jpg")
    assert set(in_folder(home, *images).given) == {"own.jpg"}


def test_greys_of_a_mask_are_kept(tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    save(grey, tmp_path / "a.png")
    assert found("given", sample(), in_folder(tmp_path)).values == pytest.approx(grey / 255, abs=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_mask_of_another_size_but_the_same_aspect_is_scaled(factor: int, tmp_path: Path) -> None:
    save(np.kron(truth(), np.ones((factor, factor))) * 255, tmp_path / "a.png")
    values = found("given", sample(), in_folder(tmp_path)).values
    assert np.array_equal(values > 0.5, truth())


@pytest.mark.parametrize(("width", "used"), [(242, True), (244, True), (246, False), (236, True), (234, False)])
def test_the_aspect_may_differ_by_two_per_cent(
    width: int, used: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.full((2 * HEIGHT, width), 255)
    values[:40] = 0
    save(values, tmp_path / "a.png")
    mask = MASK_METHODS["given"](in_folder(tmp_path))(sample())
    assert (mask is not None) == used
    assert used == (f"{width} × 160 pixels, its image 120 × 80" not in caplog.text)


def test_a_broken_mask_is_none_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    (tmp_path / "b.png").write_bytes(b"")
    save(truth() * 255, tmp_path / "c.png")
    sources = in_folder(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    for image in ("a.jpg", "b.jpg"):
        assert MASK_METHODS["given"](sources)(sample(image)) is None
    assert "a.png is not used: not an image" in caplog.text
    assert "b.png is not used: zero bytes" in caplog.text


def test_a_mask_unlike_those_looked_at_is_none_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(truth() * 255, tmp_path / "a.png")
    sources = in_folder(tmp_path)
    save(truth(), tmp_path / "a.png")
    assert MASK_METHODS["given"](sources)(sample()) is None
    assert "a.png is not used: it contains 2 values (0, 1) in grey mode, where the others have greys" in caplog.text


def test_a_black_mask_says_that_there_is_no_animal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(np.zeros((HEIGHT, WIDTH)), tmp_path / "a.png")
    save(truth() * 255, tmp_path / "b.png")
    with caplog.at_level(logging.WARNING):
        assert not found("given", sample(), in_folder(tmp_path, "a.jpg", "b.jpg")).values.any()
    assert not caplog.records


# boxes


def test_the_mask_is_the_union_of_the_body_boxes() -> None:
    table = boxes(
        ("a.jpg", 10, 10, 30, 20, "body"), ("a.jpg", 20, 15, 50, 40, "body"), ("b.jpg", 0, 0, 120, 80, "body")
    )
    expected = np.zeros((HEIGHT, WIDTH))
    expected[10:20, 10:30] = expected[15:40, 20:50] = 1
    assert np.array_equal(found("boxes", sample(), MaskSources(None, table)).values, expected)


@pytest.mark.parametrize("kind", ["fin", "fluke"])
def test_a_fin_or_fluke_is_never_the_animal(kind: str) -> None:
    table = boxes(("a.jpg", 10, 10, 30, 20, kind))
    sources = MaskSources(None, table)
    assert MASK_METHODS["boxes"](sources)(sample()) is None
    mask = find_mask(sample(), sources, "border")
    assert mask is not None
    assert mask.source == "border"
    region = fin_region(sample(), sources)
    assert region is not None
    assert region.sum() == 20 * 10


def test_the_fin_comes_before_the_fluke_and_the_body_is_no_region() -> None:
    table = boxes(
        ("a.jpg", 50, 10, 60, 20, "fluke"), ("a.jpg", 10, 10, 15, 20, "fin"), ("a.jpg", 20, 10, 25, 20, "fin")
    )
    region = fin_region(sample(), MaskSources(None, table))
    assert region is not None
    assert region.sum() == 2 * 50
    assert not region[:, 30:].any()
    assert fin_region(sample(), MaskSources(None, boxes(("a.jpg", 1, 1, 9, 9, "body")))) is None
    assert fin_region(sample(), MaskSources()) is None


def test_relative_boxes_are_shares_of_the_picture() -> None:
    table = boxes(("a.jpg", 0.25, 0.5, 0.75, 1.0, "body"), relative=True)
    expected = np.zeros((HEIGHT, WIDTH))
    expected[40:80, 30:90] = 1
    assert np.array_equal(found("boxes", sample(), MaskSources(None, table)).values, expected)


@pytest.mark.parametrize("relative", [False, True])
def test_boxes_stated_as_stored_are_turned_with_the_picture(relative: bool) -> None:
    """EXIF 6: stored 80 wide and 120 high, shown 120 × 80; the stored lower left corner is shown upper left."""
    scale = np.array([80, 120, 80, 120]) if relative else np.ones(4)
    x1, y1, x2, y2 = np.array([0, 100, 20, 120]) / scale
    table = boxes(("a.jpg", x1, y1, x2, y2, "body"), relative=relative)
    upright = np.rot90(stored_corner(), -1)
    assert upright.shape == (80, 120)
    stored = MaskSources(None, table, MaskOptions(box_orientation="stored"))
    assert np.array_equal(found("boxes", sample(orientation=6), stored).values, upright)
    assert MASK_METHODS["boxes"](MaskSources(None, table))(sample(orientation=6)) is None, "nobody said which pixels"


def stored_corner() -> NDArray[np.float64]:
    picture = np.zeros((120, 80))
    picture[100:, :20] = 1
    return picture


@pytest.mark.parametrize(
    "box",
    [(600, 300, 2400, 900), (10, 10, 400, 40), (10, 10, 40, 200), (-50, 10, 40, 40), (30, 20, 30.2, 20.2)],
    ids=["full-size pixels", "too far right", "too far down", "far left of it", "no area"],
)
def test_a_box_that_cannot_belong_to_the_picture_is_ignored(box: tuple[float, float, float, float]) -> None:
    alone = MaskSources(None, boxes(("a.jpg", *box, "body")))
    assert MASK_METHODS["boxes"](alone)(sample()) is None
    with_good = MaskSources(None, boxes(("a.jpg", *box, "body"), ("a.jpg", 10, 10, 20, 20, "body")))
    assert found("boxes", sample(), with_good).values.sum() == 100


def test_a_box_a_little_over_the_edge_is_cut_there() -> None:
    table = boxes(("a.jpg", -1, -1, 121, 81, "body"))
    assert found("boxes", sample(), MaskSources(None, table)).values.all()


def test_real_boxes_cover_the_true_animal(real_data: Path) -> None:
    sources = MaskSources(None, read_boxes([real_data / "boxes.csv"]).rows)
    covered = []
    for row in records(pd.read_csv(real_data / "masks.csv")):
        picture = read_sample(real_data / "photos" / row["image"], row["image"])
        mask = MASK_METHODS["boxes"](sources)(picture)
        if mask is not None:
            animal = read_grey(real_data / "masks" / row["mask"]) > 127
            covered.append(float(mask.values[animal].mean()))
    assert len(covered) >= 5
    assert np.median(covered) > 0.95


# border


def real_samples(real_data: Path, every: int) -> list[tuple[Sample, NDArray[np.bool_]]]:
    rows = records(pd.read_csv(real_data / "masks.csv").iloc[::every])
    return [
        (
            read_sample(real_data / "photos" / row["image"], row["image"]),
            read_grey(real_data / "masks" / row["mask"]) > 127,
        )
        for row in rows
    ]


def test_border_finds_real_animals(real_data: Path) -> None:
    """Evidence.md §6: pixel AUC ≥ 0.89, here on true masks; and better than the middle of the image alone."""
    areas, overlaps, auc, middle = [], [], [], []
    for picture, animal in real_samples(real_data, 3):
        values = found("border", picture, MaskSources()).values
        height, width = animal.shape
        y, x = np.mgrid[0:height, 0:width]
        centre = -(((x + 0.5) / width - 0.5) ** 2) - ((y + 0.5) / height - 0.5) ** 2
        auc.append(roc_auc_score(animal.ravel(), values.ravel()))
        middle.append(roc_auc_score(animal.ravel(), centre.ravel()))
        overlaps.append(((values > 0.5) & animal).sum() / ((values > 0.5) | animal).sum())
        areas.append(abs(values.mean() - animal.mean()))
    assert np.mean(auc) >= 0.89
    assert np.mean(auc) > np.mean(middle) + 0.05
    assert np.mean(overlaps) >= 0.55
    assert np.mean(areas) <= 0.08


def test_border_flips_with_the_picture() -> None:
    picture = sample()
    mirrored = Sample("a.jpg", picture.pixels[:, ::-1].copy())
    values = found("border", picture, MaskSources()).values
    assert np.abs(found("border", mirrored, MaskSources()).values[:, ::-1] - values).mean() < 0.02


def test_border_does_not_depend_on_what_ran_before() -> None:
    first = found("border", sample(), MaskSources()).values
    for seed in range(3):
        noise = np.random.default_rng(seed).integers(0, 256, (50, 70, 3), np.uint8)
        MASK_METHODS["border"](MaskSources())(Sample("noise", noise))
    assert np.array_equal(found("border", sample(), MaskSources()).values, first)


def test_border_finds_nothing_in_one_colour() -> None:
    for grey in (0, 90, 255):
        assert MASK_METHODS["border"](MaskSources())(Sample("a", np.full((60, 90, 3), grey, np.uint8))) is None


def patches(*spots: tuple[int, int, tuple[int, int, int]]) -> Sample:
    """Grey water with squares of 12 pixels around the points x, y."""
    pixels = np.full((96, 96, 3), 128, np.uint8)
    for x, y, colour in spots:
        pixels[y - 6 : y + 6, x - 6 : x + 6] = colour
    return Sample("a.jpg", pixels)


def test_of_two_equal_things_border_prefers_the_one_in_the_middle() -> None:
    values = found("border", patches((48, 48, (230, 230, 230)), (20, 20, (230, 230, 230))), MaskSources()).values
    assert values[48, 48] > values[20, 20] + 1e-4


def test_border_measures_colour_as_lab_does() -> None:
    """From mid grey it is ΔE 135 to pure blue and 104 to pure red; swapped channels would turn that round."""
    values = found("border", patches((28, 48, (255, 0, 0)), (68, 48, (0, 0, 255))), MaskSources()).values
    assert values[48, 68] > values[48, 28]


# net


def test_the_network_beats_the_border_on_every_kind_of_true_mask(real_data: Path) -> None:
    """On photographs it was never trained on, nor their pseudo-masks; the figures of docs/method/mask-net.md."""
    rows = measure(real_data)
    by = rows.groupby(["kind", "method"])[["iou", "auc"]].mean().unstack()
    large = rows.groupby("kind")["image"].nunique() >= 5
    assert (by["iou"]["net"] > by["iou"]["border"])[large].all()
    net = rows[rows["method"] == "net"]
    assert net["iou"].mean() >= LEAST_IOU
    assert net["auc"].mean() >= LEAST_AUC


def test_the_network_is_not_sure_of_a_sea_without_an_animal(real_data: Path) -> None:
    listed = pd.read_csv(real_data / "photos.csv", dtype=str, keep_default_na=False)
    empty = listed[listed["source"].str.startswith("intel_scenes")]["image"]
    taken = [found_or_none("net", read_sample(real_data / "photos" / name, name)) for name in empty]
    assert np.mean([mask is None for mask in taken]) >= 0.5
    for grey in (0, 90, 255):
        assert MASK_METHODS["net"](MaskSources())(Sample("a", np.full((60, 90, 3), grey, np.uint8))) is None


def found_or_none(name: str, picture: Sample) -> Mask | None:
    return MASK_METHODS[name](MaskSources())(picture)


def test_folding_batch_norms_changes_nothing() -> None:
    whole = Segmenter.load(WEIGHTS)
    inputs = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        before = whole(inputs)
        after = whole.folded()(inputs)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in whole.modules())
    assert torch.allclose(before, after, atol=1e-3 * float(before.abs().max()))


def test_the_network_is_small_and_its_file_holds_weights_only() -> None:
    assert WEIGHTS.stat().st_size <= 2_000_000
    with safe_open(WEIGHTS, "pt") as file:
        assert all(file.get_tensor(name).dtype == torch.float16 for name in file.keys())  # noqa: SIM118


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save_file({"head.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="not a mask network"):
        Segmenter.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (1, 1), (0.3, 0.3)])
def test_sureness_is_the_mean_of_what_was_drawn_weighted_by_itself(value: float, wanted: float) -> None:
    assert sureness(np.full((4, 4), value, np.float32)) == pytest.approx(wanted, abs=1e-6)


def test_agreement_is_the_overlap_with_the_network(sources: MaskSources) -> None:
    given, own = found("given", sample(), sources), found("net", sample(), sources)
    one, two = given.values > 0.5, own.values > 0.5
    assert agreement(sample(), given) == pytest.approx(sum(one[two]) / (sum(one.ravel()) + sum(two[~one])))
    assert agreement(sample(), own) is None
