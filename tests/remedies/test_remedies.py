"""Remedies on drawings with known answers, and what mended data sets keep of their source."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.remedies import joined
from tests.commandline import whalecam
from whalecam import config, remedies
from whalecam.arrays import Mask, Sample, records
from whalecam.config import Columns, TrainOptions
from whalecam.data import Dataset, inspect_images, open_dataset, read_sample
from whalecam.demo.planted import Planted
from whalecam.errors import DatasetError, ModelError
from whalecam.explain.masks import MaskMethod, MaskSources, find_mask
from whalecam.explain.masks import joined as joined_masks
from whalecam.network.training import train as train_plainly
from whalecam.remedies import AUGMENTS, REMEDIES, Case, Mended, Shuffle, inside
from whalecam.remedies.shuffle import Exchange, laid
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run

SEA, ANIMAL, MEAN = (10, 40, 200), (220, 210, 190), (70.0, 80.0, 90.0)
NO_REVIEWS = pd.DataFrame(columns=["image", "verdict", "reason", "suggested_label"])


def drawn(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (80, 120)) -> Case:
    """A rectangle of an animal on plain sea, with its mask."""
    pixels, mask = np.full((*size, 3), SEA, np.uint8), np.zeros(size, np.float32)
    pixels[top:bottom, left:right], mask[top:bottom, left:right] = ANIMAL, 1
    return Case(Sample("a.jpg", pixels), "orca", Mask(mask, 1, "given"), {}, MEAN)


def test_menus_are_those_of_the_command_line() -> None:
    assert tuple(REMEDIES) == config.DATA_REMEDIES
    assert {*config.TRAIN_REMEDIES} == {"none", *config.SIMULATED, *AUGMENTS, config.RESTRICT}
    assert set(config.SIMULATED) <= set(REMEDIES)


@pytest.mark.parametrize("remedy", sorted(REMEDIES))
def test_contract(remedy: str) -> None:
    case = drawn(20, 60, 30, 90)
    assert case.mask is not None
    before = case.sample.pixels.copy()
    mended = REMEDIES[remedy](case)
    assert mended is not None and mended.label == "orca"
    assert (case.sample.pixels == before).all()
    if mended.pixels is not None:
        mask = case.mask.values if mended.mask is None else mended.mask
        assert mended.pixels.dtype == np.uint8 and mended.pixels.shape[:2] == mask.shape
    blind = REMEDIES[remedy](Case(case.sample, "orca", None, {}, MEAN))
    assert blind is not None and blind.pixels is None, "without a mask an image stays as it is"


def mended_by(remedy: str, case: Case) -> Mended:
    mended = REMEDIES[remedy](case)
    assert mended is not None
    return mended


def cropped(case: Case) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The pixels and the mask of what `crop` makes of it."""
    mended = mended_by("crop", case)
    assert mended.pixels is not None and mended.mask is not None
    return mended.pixels, mended.mask


def test_crop_is_the_box_with_its_margin_and_leaves_only_a_rim_of_sea() -> None:
    pixels, mask = cropped(drawn(20, 60, 30, 90))
    pad = round(0.02 * 60)
    assert pixels.shape == (40 + 2 * pad, 60 + 2 * pad, 3)
    assert mask.sum() == 40 * 60
    assert (pixels[mask == 1] == ANIMAL).all()


def test_crop_keeps_no_sea_of_a_slanted_animal() -> None:
    case = drawn(0, 0, 0, 0, (100, 100))
    mask = np.zeros((100, 100), np.float32)
    for at in range(20, 80):
        mask[at, at - 4 : at + 5] = 1
    pixels, kept = cropped(Case(case.sample, "orca", Mask(mask, 1, "given"), {}, MEAN))
    assert pixels[2, -3].tolist() == [70, 80, 90] and pixels[-3, 2].tolist() == [70, 80, 90]
    sea = np.abs(pixels.astype(int) - SEA).sum(-1) < np.abs(pixels.astype(int) - MEAN).sum(-1)
    rim = cv2.dilate(kept, np.ones((5, 5))) == 1
    assert sea.mean() > 0 and not sea[~rim].any()


