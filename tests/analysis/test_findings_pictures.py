"""Findings on images: drawings with known answers, CleanVision as the peer, measuring that can be interrupted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tests.commandline import process
from tests.conftest import ROOT
from whalecam.analysis.findings import Evidence, Finding, find
from whalecam.analysis.findings.duplicates import NEAR_BITS, alike_within, near_groups
from whalecam.analysis.findings.files import LOOKS
from whalecam.analysis.findings.measuring import MANY, measure
from whalecam.analysis.findings.properties import NUMBERS, TEXTS, Properties, kept, with_faults
from whalecam.analysis.findings.traits import sharpness, traits
from whalecam.arrays import Progress
from whalecam.data import Dataset, open_dataset, read_boxes, read_sample
from whalecam.explain.masks import MaskSources

SEA, ANIMAL = (40, 90, 140), (60, 60, 65)


def sea(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A noisy sea in colour with a dark animal somewhere."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(SEA, 25, (size[1], size[0], 3))
    x, y = int(rng.integers(10, size[0] - 70)), int(rng.integers(10, size[1] - 50))
    pixels[y : y + 40, x : x + 60] = rng.normal(ANIMAL, 25, (40, 60, 3))
    waves = rng.normal(0, 30, (30, 40)).repeat(20, axis=0).repeat(20, axis=1)[: size[1], : size[0]]
    return Image.fromarray((pixels + waves[..., None]).clip(0, 255).astype(np.uint8))


_slope = np.add.outer(np.linspace(20, 60, 120), np.linspace(0, 90, 160))
HAZE = Image.fromarray((_slope[..., None] + (0, 8, 15)).astype(np.uint8))
"""Every light there is, and not one edge."""


def folder(place: Path, pictures: dict[str, Image.Image], species: dict[str, str] | None = None) -> Dataset:
    """A data set of these images, all of one species unless told."""
    (place / "images").mkdir(parents=True, exist_ok=True)
    lines = ["image,species,individual_id"]
    for name, picture in pictures.items():
        picture.save(place / "images" / name)
        lines.append(f"{name},{(species or {}).get(name, 'orca')},{name}")
    (place / "train.csv").write_text("\n".join(lines))
    return open_dataset(place / "train.csv", place / "images")


def found(data: Dataset, properties: pd.DataFrame) -> dict[str, Finding]:
    return {finding.key: finding for finding in find(Evidence(with_faults(data, properties), None, properties))}


def row_of(picture: Image.Image, place: Path, form: str = "png", **options: Any) -> Properties:
    path = place / f"x.{form}"
    picture.save(path, **options)
    return traits(path, read_sample(path, "x"))


def test_a_set_without_faults_yields_nothing_above_info(tmp_path: Path) -> None:
    names = {f"{number}.png": "orca" if number % 2 else "beluga" for number in range(60)}
    data = folder(tmp_path, {name: sea(number) for number, name in enumerate(names)}, names)
    findings = found(data, measure(data))
    assert {finding.severity for finding in findings.values()} == {"info"}, findings.keys()


@pytest.mark.parametrize(
    ("code", "odd"),
    [
        ("dark", Image.fromarray((np.asarray(sea(1)) * 0.15).astype(np.uint8))),
        ("light", Image.fromarray((255 - np.asarray(sea(1)) * 0.02).astype(np.uint8))),
        ("low_information", Image.new("RGB", (160, 120), SEA)),
        ("odd_aspect", sea(1, (400, 120))),
        ("odd_size", sea(1, (800, 600))),
        ("greyscale", sea(1).convert("L")),
        ("greyscale", sea(1).convert("L").convert("RGB")),
        ("blurry", HAZE),
    ],
)
def test_a_drawing_that_is_odd_is_found_and_no_other(tmp_path: Path, code: str, odd: Image.Image) -> None:
    data = folder(tmp_path, {**{f"{number}.png": sea(number) for number in range(12)}, "odd.png": odd})
    findings = found(data, measure(data))
    assert findings[code].rows["image"].tolist() == ["odd.png"]
    assert findings[code].facts == {"images": 1, "of": 13}


def test_sharpness_counts_on_the_animal_where_it_is_known(tmp_path: Path) -> None:
    calm, sharp_sea = HAZE.copy(), sea(5)
    calm.paste((20, 20, 20), (60, 50, 70, 58))
    sharp_sea.paste(HAZE.crop((0, 0, 60, 60)), (50, 30))
    data = folder(tmp_path, {"calm.png": calm, "hazy.png": HAZE, "blurred_animal.png": sharp_sea})
    (tmp_path / "boxes.csv").write_text(
        "image,x1,y1,x2,y2\ncalm.png,56,46,76,62\nhazy.png,60,50,90,70\nblurred_animal.png,52,32,108,88\n"
    )
    properties = measure(data, MaskSources(None, read_boxes([tmp_path / "boxes.csv"]).rows))
    assert sorted(found(data, measure(data))["blurry"].rows["image"]) == ["calm.png", "hazy.png"]
    assert sorted(found(data, properties)["blurry"].rows["image"]) == ["blurred_animal.png", "hazy.png"]


def test_traits_of_drawings(tmp_path: Path) -> None:
    half = Image.new("RGB", (100, 50), (200, 0, 0))
    half.paste((0, 0, 200), (0, 0, 50, 50))
    row = row_of(half, tmp_path)
    assert (row["width"], row["height"], row["format"], row["tables"], row["jpeg_luma"]) == (100, 50, "PNG", "", 0)
    assert row["colour"] == 200
    black = row_of(Image.new("RGB", (30, 30)), tmp_path)
    assert black["brightness"] == black["colour"] == black["blurriness"] == 0
    assert black["entropy"] == pytest.approx(np.log2(3)), "of the three channels' histograms, one after the other"
    white = row_of(Image.new("RGB", (30, 30), "white"), tmp_path)
    assert white["brightness"] == pytest.approx(1) and white["water_l"] == 255


def test_sharpness_is_one_step_of_the_contrast() -> None:
    edge = np.zeros((20, 60), np.uint8)
    edge[:, 30:] = 200
    assert sharpness(edge) == 1
    ramp = np.zeros((20, 60), np.uint8) + np.interp(np.arange(60), [25, 35], [0, 200]).astype(np.uint8)
    assert sharpness(ramp) == pytest.approx(0.1)
    assert sharpness((ramp // 2).astype(np.uint8)) == pytest.approx(0.1), "contrast is not sharpness"
    assert np.isnan(sharpness(np.full((5, 5), 7, np.uint8))) and np.isnan(sharpness(np.zeros((1, 9), np.uint8)))


def test_water_is_what_is_not_animal(tmp_path: Path) -> None:
    picture = Image.new("RGB", (90, 60), "white")
    picture.paste((0, 0, 0), (30, 20, 60, 40))
    picture.save(tmp_path / "x.png")
    mask = np.zeros((60, 90), np.float32)
    mask[20:40, 30:60] = 1
    sample = read_sample(tmp_path / "x.png", "x")
    assert traits(tmp_path / "x.png", sample, mask)["water_l"] == 255
    assert traits(tmp_path / "x.png", sample, 1 - mask)["water_l"] == 0
    assert traits(tmp_path / "x.png", sample)["water_l"] == 255, "the rim does not reach the animal"


def test_jpeg_tables_grow_with_compression(tmp_path: Path) -> None:
    fine, coarse = (row_of(sea(1), tmp_path, "jpg", quality=quality) for quality in (95, 40))
    assert fine["format"] == "JPEG" and fine["jpeg_luma"] < coarse["jpeg_luma"]
    with Image.open(tmp_path / "x.jpg") as picture:
        assert isinstance(picture, JpegImageFile)
        assert coarse["jpeg_luma"] == sum(picture.quantization[0])
        assert coarse["jpeg_chroma"] == sum(picture.quantization[1])
    assert fine["tables"] != coarse["tables"] != ""


def test_duplicates_exact_and_near_with_different_labels_first(tmp_path: Path) -> None:
    pictures = {f"{number}.png": sea(number, (200, 150)) for number in range(8)}
    pictures |= {"copy.png": pictures["0.png"], "twin.png": pictures["1.png"]}
    species = {"twin.png": "beluga"}
    data = folder(tmp_path, pictures, species)
    pictures["2.png"].save(tmp_path / "images" / "again.jpg", quality=60)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("\nagain.jpg,orca,2.png")
    text = (tmp_path / "train.csv").read_text().replace("copy.png,orca,copy.png", "copy.png,orca,0.png")
    (tmp_path / "train.csv").write_text(text)
    data = open_dataset(tmp_path / "train.csv", tmp_path / "images")
    findings = found(data, measure(data))
    groups = {key: f.rows["image"].tolist() for key, f in findings.items() if "duplicates" in key}
    assert groups == {
        "exact_duplicates|different labels": ["1.png", "twin.png"],
        "exact_duplicates|one label": ["0.png", "copy.png"],
        "near_duplicates|one label": ["2.png", "again.jpg"],
    }
    assert [findings[key].severity for key in groups] == ["high", "medium", "low"]


@given(st.lists(st.integers(0, 255).map(lambda low: low | 0xABCD << 40), max_size=30))
@settings(deadline=None)
def test_near_groups_against_the_slow_way(values: list[int]) -> None:
    groups = list(range(len(values)))
    for _ in values:
        for i, one in enumerate(values):
            for j, other in enumerate(values):
                if bin(one ^ other).count("1") <= NEAR_BITS:
                    groups[i] = groups[j] = min(groups[i], groups[j])
    fast = near_groups(np.array([f"{value:016x}" for value in values], object)).tolist()
    assert [groups.index(group) for group in groups] == [fast.index(group) for group in fast]


def test_a_row_that_stands_twice_is_no_duplicate_picture(tmp_path: Path) -> None:
    data = folder(tmp_path, {f"{number}.png": sea(number) for number in range(3)})
    with (tmp_path / "train.csv").open("a") as file:
        file.write("\n1.png,orca,1.png")
    data = open_dataset(data.csv, data.images)
    findings = found(data, measure(data))
    assert "unusable|duplicate row" in findings and not [key for key in findings if "duplicates" in key]


def test_one_hash_in_two_colours_is_no_duplicate(tmp_path: Path) -> None:
    picture = sea(1)
    red, green, blue = picture.split()
    data = folder(tmp_path, {"a.png": picture, "b.png": Image.merge("RGB", (blue, green, red)), "c.png": sea(2)})
    properties = measure(data)
    assert not [key for key in found(data, properties) if "duplicates" in key]
    properties.loc[1, ["phash", "water_l", "water_a", "water_b"]] = properties.loc[
        0, ["phash", "water_l", "water_a", "water_b"]
    ]
    assert [key for key in found(data, properties) if "duplicates" in key] == ["near_duplicates|different labels"]


def test_a_chain_of_small_differences_connects() -> None:
    looks = np.array([[0.0], [0.9], [1.8], [5.0], [5.5], [9.0]])
    groups = alike_within(np.array([0, 0, 0, 0, 0, 1]), looks).tolist()
    assert [groups.index(group) for group in groups] == [0, 0, 0, 3, 3, 5]


def test_many_blank_pictures_are_one_group_at_once() -> None:
    assert set(near_groups(np.array(["8000000000000000"] * 20_000, object)).tolist()) == {0}


def test_measuring_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = folder(tmp_path, {f"{number}.png": sea(number) for number in range(6)})
    keep, steps = tmp_path / "kept", list[Progress]()
    first = measure(data, keep=keep)
    sea(99).save(tmp_path / "images" / "3.png")
    os.utime(tmp_path / "images" / "3.png", (1, 1))
    again = measure(data, keep=keep, report=steps.append)
    assert [(step.done, step.total) for step in steps] == [(5, 6), (6, 6)]
    changed = first["digest"] != again["digest"]
    assert first.loc[changed, "image"].tolist() == ["3.png"]
    pd.testing.assert_frame_equal(first[~changed], again[~changed])
    assert len(kept(keep)) == 7
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\n2.png,5,5,50,50\n")
    measure(data, MaskSources(None, read_boxes([tmp_path / "boxes.csv"]).rows), keep, steps.append)
    assert steps[-2].done == 5, "a new box changes what is measured on its image"


def test_a_part_of_another_version_or_half_written_is_passed_over(tmp_path: Path) -> None:
    data = folder(tmp_path, {"0.png": sea(0)})
    measure(data, keep=tmp_path / "kept")
    pd.DataFrame({"image": ["0.png"]}).to_parquet(tmp_path / "kept" / "part-000000-old.parquet")
    (tmp_path / "kept" / "part-000002-x.writing").write_bytes(b"half")
    assert len(kept(tmp_path / "kept")) == 1


def test_pictures_that_cannot_be_read_get_their_reason(tmp_path: Path) -> None:
    data = folder(tmp_path, {f"{number}.png": sea(number) for number in range(4)})
    whole = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "images" / "2.png").write_bytes(b"no picture")
    properties = measure(data)
    assert properties["status"].tolist() == ["ok", "truncated", "not an image", "ok"]
    assert with_faults(data, properties).table["status"].tolist() == properties["status"].tolist()
    assert {"unusable|truncated", "unusable|not an image"} <= set(found(data, properties))


def test_helper_processes_measure_the_same(tmp_path: Path) -> None:
    few = folder(tmp_path / "few", {f"{number}.png": sea(number, (90, 80)) for number in range(3)})
    (tmp_path / "many" / "images").mkdir(parents=True)
    lines = ["image,species,individual_id"]
    for number in range(MANY):
        shutil.copy(tmp_path / "few" / "images" / f"{number % 3}.png", tmp_path / "many" / "images" / f"{number}.png")
        lines.append(f"{number}.png,orca,{number}")
    (tmp_path / "many" / "train.csv").write_text("\n".join(lines))
    # In a process of its own: helpers load the main module anew, which Streamlit's test runner may have replaced.
    done = process("check", tmp_path / "many" / "train.csv", tmp_path / "many" / "images", "--keep", tmp_path / "kept")
    assert done.returncode == 1, done.stderr
    many, one = kept(tmp_path / "kept"), measure(few)
    columns = [name for name in (*TEXTS, *NUMBERS) if name not in ("image", "stamp")]
    for number in (0, 1, 2, MANY - 1):
        assert list(many.loc[number, columns]) == pytest.approx(list(one.loc[number % 3, columns]), nan_ok=True)


def test_finding_and_measuring_need_no_torch(tmp_path: Path) -> None:
    names = {f"{number}.png": "orca" if number % 2 else "beluga" for number in range(40)}
    folder(tmp_path, {name: sea(number) for number, name in enumerate(names)}, names)
    code = (
        "import sys; from pathlib import Path; from whalecam.data import open_dataset\n"
        "from whalecam.analysis.findings import Evidence, find\n"
        "from whalecam.analysis.findings.measuring import measure\n"
        "data = open_dataset(Path('train.csv'), Path('images'))\n"
        "found = find(Evidence(data, None, measure(data)))\n"
        "print(len(found), sorted({'torch', 'fastai', 'streamlit'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("[]"), done.stdout


@pytest.fixture(scope="module")
def photos(real_data: Path) -> tuple[Dataset, pd.DataFrame]:
    data = open_dataset(real_data / "photos.csv", real_data / "photos")
    return data, measure(data)


def test_the_real_photographs_as_cleanvision_sees_them(
    photos: tuple[Dataset, pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same images are dark, light, blurry, empty, odd or there twice; near ones are at least its own."""
    from cleanvision import Imagelab

    data, properties = photos
    lab = Imagelab(filepaths=properties["image"].map(data.good().set_index("image")["path"]).tolist())
    lab.find_issues(n_jobs=1, verbose=False)
    names = [Path(path).name for path in lab.issues.index]
    findings = found(data, properties)
    for code, theirs in {code: code for code in LOOKS if code != "greyscale"}.items():
        issue = f"is_{'odd_aspect_ratio' if theirs == 'odd_aspect' else theirs}_issue"
        expected = {name for name, bad in zip(names, lab.issues[issue], strict=True) if bad}
        assert set(findings[code].rows["image"] if code in findings else ()) == expected, code
    grey = {name for name, bad in zip(names, lab.issues["is_grayscale_issue"], strict=True) if bad}
    assert grey <= set(findings["greyscale"].rows["image"])
    twice = {name for name, bad in zip(names, lab.issues["is_near_duplicates_issue"], strict=True) if bad}
    assert twice <= set(findings["near_duplicates|one label"].rows["image"])
    assert not any(lab.issues["is_exact_duplicates_issue"]) and not any("exact" in key for key in findings)


def test_the_real_photographs_hold_one_pair_of_near_duplicates(photos: tuple[Dataset, pd.DataFrame]) -> None:
    rows = found(*photos)["near_duplicates|one label"].rows
    assert rows["image"].tolist() == ["cro_dolphin_032_0_2.jpg", "cro_dolphin_030_0_1.jpg"]
