"""Which file a row means: a file whose path contradicts the row is never taken, and every row is accounted for."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import case
from whalecam.data import open_dataset
from whalecam.data.files import OUTSIDE, SEVERAL, join
from whalecam.data.images import MISSING

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
@settings(max_examples=150, deadline=None)
def test_a_row_gets_the_only_file_that_ends_with_all_of_it(
    home: str, paths: set[str], rows: list[str], marks: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tree") / home
    tree(folder, paths)
    names = [mark.format(row) for mark, row in zip(marks, rows, strict=False)]
    files, reasons = join(names, folder)
    assert len(files) == len(reasons) == len(names)
    for name, row, file, reason in zip(names, rows, files, reasons, strict=True):
        assert bool(file) != bool(reason), "a file or a reason, never both and never neither"
        fitting = {path for path in paths if f"{folder}/{path}".endswith(f"/{row}")}
        if name.startswith(("/", "..")):
            assert reason == OUTSIDE
        elif row in paths:
            assert Path(file) == folder / row
        elif len(fitting) == 1:
            assert Path(file) == folder / fitting.pop()
        else:
            assert reason == (SEVERAL if fitting else MISSING)


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
    assert join([name], tmp_path / "data" / "train")[1] == [reason]


def test_a_linked_folder_goes_by_both_names(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"0.jpg"})
    (tmp_path / "images").symlink_to(tmp_path / "photos")
    assert join(["images/0.jpg", "photos/0.jpg", "0.jpg", "val/0.jpg"], tmp_path / "images")[1] == ["", "", "", MISSING]


def test_a_folder_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "data" / "train", {"orca/0.jpg"})
    monkeypatch.chdir(tmp_path / "data" / "train")
    names = ["train/orca/0.jpg", "val/orca/0.jpg", "data/train/orca/0.jpg"]
    assert join(names, Path())[1] == ["", MISSING, ""]
    monkeypatch.chdir(tmp_path / "data")
    assert join(names, Path("train"))[1] == ["", MISSING, ""]


@pytest.mark.parametrize("name", ["root-relative.csv", "relative.csv"])
def test_rows_of_val_never_get_the_files_of_train(name: str) -> None:
    folder = case("14-imagefolder")
    table = open_dataset(folder / name, folder / "data" / "train").table
    of_val = table["image"].str.contains("val/")
    assert of_val.sum() == 8 and (table.loc[of_val, "status"] == MISSING).all()
    own = table[~of_val]
    assert (own["status"] == "ok").all() and own["path"].nunique() == 8
    assert all(path.endswith(f"/{image}") for image, path in zip(own["image"], own["path"], strict=True))
    both = open_dataset(folder / name, folder / "data").table
    assert both["path"].nunique() == 16 and (both["status"] == "ok").all()


def test_bare_names_that_stand_in_several_folders_are_no_file() -> None:
    folder = case("14-imagefolder")
    table = open_dataset(folder / "names-only.csv", folder / "data" / "train").table
    assert set(table["status"]) <= {SEVERAL, "duplicate row"} and not table["path"].any()