@pytest.mark.parametrize(("rows", "columns", "wanted"), [(4, 100, 52), (10, 60, 31)])
def test_a_long_crop_is_widened_with_mean_water_to_two_to_one(rows: int, columns: int, wanted: int) -> None:
    pixels, mask = cropped(drawn(40, 40 + rows, 10, 10 + columns))
    height, width = pixels.shape[:2]
    assert height == wanted and width / height <= 2.0
    assert mask.shape == (height, width) and mask.sum() == rows * columns
    assert pixels[0, 0].tolist() == [70, 80, 90]


def test_a_crop_at_the_edge_of_the_picture_reaches_beyond_it() -> None:
    pixels, mask = cropped(drawn(0, 6, 0, 60))
    assert pixels.shape[0] * 2 >= pixels.shape[1]
    assert (mask.sum(), pixels[0, 0].tolist()) == (360, [70, 80, 90])


def test_a_tiny_animal_is_not_cropped_to() -> None:
    assert mended_by("crop", drawn(20, 30, 30, 50)).pixels is None


def test_neutral_leaves_nothing_of_the_sea_and_the_middle_of_the_animal() -> None:
    case = drawn(20, 60, 30, 90)
    mended = mended_by("neutral", case)
    assert mended.pixels is not None and case.mask is not None
    assert (mended.pixels[case.mask.values == 0] == [70, 80, 90]).all()
    assert (mended.pixels[24:56, 34:86] == ANIMAL).all()


def test_what_is_kept_inside_the_outline_the_slow_way() -> None:
    mask = np.zeros((30, 40), np.float32)
    mask[8:22, 10:31] = 1
    sigma = max(0.5, 0.006 * float(np.hypot(30, 40)))
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma)
    kept = inside(mask)
    for y in range(30):
        for x in range(40):
            assert kept[y, x] == pytest.approx(max(0.0, 2 * float(blurred[y, x]) - 1), abs=1e-6)
    assert not kept[mask == 0].any() and kept[15, 20] == 1


@pytest.mark.parametrize(
    ("review", "merges", "label"),
    [
        ({}, {}, "orca"),
        ({"verdict": "flag", "suggested_label": "beluga"}, {}, "beluga"),
        ({"verdict": "unsure", "suggested_label": "beluga"}, {}, "orca"),
        ({}, {"orca": "killer_whale"}, "killer_whale"),
        ({"verdict": "flag", "suggested_label": "orka"}, {"orka": "killer_whale"}, "killer_whale"),
    ],
)
def test_relabel_takes_accepted_suggestions_and_merges(
    review: dict[str, str], merges: dict[str, str], label: str
) -> None:
    case = drawn(20, 60, 30, 90)
    assert mended_by("relabel", Case(case.sample, "orca", case.mask, review, MEAN, merges)).label == label


def test_drop_leaves_flagged_pictures_out_and_no_others() -> None:
    case = drawn(20, 60, 30, 90)
    said = [Case(case.sample, "orca", None, {"verdict": verdict}) for verdict in ("flag", "keep", "unsure")]
    assert [REMEDIES["drop"](one) is None for one in said] == [True, False, False]


# --- mended data sets ---------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Dataset:
    """Eight images of two species in folders, of four kinds of file; one without a mask, one with EXIF rotation."""
    folder = tmp_path / "source"
    names = ["a.jpg", "deep/b.png", "deep/c.webp", "d.bmp", "e.jpeg", "f.tif", "g.jpg", "h.gif"]
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 255, (60, 90, 3)).astype(np.uint8)
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if name == "g.jpg" else 1
        more: dict[str, Any] = {"exif": exif} if name == "g.jpg" else {}
        Image.fromarray(pixels).save(folder / "images" / name, **more)
        mask = np.zeros((90, 60) if name == "g.jpg" else (60, 90), np.uint8)
        mask[10:50, 12:52] = 255
        if name != "e.jpeg":
            target = folder / "masks" / Path(name).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(target)
    rows = [(name, ("orca", "beluga")[at % 2], f"i{at // 2}") for at, name in enumerate(names)]
    pd.DataFrame(rows, columns=["picture", "kind", "who"]).to_csv(folder / "train.csv", index=False)
    return inspect_images(open_dataset(folder / "train.csv", folder / "images", Columns("picture", "kind", "who")))


