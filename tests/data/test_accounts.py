"""Whatever table meets whatever folder: no row gets a file that contradicts it, every row and file is counted once."""

import csv
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whalecam.data import OK, open_dataset
from whalecam.data.files import CLAIMED, OUTSIDE, SEVERAL, join
from whalecam.data.images import MISSING

HOME = "data/whales/train"
SPLITS = ("train", "val", "test")
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".cr2")
FOLDERS = st.lists(st.sampled_from(["train", "val", "orca", "Orca", "site 1", "images"]), max_size=3)
STEMS = st.sampled_from(["000", "0", "1", "01", "a", "A", "é", "x y", "notes"])
SUFFIXES = st.sampled_from([".jpg", ".JPG", ".jpeg", ".png", ".cr2", ".txt", ""])
PATHS = st.builds(lambda folders, stem, suffix: "/".join((*folders, stem + suffix)), FOLDERS, STEMS, SUFFIXES)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.swapcase,
    lambda path: path.rpartition(".")[0] or path,
    lambda path: f"{path.rpartition('.')[0] or path}.webp",
    lambda path: path.rpartition("/")[2],
    lambda path: path.replace("/", "\\"),
    lambda path: unicodedata.normalize("NFD", path),
    quote,
    lambda path: f" {path} ",
    lambda path: path.replace("000", "0").replace("01", "1"),
    lambda path: f"train/{path}",
    lambda path: f"pod/{path}",
    lambda path: f"../{path}",
    lambda path: f"/home/x/photos/{path}",
    lambda path: f"/home/x/data/val/{path}",
    lambda path: "C:\\traps\\images\\" + path.replace("/", "\\"),
    lambda path: "",
)
Row = tuple[str, Callable[[str], str], str]


@st.composite
def tables_and_folders(draw: st.DrawFn) -> tuple[set[str], list[Row]]:
    """Files, some of them in two folders under one name, and rows, most of which mean one of the files."""
    files = draw(st.lists(PATHS, max_size=8, unique=True))
    copied = draw(st.lists(st.sampled_from(files), max_size=2)) if files else []
    files += ["/".join((*draw(FOLDERS), file.rpartition("/")[2])) for file in copied]
    meant = st.one_of(PATHS, st.sampled_from(files), st.sampled_from(files)) if files else PATHS
    row = st.tuples(meant, st.sampled_from(SPELLINGS), st.sampled_from(["orca", "beluga", ""]))
    return set(files), draw(st.lists(row, min_size=1, max_size=12))


def written(path: str) -> str:
    """A path in one way of writing; case, extension and zeros stay as they are."""
    text = unicodedata.normalize("NFC", unquote(path.replace("\\", "/")))
    return "/".join(part.strip() for part in text.split("/") if part.strip() not in ("", "."))


def parts_of(path: str) -> list[str]:
    """A path as a person compares it: folders and the bare name, whatever its spelling, extension and zeros."""
    *folders, last = written(path).casefold().split("/")
    for suffix in (*IMAGES, *IMAGES):
        last = last.removesuffix(suffix) or last
    return [*folders, last.lstrip("0") or "0" if last.isdecimal() else last]


def is_foreign(name: str, home: Path) -> bool:
    """Whether a name is a path of another machine."""
    return name.startswith(("/", "C:")) and not name.lower().startswith(f"{home}/".lower())


def contradicts(name: str, file: str, home: Path) -> bool:
    """Whether any part of a name is not that of the file, compared from the end: the slow and obvious way."""
    own, below = parts_of(name), parts_of(file)
    whole = [*parts_of(str(home / "x"))[:-1], *below]
    if ".." in own:
        return True
    if not is_foreign(name, home):
        return len(own) > len(whole) or any(a != b for a, b in zip(reversed(own), reversed(whole), strict=False))
    rest, end = own[: -len(below)], own[-len(below) :]
    split = next((part for part in reversed(rest[-3:]) if part in SPLITS), "train")
    return end != below or split != "train"


