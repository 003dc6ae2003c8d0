"""Which file a row means: a file whose path contradicts the row is never taken, and every row is accounted for."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cases import case
from whalecam.config import Columns
from whalecam.data import open_dataset
from whalecam.data.files import CLAIMED, OUTSIDE, SEVERAL, join
from whalecam.data.images import MISSING
from whalecam.data.spelling import PREFIX, SEPARATOR

FOLDERS = ("train", "val", "orca", "beluga", "images")
NAMES = ("0.jpg", "1.jpg", "a.png")
PATHS = st.builds(
    lambda parts, name: "/".join((*parts, name)), st.lists(st.sampled_from(FOLDERS), max_size=3), st.sampled_from(NAMES)
)


def tree(home: Path, paths: set[str]) -> None:
    for path in paths:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(b"x")


@given(
    home=st.sampled_from(["images", "data/train", "train/orca"]),
    paths=st.sets(PATHS, min_size=1, max_size=8),
    rows=st.lists(PATHS, min_size=1, max_size=12),
    marks=st.lists(st.sampled_from(["{}", "./{}", "../{}", "/{}"]), min_size=12, max_size=12),
)
@example(home="train/orca", paths={"orca/0.jpg", "0.jpg"}, rows=["orca/0.jpg"], marks=["./{}"])
@settings(max_examples=150, deadline=None)
def test_a_row_gets_the_only_file_that_ends_with_all_of_it(
    home: str, paths: set[str], rows: list[str], marks: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tree") / home
    tree(folder, paths)
    names = [mark.format(row) for mark, row in zip(marks, rows, strict=False)]
    joined = join(names, folder)
    files, reasons = joined.paths, joined.reasons
    assert len(files) == len(reasons) == len(names)
    for name, row, file, reason in zip(names, rows, files, reasons, strict=True):
        assert bool(file) != bool(reason), "a file or a reason, never both and never neither"
        fitting = {path for path in paths if f"{folder}/{path}".endswith(f"/{row}")}
        if name.startswith("/"):
            assert reason in (OUTSIDE, CLAIMED) or f"/{row}".endswith(f"/{Path(file).relative_to(folder)}")
        elif name.startswith(".."):
            assert reason == OUTSIDE
        elif row in paths:
            assert Path(file) == folder / row
        elif len(fitting) == 1:
            assert Path(file) == folder / fitting.pop()
        elif fitting:
            assert reason == SEVERAL
        elif not file:
            assert reason in (MISSING, SEVERAL, CLAIMED)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("data/train/orca/0.jpg", ""),
        ("train/orca/0.jpg", ""),
        ("train\\orca\\0.jpg", ""),
        ("orca/0.jpg", ""),
        ("0.jpg", ""),
        ("data/val/orca/0.jpg", MISSING),
        ("val/orca/0.jpg", MISSING),
        ("other/train/orca/0.jpg", MISSING),
        ("rain/orca/0.jpg", MISSING),
        ("beluga/0.jpg", MISSING),
    ],
)
def test_the_folder_s_own_path_counts(tmp_path: Path, name: str, reason: str) -> None:
    tree(tmp_path / "data" / "train", {"orca/0.jpg"})
    assert join([name], tmp_path / "data" / "train").reasons == [reason]


def test_a_linked_folder_goes_by_both_names(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"0.jpg"})
    (tmp_path / "images").symlink_to(tmp_path / "photos")
    names = ["images/0.jpg", "photos/0.jpg", "0.jpg", "val/0.jpg"]
    assert join(names, tmp_path / "images").reasons == ["", "", "", MISSING]


def test_a_folder_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "data" / "train", {"orca/0.jpg"})
    monkeypatch.chdir(tmp_path / "data" / "train")
    names = ["train/orca/0.jpg", "val/orca/0.jpg", "data/train/orca/0.jpg"]
    assert join(names, Path()).reasons == ["", MISSING, ""]
    monkeypatch.chdir(tmp_path / "data")
    assert join(names, Path("train")).reasons == ["", MISSING, ""]


@pytest.mark.parametrize("name", ["root-relative.csv", "relative.csv", "datasets-relative.csv"])
def test_rows_of_val_never_get_the_files_of_train(name: str) -> None:
    folder = case("14-imagefolder")
    data = open_dataset(folder / name, folder / "data" / "train")
    table = data.table
    of_val = table["image"].str.contains("val/")
    assert of_val.sum() == 8 and table.loc[of_val, "status"].isin([MISSING, OUTSIDE]).all()
    own = table[~of_val]
    assert (own["status"] == "ok").all() and own["path"].nunique() == 8
    assert [Path(path).parts[-2:] for path in own["path"]] == [Path(name).parts[-2:] for name in own["image"]]
    assert any("8 of 16 rows with 8 of 8 files" in note for note in data.notes)
    both = open_dataset(folder / name, folder / "data").table
    assert both["path"].nunique() == 16 and (both["status"] == "ok").all()


def test_bare_names_that_stand_in_several_folders_are_no_file() -> None:
    folder = case("14-imagefolder")
    table = open_dataset(folder / "names-only.csv", folder / "data" / "train").table
    assert set(table["status"]) <= {SEVERAL, "duplicate row"} and not table["path"].any()


def test_names_without_an_extension() -> None:
    folder = case("01-no-extension")
    data = open_dataset(folder / "train.csv", folder / "images", Columns("id", "label"))
    assert (data.table["status"] == "ok").all()
    assert [Path(path).stem for path in data.table["path"]] == data.table["image"].tolist()
    assert data.notes == (
        "Matched 12 of 12 rows with 12 of 12 files.",
        "12 of 12 names matched without their extension.",
    )


def test_extensions_in_another_case_and_of_another_kind() -> None:
    folder = case("03-extension-case")
    data = open_dataset(folder / "train.csv", folder / "images")
    assert (data.table["status"] == "ok").all() and data.table["path"].nunique() == 12
    on_disk = {path.suffix: 0 for path in (folder / "images").iterdir()}
    for path in (folder / "images").iterdir():
        on_disk[path.suffix] += 1
    assert data.notes == (
        "Matched 12 of 12 rows with 12 of 12 files.",
        f"{on_disk['.JPG']} of 12 names matched in another case.",
        f"{on_disk['.jpeg']} of 12 names matched with another extension.",
    )


def test_paths_of_another_machine_and_of_this(tmp_path: Path) -> None:
    folder = case("06-absolute-paths")
    text = (folder / "train.csv").read_text().replace("@IMAGES@", str(folder / "images"))
    (tmp_path / "t.csv").write_text(text)
    data = open_dataset(tmp_path / "t.csv", folder / "images", Columns("filepath", "common_name"))
    assert (data.table["status"] == "ok").all() and data.table["path"].nunique() == 12
    for image, path in zip(data.table["image"], data.table["path"], strict=True):
        assert path.split("/")[-2:] == image.replace("\\", "/").split("/")[-2:]
    assert data.files is not None and data.files.spellings == {SEPARATOR: 8, PREFIX: 4}


def test_files_without_a_row_are_counted(tmp_path: Path) -> None:
    tree(tmp_path / "images", {"a.jpg", "b.jpg", "c.JPG", "deep/d.png", "notes.txt", ".hidden.jpg"})
    data = open_dataset(_table(tmp_path, ["a.jpg", "gone.jpg"]), tmp_path / "images")
    assert data.notes[0] == "Matched 1 of 2 rows with 1 of 4 files; 3 files have no row: b.jpg, c.JPG, deep/d.png."
    assert "may be in another folder" in data.notes[1]


def test_a_file_of_any_extension_is_not_missing(tmp_path: Path) -> None:
    tree(tmp_path / "images", {"notes.txt", "deep/scan", "photo.cr2", "both.cr2", "both.jpg", "a.xml", "a.jpg"})
    names = ["notes.txt", "scan", "photo.cr2", "photo", "both", "a", "a.xml", "notes"]
    joined = join(names, tmp_path / "images")
    assert [Path(path).name for path in joined.paths] == [
        *("notes.txt", "scan", "photo.cr2", "", "both.jpg", "a.jpg", "a.xml", ""),
    ]
    assert joined.reasons[3] == CLAIMED and joined.reasons[7] == MISSING


def _table(folder: Path, names: list[str]) -> Path:
    csv = folder / "t.csv"
    csv.write_text("image,species\n" + "".join(f"{name},orca\n" for name in names))
    return csv