def digest(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def masks_of(data: Dataset) -> MaskMethod:
    sources = joined_masks(data, MaskSources(data.csv.parent / "masks")).sources
    return functools.partial(find_mask, sources=sources, fallback="border")


@pytest.mark.parametrize("remedy", sorted(REMEDIES))
def test_source_files_are_byte_identical_after_every_remedy(source: Dataset, tmp_path: Path, remedy: str) -> None:
    before, home = digest(source.csv.parent), source.csv.parent
    reviews = pd.DataFrame([{"image": "a.jpg", "verdict": "flag", "reason": "", "suggested_label": "narwhal"}])
    done = remedies.mend(
        source,
        masks_of(source),
        reviews,
        remedy=remedy,
        out=tmp_path / "out",
        provenance={"run": "r"},
        merges={"orca": "k"},
    )
    assert digest(home) == before
    mended = open_dataset(tmp_path / "out" / "train.csv", tmp_path / "out" / "images", source.columns)
    good = inspect_images(mended).good()
    assert len(good) == done.written == 8 - done.left_out and done.left_out == (remedy == "drop")
    assert set(good["image"]) <= set(source.table["image"]), "rows join by the name of the image"
    masks = tmp_path / "out" / "masks"
    sources = joined_masks(mended, MaskSources(masks)).sources if masks.is_dir() else MaskSources()
    for row in records(good):
        sample = read_sample(Path(row["path"]), row["image"])
        mask = find_mask(sample, sources, "border")
        assert mask is None or mask.values.shape == sample.pixels.shape[:2]
        assert mask is None or mask.source == "given"
    told = json.loads((tmp_path / "out" / "remedy.json").read_text())
    assert told["remedy"] == remedy and told["fingerprint"] == source.fingerprint and told["run"] == "r"
    assert told["written"] == done.written and sum(told["masks"].values()) == done.written


def test_what_a_remedy_leaves_alone_is_copied_byte_for_byte(source: Dataset, tmp_path: Path) -> None:
    remedies.mend(source, lambda _: None, NO_REVIEWS, remedy="crop", out=tmp_path / "out", provenance={})
    for row in records(source.good()):
        assert (tmp_path / "out" / "images" / row["image"]).read_bytes() == Path(row["path"]).read_bytes()


def test_a_rejected_mask_counts_as_none(source: Dataset, tmp_path: Path) -> None:
    reviews = pd.DataFrame(
        [{"image": "d.bmp", "verdict": "unsure", "reason": config.WRONG_MASK, "suggested_label": ""}]
    )
    assert source.images is not None
    remedies.mend(source, masks_of(source), reviews, remedy="neutral", out=tmp_path / "out", provenance={})
    assert (tmp_path / "out/images/d.bmp").read_bytes() == (source.images / "d.bmp").read_bytes()
    assert not (tmp_path / "out/masks/d.bmp.png").exists()


def test_the_mean_water_is_that_of_the_set(tmp_path: Path) -> None:
    for name, sea in (("a", (0, 0, 200)), ("b", (0, 100, 0))):
        pixels = np.full((20, 20, 3), sea, np.uint8)
        pixels[5:9, 5:9] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    rows = pd.DataFrame({"image": ["a.png", "b.png"], "path": [str(tmp_path / "a.png"), str(tmp_path / "b.png")]})

    def find(sample: Sample) -> Mask:
        return Mask((sample.pixels.min(-1) == 255).astype(np.float32), 1, "given")

    assert remedies.mean_water(rows, find) == (0.0, 50.0, 100.0)
    assert remedies.mean_water(rows, lambda _: None) == (128.0, 128.0, 128.0)


@pytest.mark.parametrize("place", ["source/images/out", "full", "file"])
def test_where_a_mended_set_cannot_go_is_said(source: Dataset, tmp_path: Path, place: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    before = digest(tmp_path)
    with pytest.raises(DatasetError, match="Name a"):
        remedies.mend(source, masks_of(source), NO_REVIEWS, remedy="crop", out=tmp_path / place, provenance={})
    assert digest(tmp_path) == before


def test_an_unknown_remedy_lists_the_known(source: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="crop, neutral, drop, relabel"):
        remedies.mend(source, masks_of(source), NO_REVIEWS, remedy="pray", out=tmp_path / "out", provenance={})


# --- shuffle --------------------------------------------------------------------------------------------------------


def test_laying_an_animal_on_water_the_slow_way() -> None:
    rng = np.random.default_rng(1)
    pixels, water = (rng.integers(0, 256, (6, 6, 3)).astype(np.uint8) for _ in range(2))
    keep = rng.integers(0, 256, (6, 6)).astype(np.uint8)
    keep[0], keep[1] = 0, 255
    found = laid(pixels, keep, water)
    for y, x, c in np.ndindex(6, 6, 3):
        k = int(keep[y, x]) / 255
        assert abs(int(found[y, x, c]) - (k * int(pixels[y, x, c]) + (1 - k) * int(water[y, x, c]))) <= 0.51
    assert (found[0] == water[0]).all() and (found[1] == pixels[1]).all()


def exchange(labels: int) -> Exchange:
    """One image a label, `p0` of label `l0` on; the water of label n is all n + 1."""
    keep = np.zeros((4, 4), np.uint8)
    keep[1:3, 1:3] = 255
    names = [f"l{n}" for n in range(labels)]
    lent = {name: [np.full((4, 4, 3), n + 1, np.uint8)] for n, name in enumerate(names)}
    return Exchange({f"p{n}": keep for n in range(labels)}, {f"p{n}": names[n] for n in range(labels)}, lent)


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_each_label_stands_on_each_water_equally_often(labels: int) -> None:
    change, rng, draws = exchange(labels), np.random.default_rng(0), 3000
    for own in range(labels):
        pixels = np.full((4, 4, 3), own + 1, np.uint8)
        seen = [int(change(f"p{own}", pixels, rng)[0, 0, 0]) - 1 for _ in range(draws)]
        shares = np.bincount(seen, minlength=labels) / draws
        assert np.abs(shares - 1 / labels).max() < 4 * np.sqrt(0.25 / draws), shares


def test_many_labels_keep_a_quarter_of_their_own_water() -> None:
    assert exchange(12).share == 0.75


def test_an_exchange_is_the_same_for_the_same_chance_and_keeps_the_animal() -> None:
    change, pixels = exchange(3), np.full((4, 4, 3), 99, np.uint8)
    one, two = (change("p1", pixels, np.random.default_rng(5)) for _ in range(2))
    assert (one == two).all() and (pixels == 99).all()
    waters = set()
    for seed in range(30):
        found = change("p1", pixels, np.random.default_rng(seed))
        assert (found[1:3, 1:3] == 99).all()
        waters.add(int(found[0, 0, 0]))
    assert waters == {99, 1, 3}, "its own, as it was, or that of another label; never its own label's"


def test_a_picture_without_a_mask_or_another_label_stays_as_it_is() -> None:
    pixels = np.full((4, 4, 3), 99, np.uint8)
    alone = exchange(1)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert exchange(3)("unknown", pixels, rng) is pixels and alone("p0", pixels, rng) is pixels


def test_only_training_pictures_lend_and_masks_are_found_once(source: Dataset) -> None:
    asked: list[str] = []
    find = masks_of(source)

    def counted(sample: Sample) -> Mask | None:
        asked.append(sample.image)
        return find(sample) if sample.image != "e.jpeg" else None

    shuffle, good = Shuffle(counted, 32, "squish"), source.good()
    first, second = shuffle(good.iloc[:4]), shuffle(good)
    assert {label: len(waters) for label, waters in first.donated.items()} == {"orca": 2, "beluga": 2}
    assert sum(len(waters) for waters in second.donated.values()) == 7 and "e.jpeg" not in second.keeps
    assert sorted(asked) == sorted(good["image"])
    assert dict(shuffle.facts) == {"pictures": 8, "with_mask": 7}


def trained(planted: Planted, path: Path, remedy: str) -> Run:
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(path, DatasetRecord.of(data))
    options = TrainOptions(
        arch="efficientnet_lite0_fine", epochs=1, lr=1e-2, size=64, batch=16, split="random", remedy=remedy
    )
    remedies.train(data, run, TrainOptions(**{**vars(options), "masks": str(planted.leaky / "masks")}))
    return open_run(run.path)


@pytest.mark.parametrize("remedy", ["shuffle", "crop"])
def test_training_with_a_remedy_is_written_down_and_repeats(planted: Planted, tmp_path: Path, remedy: str) -> None:
    before = digest(planted.leaky)
    runs = [trained(planted, tmp_path / name, remedy) for name in ("one", "two")]
    assert digest(planted.leaky) == before
    assert runs[0].manifest.model_sha256 == runs[1].manifest.model_sha256
    assert runs[0].manifest.train["remedy"] == remedy == runs[0].metrics()["remedy"]["name"]
    if remedy == "shuffle":
        assert runs[0].metrics()["remedy"] == {"name": "shuffle", "pictures": 96, "with_mask": 96}
    else:
        assert Path(runs[0].manifest.dataset.csv) == runs[0].path / "mended" / "train.csv"
        assert len(list((runs[0].path / "mended" / "masks").iterdir())) == 120
        assert not list(runs[0].path.glob("mending-*"))
        # What a remedy of the run wrote is no data set to mend for it.
        data = open_dataset(runs[0].path / "mended" / "train.csv", runs[0].path / "mended" / "images")
        with pytest.raises(DatasetError, match="Name the data set it came from"):
            remedies.train(data, runs[0], TrainOptions(remedy="crop"))


def test_pictures_that_change_need_the_fast_recipe(source: Dataset, tmp_path: Path) -> None:
    record = DatasetRecord.of(source)
    run = create_run(tmp_path / "run", record)
    with pytest.raises(ModelError, match="recipe"):
        train_plainly(source, run, TrainOptions(recipe="notebook"), augment=Shuffle(masks_of(source), 32, "squish"))
    with pytest.raises(DatasetError, match="shuffle"):
        remedies.train(source, run, TrainOptions(remedy="drop"))
    with pytest.raises(DatasetError, match="mask folder"):
        remedies.train(source, run, TrainOptions(remedy="shuffle", masks="/nowhere"))


def test_train_and_export_with_remedies_on_the_command_line(planted: Planted, tmp_path: Path) -> None:
    leaky, run = planted.leaky, tmp_path / "run"
    verb = ["train", leaky / "train.csv", leaky / "images", "--run", run, "--remedy", "neutral", "--masks"]
    short = ["--arch", "efficientnet_lite0_fine", "--epochs", 1, "--size", 64, "--split", "random", "--json"]
    done = whalecam(*verb, leaky / "masks", *short)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["remedy"] == {"name": "neutral"}
    manifest = open_run(run).manifest
    assert manifest.train["masks"] == str(leaky / "masks") and manifest.dataset.csv.startswith(str(run.resolve()))
    (tmp_path / "map.csv").write_text("old,new\nhumpback_whale,humpback\n")
    export = ["export-dataset", run, "--out", tmp_path / "out", "--labels-map", tmp_path / "map.csv", "--remedy"]
    refused = whalecam(*export, "crop")
    assert refused.returncode == 2 and "relabel" in refused.stderr and not (tmp_path / "out").exists()
    facts = json.loads(whalecam(*export, "relabel", "--json").stdout)
    table = pd.read_csv(tmp_path / "out" / "train.csv")
    assert set(table["species"]) == {"humpback", "bottlenose_dolphin"}
    assert facts["changed"] == (table["species"] == "humpback").sum()
    assert whalecam(*verb, "/nowhere", *short).returncode == 2


def test_seeds_of_a_benchmark_are_joined_over_individuals() -> None:
    """Two seeds of three images, two of them of one animal: four judgements of it are drawn together."""
    who = {"a": "Ann", "b": "Ann", "c": "c"}
    right: dict[str, list[tuple[float | None, ...]]] = {
        "none": [(0.0, 0.0, 0.5), (0.0, 0.0, None)],
        "crop": [(1.0, 1.0, 0.5), (0.5, 1.0, 1.0)],
    }
    rows: list[dict[str, Any]] = [
        {"seed": seed, "remedy": remedy, "right": dict(zip(who, values, strict=True)), "who": who}
        for remedy, seeds in right.items()
        for seed, values in enumerate(seeds)
    ]
    level, change = joined(rows, "crop", "right")
    assert level is not None and level[0] == pytest.approx(5.0 / 6)
    # Ann's changes are 1, 1, 0.5, 1; that of the image c is 0 in one seed and unknown in the other.
    assert change is not None and change == pytest.approx([3.5 / 5, 0.0, 3.5 / 4])
    assert joined(rows, "none", "right")[0] == pytest.approx([0.1, 0.0, 0.5])