def accounts(paths: set[str], rows: list[Row]) -> Counter[str]:
    """Write the folder and the table, open them, and compare with counts over all pairs of a row and a file.

    Returns: how many rows have each outcome: `matched`, or the reason why not.
    """
    with tempfile.TemporaryDirectory() as place:
        home = Path(place).resolve() / HOME
        home.mkdir(parents=True)
        files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
        for path in files:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(b"x")
        names = [spell(path) for path, spell, _ in rows]
        with (Path(place) / "t.csv").open("w", encoding="utf-8", newline="") as table:
            labels = [label for _, _, label in rows]
            csv.writer(table).writerows([("image", "species"), *zip(names, labels, strict=True)])
        return _compared(home, Path(place) / "t.csv", files, [name.strip() for name in names])


def _compared(home: Path, table: Path, files: set[str], names: list[str]) -> Counter[str]:
    data, joined = open_dataset(table, home), join(names, home)
    assert data.table["image"].tolist() == names and data.table["path"].tolist() == joined.paths
    assert len(data.good()) + len(data.problems) == len(names) and not (data.good()["status"] != OK).any()
    used = {Path(path).relative_to(home).as_posix() for path in joined.paths if path}
    images = {file for file in files if file.lower().endswith(IMAGES)}
    listed = images | used | (files & set(names))
    report = data.files
    assert report is not None and used <= files
    assert (report.files, report.unused) == (len(listed), len(listed - used))
    outcomes = Counter(reason or "matched" for reason in joined.reasons)
    assert outcomes["matched"] == report.matched == sum(path != "" for path in joined.paths)
    assert outcomes[SEVERAL] + outcomes[CLAIMED] == report.ambiguous_count
    assert outcomes[MISSING] + outcomes[OUTSIDE] == report.unmatched
    assert sum(outcomes.values()) == report.total == len(names)
    files_of = {
        name: path and Path(path).relative_to(home).as_posix() for name, path in zip(names, joined.paths, strict=True)
    }
    for name, file in files_of.items():
        _check_row(name, file, home, files, set(names))
    _check_shared(files_of)
    return outcomes


def _check_shared(files_of: dict[str, str]) -> None:
    """Names that may mean two files never have one file: at most one bare name of it is not that of the file."""
    for used in set(files_of.values()) - {""}:
        bare = {written(name).rpartition("/")[2] for name, file in files_of.items() if file == used}
        assert len(bare) == 1 or bare == {written(used).rpartition("/")[2]}, f"{bare} share {used}"


def _check_row(name: str, used: str, home: Path, files: set[str], names: set[str]) -> None:
    fitting = [file for file in files if name and not contradicts(name, file, home)]
    assert not used or used in fitting, f"{name} got {used}"
    images = [file for file in files if file.lower().endswith(IMAGES)]  # others count by their whole path alone
    ends = [file for file in images if name and f"/{written(file)}".endswith(f"/{written(name)}")]
    if name in files:
        assert used == name
    elif len(ends) > 1 and not any(written(file) == written(name) for file in ends):
        assert not used, f"{name} may mean {ends}"
    elif len(fitting) == 1 and fitting[0].lower().endswith(IMAGES) and not is_foreign(name, home):
        others = [other for other in names - {name, ""} if not contradicts(other, fitting[0], home)]
        assert used == fitting[0] or others, f"{name} did not get {fitting[0]}"


@given(drawn=tables_and_folders())
@settings(max_examples=150, deadline=None)
def test_every_row_and_every_file_is_counted_once(drawn: tuple[set[str], list[Row]]) -> None:
    assert sum(accounts(*drawn).values()) == len(drawn[1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(drawn=tables_and_folders())
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_ten_thousand_tables_and_folders(drawn: tuple[set[str], list[Row]]) -> None:
    assert sum(accounts(*drawn).values()) == len(drawn[1])


@pytest.mark.parametrize(
    ("name", "file", "is_other"),
    [
        ("orca/0.jpg", "orca/0.jpg", False),
        ("ORCA\\000.png", "orca/0.jpg", False),
        ("train/orca/0", "orca/0.jpg", False),
        ("val/orca/0.jpg", "orca/0.jpg", True),
        ("orca/0.jpg", "0.jpg", True),
        ("/home/x/photos/orca/0.jpg", "orca/0.jpg", False),
        ("/home/x/data/val/orca/0.jpg", "orca/0.jpg", True),
        ("../orca/0.jpg", "orca/0.jpg", True),
    ],
)
def test_the_reference_itself(name: str, file: str, is_other: bool) -> None:
    assert contradicts(name, file, Path("/a/data/whales/train")) is is_other
