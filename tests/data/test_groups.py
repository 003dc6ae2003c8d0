"""Candidates for groups: found in columns, names, folders and EXIF, never the label itself; splits that keep them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import whalecam as wc
from tests.commandline import whalecam
from tests.test_run_words import CARS, foreign_in
from whalecam.analysis.findings import Evidence, Finding
from whalecam.analysis.findings.group_prediction import Prediction, predict_labels
from whalecam.analysis.findings.groups import groups
from whalecam.config import Columns
from whalecam.data import Dataset, Exif, of_frame, open_dataset, read_exif
from whalecam.data.folds import group_folds, groups_of
from whalecam.data.groups import KINDS, candidate, candidates, day_of
from whalecam.errors import DatasetError

MAKE, MODEL, TAKEN, SERIAL = 0x010F, 0x0110, 0x9003, 0xA431
GPS = {1: "S", 2: (43.0, 30.0, 18.0), 3: "E", 4: (172.0, 0.0, 36.0)}


def photograph(path: Path, camera: str = "", taken: str = "", gps: dict[int, Any] | None = None) -> None:
    exif = Image.Exif()
    if camera:
        exif[MAKE], exif[MODEL] = "Acme", camera
    own, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    if taken:
        own[TAKEN], own[SERIAL] = taken, "007"
    place.update(gps or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 12), (20, 60, 90)).save(path, exif=exif)


def data_of(rows: Sequence[tuple[str, ...]], columns: str = "image,species") -> Dataset:
    """A data set without files."""
    return wc.open_dataset(pd.DataFrame(rows, columns=columns.split(",")))


def values_of(data: Dataset, name: str) -> list[str]:
    return candidate(data, name).values.tolist()


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_exif_of_every_format(form: str, tmp_path: Path) -> None:
    photograph(tmp_path / f"a.{form}", "C1", "2024:06:30 12:00:00", GPS)
    found = read_exif(tmp_path / f"a.{form}")
    assert (found.camera, found.time) == ("Acme C1 007", "2024:06:30 12:00:00")
    assert found.place == pytest.approx((-43.505, 172.01))


def test_files_without_usable_exif(tmp_path: Path) -> None:
    photograph(tmp_path / "plain.jpg")
    photograph(tmp_path / "zero.jpg", gps={**GPS, 2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)})
    photograph(tmp_path / "far.jpg", gps={**GPS, 2: (143.0, 0.0, 0.0)})
    photograph(tmp_path / "half.jpg", gps={1: "N", 2: (43.0, 0.0, 0.0)})
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("plain", "zero", "far", "half", "text", "gone"):
        assert read_exif(tmp_path / f"{name}.jpg") == Exif(), name


def test_camera_day_and_place_come_from_exif(tmp_path: Path) -> None:
    for number in range(4):
        photograph(tmp_path / f"{number}.jpg", f"C{number % 2}", f"2024:06:0{1 + number // 2} 08:00:00", GPS)
    photograph(tmp_path / "4.jpg", gps={**GPS, 1: "N"})
    (tmp_path / "t.csv").write_text("image,species\n" + "".join(f"{number}.jpg,orca\n" for number in range(5)))
    data = open_dataset(tmp_path / "t.csv", tmp_path)
    assert values_of(data, "camera") == ["Acme C0 007", "Acme C1 007", "Acme C0 007", "Acme C1 007", ""]
    assert values_of(data, "day") == ["2024-06-01", "2024-06-01", "2024-06-02", "2024-06-02", ""]
    assert values_of(data, "place") == ["-43.51, 172.01"] * 4 + ["43.51, 172.01"]
    assert {own.name: own.origin for own in candidates(data)} == dict.fromkeys(("camera", "day", "place"), "EXIF")
    assert not candidates(data, read_files=False)


def test_columns_stand_above_exif_and_names() -> None:
    rows = [("IMG_1.jpg", "orca", "Ana", "north", "2024-01-02T10:00", "x", "unknown")]
    rows += [("DSC_2.jpg", "orca", "Bo", "south", "3.4.2024 11:00", "y", "c")]
    data = data_of(rows, "image,species,Recorded By,site,datetime,data_source,deployment")
    assert values_of(data, "photographer") == ["Ana", "Bo"] and values_of(data, "place") == ["north", "south"]
    assert values_of(data, "day") == ["2024-01-02", "3.4.2024"] and values_of(data, "source") == ["x", "y"]
    assert values_of(data, "Site") == values_of(data, "place")
    with pytest.raises(DatasetError, match="only 1 group of 'camera'"):
        candidate(data, "camera")


def test_coordinates_are_rounded_and_odd_ones_unknown() -> None:
    rows = [("a.jpg", "x", "43.507", "-1.001"), ("b.jpg", "x", "43.513", "-1.004"), ("c.jpg", "x", "91", "0")]
    data = data_of([*rows, ("d.jpg", "x", "", "7")], "image,species,lat,Longitude")
    assert candidate_count(data, "place") == 1
    more = data_of([*rows, ("e.jpg", "x", "-5", "7")], "image,species,lat,Longitude")
    assert values_of(more, "place") == ["43.51, -1.00", "43.51, -1.00", "", "-5.00, 7.00"]


def candidate_count(data: Dataset, name: str) -> int:
    found = KINDS[name](data, True)
    return found.count if found is not None else 0


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("IMG_20240630_120000.jpg", "2024-06-30"),
        ("2024-06-30 orca.jpg", "2024-06-30"),
        ("20240630120000.jpg", "2024-06-30"),
        ("x/2019.02.28/1.jpg", "2019-02-28"),
        ("2024:06:30 12:00:00", "2024-06-30"),
        ("20241330.jpg", ""),
        ("20230229_20230301.jpg", "2023-03-01"),
        ("1202406301.jpg", ""),
        ("0000:00:00 00:00:00", ""),
        ("30062024.jpg", ""),
    ],
)
def test_days_in_texts(text: str, day: str) -> None:
    assert day_of(text) == day


def test_sources_by_file_names_are_words_and_not_hashes_or_labels() -> None:
    def sources(*names: str, label: str = "x") -> list[str]:
        found = KINDS["source"](data_of([(name, label) for name in names]), True)
        return found.values.tolist() if found else []

    assert sources(*(f"hw-{n}.jpg" for n in range(3)), *(f"north sea {n}_b.jpg" for n in range(3))) == (
        ["hw"] * 3 + ["north sea"] * 3
    )
    assert KINDS["day"](data_of([("ab20150103ffd9.jpg", "x"), ("cd20150104ffd9.jpg", "x")]), True) is None
    assert sources("00021adfb725ed.jpg", "ab34512fdeadbe.jpg", "cc34512fdeadbe.jpg") == []
    assert sources(*(f"orca_{n}.jpg" for n in range(3)), *(f"IMG{n}.jpg" for n in range(3)), label="Orca") == []
    assert sources(*(f"{chr(97 + n % 26)}{chr(97 + n // 26)}1.jpg" for n in range(200))) == []


def test_folders_named_as_the_label_are_no_group(tmp_path: Path) -> None:
    for label in ("killer whale", "Beluga"):
        for site in ("north", "south"):
            photograph(tmp_path / "set" / label / site / "1.jpg")
    data = wc.open_dataset(tmp_path / "set")
    assert values_of(data, "folder") == ["north", "south", "north", "south"]
    for label in ("killer whale", "Beluga"):
        photograph(tmp_path / "flat" / label / "1.jpg")
    with pytest.raises(DatasetError, match=r"no group 'folder'. The table, names and EXIF show no groups"):
        candidate(wc.open_dataset(tmp_path / "flat"), "folder")


def test_a_name_that_is_no_group_lists_those_that_are() -> None:
    rows = [(f"{n}.jpg", "orca", f"w{n // 2}", f"s{n % 3}", str(n)) for n in range(6)]
    data = data_of(rows, "image,species,individual_id,site,number")
    with pytest.raises(DatasetError) as caught:
        candidate(data, "cam")
    assert "no group 'cam'" in str(caught.value)
    assert "individual (3 groups, column individual_id), place (3 groups, column site)." in str(caught.value)
    assert values_of(data, "individual_id") == values_of(data, "individual") == ["w0", "w0", "w1", "w1", "w2", "w2"]
    assert values_of(data, "number") == list("012345")
    with pytest.raises(DatasetError, match="no group 'cam'"):
        wc.open_dataset(pd.DataFrame(rows, columns=["image", "species", "individual_id", "site", "n"]), group="cam")


# Predicting the label


def slowly(groups_: list[str], labels: list[str], units: list[str]) -> tuple[int, float, float]:
    """Pairs, accuracy and majority, one pair after the other."""
    own = [unit or f"row {at}" for at, unit in enumerate(units)]
    rows = [row for row in zip(groups_, labels, own, strict=True) if row[0]]
    label_of = {}
    for unit in {unit for _, _, unit in rows}:
        counts = Counter(label for _, label, other in rows if other == unit)
        label_of[unit] = min(counts, key=lambda name: (-counts[name], name))
    pairs = sorted({(group, unit) for group, _, unit in rows})
    shares = Counter(label_of[unit] for _, unit in pairs)
    right = 0
    for group, unit in pairs:
        votes = Counter(label_of[other] for own_group, other in pairs if own_group == group and other != unit)
        score = {name: (votes[name], shares[name]) for name in shares}
        mine = score.pop(label_of[unit])
        right += all(mine > other for other in score.values())
    return len(pairs), right / len(pairs), max(shares.values()) / len(pairs)


ROW = st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from("xyz"), st.sampled_from(["", "1", "2", "3"]))


@given(rows=st.lists(ROW, min_size=2, max_size=24))
@settings(max_examples=200, deadline=None)
def test_the_accuracy_is_that_of_a_loop(rows: list[tuple[str, str, str]]) -> None:
    groups_, labels, units = (list(column) for column in zip(*rows, strict=True))
    found = predict_labels(groups_, labels, units)
    known = [row for row in rows if row[0]]
    if found is None:
        few = len({row[0] for row in known}) < 2 or len({row[1] for row in known}) < 2
        assert few or slowly(groups_, labels, units)[2] == 1
        return
    assert (found.pairs, found.accuracy, found.majority) == pytest.approx(slowly(groups_, labels, units))
    assert found.skill == pytest.approx((found.accuracy - found.majority) / (1 - found.majority))
    assert 0.001 <= found.p <= 1 and (found.p == 1 or found.skill >= 0.1)


def test_p_is_uniform_under_chance_and_small_under_a_rule() -> None:
    rng = np.random.default_rng(0)
    below = 0
    for seed in range(60):
        labels = rng.choice(["x", "y"], 60).tolist()
        found = predict_labels(rng.choice(list("abcdef"), 60).tolist(), labels, [""] * 60, seed)
        below += found is not None and found.p < 0.05
    assert below <= 7  # 3 are expected; more than 7 of 60 has a probability of 0.01
    groups_ = [f"g{n % 6}" for n in range(60)]
    ruled = predict_labels(groups_, ["xy"[n % 2] for n in range(60)], [""] * 60)
    assert ruled == Prediction(pairs=60, accuracy=1.0, majority=0.5, p=0.001)


def test_images_of_one_individual_predict_nothing_of_each_other() -> None:
    individuals = [f"w{n // 5}" for n in range(50)]
    labels = ["xy"[n // 5 % 2] for n in range(50)]
    alone = predict_labels(individuals, labels, individuals)
    assert alone is not None and alone.p == 1 and alone.accuracy == 0


# Findings


def found_in(data: Dataset) -> list[Finding]:
    return groups(Evidence(data))


def test_a_camera_that_gives_the_label_away_is_a_high_finding() -> None:
    rows = [(f"{n}.jpg", ("orca", "beluga")[n % 2], f"w{n}", f"c{n % 4}", str(n % 3)) for n in range(48)]
    data = data_of(rows, "image,species,individual_id,camera,pool")
    finding, listed = found_in(data)
    assert (finding.code, finding.severity, finding.about) == ("group_shortcut", "high", ("camera",))
    assert (finding.facts["accuracy"], finding.facts["majority"]) == (1.0, 0.5)
    assert finding.facts["p"] == pytest.approx(0.002)  # 0.001, times two candidates
    assert "The camera (column camera, 4 groups) predicts the label" in finding.sentence
    assert "--group camera" in finding.todo and finding.rows["images"].tolist() == [12] * 4
    assert (listed.code, listed.severity) == ("group_candidates", "info")
    assert "camera (4, 100\u00a0% of the rows), pool (3, 100\u00a0% of the rows)" in listed.sentence
    assert listed.rows["group"].tolist() == ["camera", "pool"]


def test_a_finding_of_groups_speaks_in_the_words_of_the_run() -> None:
    rows = [(f"{n}.jpg", ("audi", "bmw")[n % 2], f"w{n}", f"c{n % 4}") for n in range(48)]
    frame = pd.DataFrame(rows, columns=["image", "make", "owner_id", "camera"])
    data = of_frame(frame, None, Columns(label="make", group="owner_id"))
    finding = groups(Evidence(data, run_words=CARS))[0]
    assert "of the owners, that of all images" in finding.sentence and "share instead of the car" in finding.why
    assert not foreign_in(f"{finding.sentence} {finding.why} {finding.todo}")


def test_the_source_of_misspelt_classes_is_found_between_the_two() -> None:
    rows = [(f"hw_{n}.jpg", "bottlenose_dolphin", f"a{n}") for n in range(30)]
    rows += [(f"nz_{n}.jpg", "bottlenose_dolpin", f"b{n}") for n in range(12)]
    rows += [(f"{('hw', 'nz')[n % 2]}_9{n}.jpg", "orca", f"c{n}") for n in range(40)]
    codes = {finding.code: finding for finding in found_in(data_of(rows, "image,species,individual_id"))}
    twin = codes["twin_group"]
    assert twin.about == ("source", "bottlenose_dolphin", "bottlenose_dolpin") and twin.severity == "high"
    assert twin.facts["accuracy"] == 1.0 and "Merge the two labels" in twin.todo


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (
            "genus",
            lambda label, number: {"orca": "Orcinus", "beluga": "Delphinapterus", "minke": "Balaenoptera"}[label],
        ),
        ("suborder", lambda label, number: "baleen" if label == "minke" else "toothed"),
        ("number", lambda label, number: str(number)),
        ("burst", lambda label, number: str(number // 2)),
        ("chance", lambda label, number: str(number * 7919 % 5)),
        ("constant", lambda label, number: "same"),
    ],
)
def test_what_is_the_label_or_nearly_unique_or_chance_is_no_finding(column: str, value: Any) -> None:
    labels = ["orca", "beluga", "minke"]
    rows = [(f"{n}.jpg", labels[n % 3], "", value(labels[n % 3], n)) for n in range(90)]
    problems = found_in(data_of(rows, f"image,species,individual_id,{column}"))
    assert {finding.severity for finding in problems} <= {"info"}
    says = any("may be the label in other words" in finding.sentence for finding in problems)
    assert says == (column in ("genus", "suborder"))


def test_a_place_that_is_the_label_is_a_finding_since_it_is_no_name_of_it() -> None:
    rows = [(f"{n}.jpg", ("orca", "beluga")[n % 2], ("north", "south")[n % 2]) for n in range(40)]
    assert [finding.severity for finding in found_in(data_of(rows, "image,species,site"))] == ["high", "info"]


# Splits


@given(
    rows=st.lists(st.tuples(st.sampled_from(["", *"abcdefgh"]), st.sampled_from("xyz")), min_size=2, max_size=40),
    folds=st.integers(2, 4),
    seed=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_folds_by_groups_of_several_labels_share_none_and_know_every_label(
    rows: list[tuple[str, str]], folds: int, seed: int
) -> None:
    names, labels = [name for name, _ in rows], [label for _, label in rows]
    numbers = groups_of(names)
    try:
        fold_of, never = group_folds(names, labels, folds, seed)
    except DatasetError as error:
        assert "Use fewer folds" in str(error)
        if "whose labels occur in other parts" in str(error):
            return
        owners = {
            label: {group for group, own in zip(numbers, labels, strict=True) if own == label} for label in labels
        }
        fixed = {min(own) for own in owners.values() if len(own) == 1}
        assert len(set(numbers.tolist()) - fixed) < folds
        return
    for number in range(folds):
        inside = fold_of == number
        assert not set(numbers[inside].tolist()) & set(numbers[~inside].tolist())
        known = {label for label, is_own in zip(labels, inside, strict=True) if not is_own}
        assert {label for label, is_own in zip(labels, inside, strict=True) if is_own} <= known
    validated = {label for label, fold in zip(labels, fold_of, strict=True) if fold >= 0}
    assert never == sorted(set(labels) - validated)


def drawings(folder: Path, cameras: int = 4) -> Path:
    """32 images of two labels, which are their colours, from some cameras; the individual says nothing."""
    rng, rows = np.random.default_rng(0), []
    for number in range(32):
        kind = number % 2
        pixels = rng.integers(0, 60, (24, 24, 3))
        pixels[..., 2 * kind] += 150
        (folder / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number:02}.png")
        rows.append((f"{number:02}.png", ("beluga", "orca")[kind], f"w{number}", f"c{number // 2 % cameras}"))
    pd.DataFrame(rows, columns=["image", "species", "individual_id", "camera"]).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


QUICK: dict[str, Any] = {"arch": "resnet18", "pretrained": False, "recipe": "linear-probe", "size": 32}


def test_training_keeps_each_camera_on_one_side_and_measures_what_sharing_is_worth(tmp_path: Path) -> None:
    csv = drawings(tmp_path)
    data = wc.open_dataset(csv, tmp_path / "images", group="camera")
    run = wc.train(data, tmp_path / "run", **QUICK, compare_splits=True)
    camera = dict(zip(data.table["image"], data.others["camera"], strict=True))
    trained, validated = run.training_images(), run.validation_images()
    assert trained | validated == set(camera) and not trained & validated
    assert {camera[name] for name in validated}.isdisjoint({camera[name] for name in trained}) and validated
    metrics = run.metrics()
    assert (metrics["group"], metrics["groups"], metrics["shared_groups"]) == ("camera", 4, 0.0)
    assert metrics["other_split"]["split"] == "random" and metrics["other_split"]["shared_groups"] == 1.0
    assert run.manifest.train["group"] == "camera"
    folds = wc.train(data, tmp_path / "folds", **QUICK, folds=2, group="individual_id")
    assert folds.manifest.train["group"] == "individual" and "group" not in folds.metrics()


def test_a_group_of_a_table_in_memory_survives_its_run(tmp_path: Path) -> None:
    frame = pd.read_csv(drawings(tmp_path), dtype=str)
    data = wc.open_dataset(frame.rename(columns={"camera": "label"}), tmp_path / "images")
    with pytest.raises(DatasetError, match="has a column 'label' of its own"):
        wc.train(data, tmp_path / "no", **QUICK, group="label")
    run = wc.train(wc.open_dataset(frame, tmp_path / "images"), tmp_path / "run", **QUICK, group="camera")
    again = wc.open_dataset(run.manifest.dataset.csv, tmp_path / "images", label_column="label", group_column="group")
    assert again.fingerprint == run.manifest.dataset.fingerprint
    assert values_of(again, "camera") == frame["camera"].tolist()


def test_the_verbs_take_a_group_or_name_those_there_are(tmp_path: Path) -> None:
    csv, images = drawings(tmp_path), tmp_path / "images"
    for words in (("check", csv, images), ("train", csv, images, "--run", tmp_path / "run")):
        done = whalecam(*words, "--group", "pod")
        assert done.returncode == 2 and "individual (32 groups, column individual_id), camera (4 groups" in done.stderr
    assert whalecam("check", csv, images, "--group", "camera", "--json").returncode in (0, 1)
    loaded = whalecam("train", csv, images, "--run", tmp_path / "run", "--group", "camera", "--checkpoint", "x.pth")
    assert loaded.returncode == 2 and "--group and --split-file are for a training" in loaded.stderr


def test_a_remedied_training_goes_by_the_groups_of_its_source(tmp_path: Path) -> None:
    csv = drawings(tmp_path)
    data = wc.open_dataset(csv, tmp_path / "images")
    run = wc.train(data, tmp_path / "run", **QUICK, remedy="crop", group="camera")
    camera = dict(zip(data.table["image"], data.others["camera"], strict=True))
    sides = [{camera[name] for name in names} for names in (run.training_images(), run.validation_images())]
    assert sides[0] and sides[1] and not sides[0] & sides[1] and run.metrics()["shared_groups"] == 0
