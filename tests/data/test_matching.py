"""Which file a name means: every spelling, never a file whose path contradicts the name, each name and file once."""

import itertools
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whalecam.data.matching import Match, match
from whalecam.data.spelling import (
    BLANKS,
    CASE,
    ENDING,
    EXTENSION_MISSING,
    EXTENSION_OTHER,
    PERCENT,
    PREFIX,
    SEPARATOR,
    UNICODE,
    ZEROS,
    differences,
    folded,
    folded_all,
    plain,
)

HOME = Path("/data/whales/train")
FOLDERS = ("train", "val", "orca", "beluga", "images")
STEMS = ("000", "0", "1", "01", "a", "A", "é", "x y")
EXTENSIONS = (".jpg", ".JPG", ".jpeg", ".png")
PATHS = st.builds(
    lambda folders, stem, extension: "/".join((*folders, f"{stem}{extension}")),
    st.lists(st.sampled_from(FOLDERS), max_size=2),
    st.sampled_from(STEMS),
    st.sampled_from(EXTENSIONS),
)
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "case": str.swapcase,
    "no extension": lambda path: path.rpartition(".")[0],
    "other extension": lambda path: f"{path.rpartition('.')[0]}.webp",
    "backslashes": lambda path: path.replace("/", "\\"),
    "decomposed": lambda path: unicodedata.normalize("NFD", path),
    "percent": quote,
    "blanks": lambda path: f" {path}\t",
    "no zeros": lambda path: path.replace("000", "0").replace("01", "1"),
    "below the folder": lambda path: f"train/{path}",
    "another folder": lambda path: f"pod/{path}",
    "absolute": lambda path: f"{HOME}/{path}",
    "Windows": lambda path: "C:\\traps\\images\\" + path.replace("/", "\\"),
    "of another machine": lambda path: f"/home/x/photos/{path}",
    "of another split": lambda path: f"/home/x/data/val/{path}",
}


def only(name: str, files: list[str], home: Path | None = HOME, **options: bool | tuple[str, ...]) -> Match:
    return match([name], files, home=home, **options)[0][0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "file", "kinds"),
    [
        ("orca/000.jpg", "orca/000.jpg", ()),
        ("000.jpg", "orca/000.jpg", ()),
        ("./orca/000.jpg", "orca/000.jpg", ()),
        ("orca//000.jpg", "orca/000.jpg", ()),
        ("train/orca/000.jpg", "orca/000.jpg", ()),
        ("whales/train/orca/000.jpg", "orca/000.jpg", ()),
        ("/data/whales/train/orca/000.jpg", "orca/000.jpg", ()),
        ("orca\\000.jpg", "orca/000.jpg", (SEPARATOR,)),
        ("000", "orca/000.jpg", (EXTENSION_MISSING,)),
        ("000.png", "orca/000.jpg", (EXTENSION_OTHER,)),
        ("000.JPG", "orca/000.jpg", (CASE,)),
        ("ORCA/000.jpg", "orca/000.jpg", (CASE,)),
        ("Train/orca/000.jpg", "orca/000.jpg", (CASE,)),
        ("0", "orca/000.jpg", (EXTENSION_MISSING, ZEROS)),
        ("0.jpg", "orca/000.jpg", (ZEROS,)),
        (" orca/ 000.jpg ", "orca/000.jpg", (BLANKS,)),
        ("orca%2F000.jpg", "orca/000.jpg", (PERCENT,)),
        ("C:\\traps\\images\\orca\\000.jpg", "orca/000.jpg", (SEPARATOR, PREFIX)),
        ("\\\\server\\share\\orca\\000.JPG", "orca/000.jpg", (SEPARATOR, CASE, PREFIX)),
        ("/home/x/orca/000.jpg", "orca/000.jpg", (PREFIX,)),
        ("s3://bucket/orca/000.jpg", "orca/000.jpg", (PREFIX,)),
        ("a b.jpg", "deep/er/a%20b.jpg", (PERCENT,)),
        (unicodedata.normalize("NFD", "é.jpg"), "é.jpg", (UNICODE,)),
        ("é.jpg", unicodedata.normalize("NFD", "é.jpg"), (UNICODE,)),
        ("IMG_1.x", "IMG_1.x.jpg", (EXTENSION_MISSING,)),
    ],
)
def test_a_spelling_is_matched_and_counted(name: str, file: str, kinds: tuple[str, ...]) -> None:
    (outcome,), report = match([name], [file, "other/9.jpg"], home=HOME)
    assert (outcome.file, set(outcome.differences)) == (file, set(kinds))
    assert report.spellings == dict.fromkeys(kinds, 1) and len(report.notes) == len(kinds)
    assert (report.matched, report.total, report.files, report.unused) == (1, 1, 2, 1)
    assert report.first_unused == ("other/9.jpg",) and report.reason == ""


@pytest.mark.parametrize(
    "name",
    [
        "val/orca/000.jpg",
        "data/val/orca/000.jpg",
        "other/train/orca/000.jpg",
        "rain/orca/000.jpg",
        "beluga/000.jpg",
        "/kaggle/input/whales/val/orca/000.jpg",
        "/kaggle/input/data/val/orca/000.jpg",
        "/data/whales/pod/orca/000.jpg",
        "/home/x/orca/orca/000.jpg",
        "/data/whales/train/train/orca/000.jpg",
        "/data/whales/TRAIN/train/orca/000.jpg",
        "/home/x/beluga/000.jpg",
        "../orca/000.jpg",
        "orca/../000.jpg",
        "%2e%2e/000.jpg",
        "orca/",
        "",
        " ",
        "00.xml",
    ],
)
def test_a_name_of_another_folder_is_unmatched(name: str) -> None:
    (outcome,), report = match([name], ["orca/000.jpg"], home=HOME)
    assert outcome == Match() and report.unmatched == 1 and report.first_unmatched == (name,) and report.reason


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("000.jpg", ("val/000.jpg", "test/000.jpg")),
        ("1", ("001.jpg", "01.jpg")),
        ("b", ("b.jpg", "b.png")),
        ("C.JPG", ("c.jpg", "C.jpg")),
    ],
)
def test_what_may_mean_several_files_is_ambiguous(name: str, candidates: tuple[str, ...]) -> None:
    files = ["val/000.jpg", "test/000.jpg", "001.jpg", "01.jpg", "b.jpg", "b.png", "c.jpg", "C.jpg", "z.jpg"]
    (outcome,), report = match([name], files, home=HOME)
    assert outcome == Match(candidates=candidates) and report.ambiguous == ((name, candidates),)
    assert (report.matched, report.ambiguous_count, report.unmatched, report.unused) == (0, 1, 0, 9)
    assert name in report.reason


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("orca/0.jpg", "orca/0.jpg"),
        ("0.jpg", "0.jpg"),
        ("c.JPG", "c.JPG"),
        ("c.jpg", "val/c.jpg"),
        ("000", "000.jpg"),
    ],
)
def test_the_least_difference_wins(name: str, file: str) -> None:
    files = ["val/orca/0.jpg", "orca/0.jpg", "0.jpg", "c.JPG", "val/c.jpg", "000.jpg"]
    assert only(name, files).file == file


def test_a_file_of_another_name_is_not_shared_by_a_loose_spelling() -> None:
    names = ["a.jpg", "a.png", "A.jpg", "b", "b.png", "train/a.jpg"]
    outcomes, report = match(names, ["a.jpg", "b.jpg"], home=HOME)
    assert [outcome.file for outcome in outcomes] == ["a.jpg", "", "", "", "", "a.jpg"]
    assert [outcome.is_claimed for outcome in outcomes] == [False, True, True, True, True, False]
    assert (report.matched, report.ambiguous_count, report.unused) == (2, 4, 1)


def test_paths_of_two_machines_that_would_share_a_file_are_ambiguous() -> None:
    names = ["/a/x/0.jpg", "/b/y/0.jpg", "C:\\z\\1.jpg"]
    assert [outcome.file for outcome in match(names, ["0.jpg", "1.jpg"], home=Path("/data/images"))[0]] == [
        "",
        "",
        "1.jpg",
    ]


def test_rows_of_train_and_val_with_absolute_paths_get_train_alone() -> None:
    names = [f"/kaggle/input/data/{split}/{label}/0.jpg" for split in ("train", "val") for label in ("orca", "beluga")]
    for home in (Path("/mnt/data/train"), Path("/mnt/train"), Path("/mnt/photos/train")):
        outcomes, report = match(names, ["orca/0.jpg", "beluga/0.jpg"], home=home)
        assert [outcome.file for outcome in outcomes] == ["orca/0.jpg", "beluga/0.jpg", "", ""]
        assert report.spellings == {PREFIX: 2} and report.unmatched == 2


def test_a_mask_goes_by_the_stem_of_its_image() -> None:
    files = ["a_mask.png", "b.png", "orca/c.png", "d.jpg.png", "0007-mask.png", "x_mask.png", "x.png"]
    names = ["a.jpg", "b.JPG", "orca/c.jpg", "d.jpg", "7.jpg", "pod/b.jpg", "x.jpg"]
    outcomes, report = match(names, files, home=Path("/data/masks"), by_stem=True, endings=("_mask", "-mask"))
    assert [outcome.file for outcome in outcomes] == [*files[:5], "", "x.png"]
    assert report.spellings == {ZEROS: 1, ENDING: 2} and report.first_unused == ("x_mask.png",)
    assert only("q.jpg", ["q.png", "q.jpg.png"], by_stem=True).candidates == ("q.png", "q.jpg.png")
    shared, _ = match(["b.jpg", "b.png"], ["b.png"], by_stem=True)
    assert all(outcome == Match(candidates=("b.png",), is_claimed=True) for outcome in shared)


def test_where_the_folder_is_unknown_the_end_of_a_path_counts() -> None:
    assert only("images/p0.jpg", ["p0.jpg"], None) == Match("p0.jpg", (PREFIX,))
    assert only("images/p0.jpg", ["pod/p0.jpg"], None) == Match()


@pytest.mark.parametrize(
    ("names", "files", "words"),
    [
        (["val/0.jpg"], ["train/0.jpg"], "namesake in another folder: val/0.jpg and train/0.jpg"),
        (["orca"], ["0.jpg"], "the column may be another one"),
        (["7.jpg"], ["0.jpg"], "may be in another folder"),
        (["7.jpg"], [], "There are no files"),
        (["0.jpg", "0.png", "0"], ["0.jpg"], "2 names would share a file with another name, such as 0.png"),
        (["0"], ["0.jpg", "0.png"], "1 names may mean several files, such as 0: 0.jpg, 0.png"),
    ],
)
def test_the_reason_is_guessed(names: list[str], files: list[str], words: str) -> None:
    assert words in match(names, files, home=HOME)[1].reason


def loose(path: str) -> str:
    """A path in which all accepted spellings are equal, written a second time."""
    path = unicodedata.normalize("NFC", path.replace("\\", "/").replace("%20", " ").replace("%C3%A9", "é")).lower()
    *folders, last = (part.strip() for part in path.split("/"))
    for extension in (".jpg", ".jpeg", ".png", ".webp"):
        last = last.removesuffix(extension)
    return "/".join((*folders, str(int(last)) if last.isdigit() else last))


def agrees(name: str, file: str) -> bool:
    """Whether no part of a name contradicts the file: each is the tail of the other, in any spelling."""
    short, whole = loose(name), loose(f"{HOME}/{file}")
    if short.startswith(("c:", "/home")):
        return short.endswith(f"/{loose(file)}") and not short.removesuffix(loose(file)).endswith("/val/")
    return f"/{whole}".endswith(f"/{short}") or whole == short


@given(
    files=st.sets(PATHS, min_size=1, max_size=10),
    rows=st.lists(st.tuples(PATHS, st.sampled_from(sorted(SPELLINGS))), min_size=1, max_size=10),
)
@settings(max_examples=500, deadline=None)
def test_no_name_gets_a_file_that_contradicts_it(files: set[str], rows: list[tuple[str, str]]) -> None:
    names = [SPELLINGS[spelling](path) for path, spelling in rows]
    ordered = sorted(files)
    outcomes, report = match(names, ordered, home=HOME)
    assert len(outcomes) == len(names) == report.total == report.matched + report.ambiguous_count + report.unmatched
    for name, outcome in zip(names, outcomes, strict=True):
        assert not (outcome.file and outcome.candidates)
        assert outcome.file in {"", *files} and set(outcome.candidates) <= files
        assert all(agrees(name, file) for file in (outcome.file, *outcome.candidates) if file)
        if name in files:
            assert outcome.file == name and not outcome.differences
        elif not outcome.file and not outcome.candidates:
            assert not any(agrees(name, file) for file in files) or name.startswith(("/home", "C:"))
    used = {outcome.file for outcome in outcomes} - {""}
    assert report.unused == len(files - used) and report.files == len(files)
    assert report.matched == sum(bool(outcome.file) for outcome in outcomes)
    assert set(report.first_unused) <= files - used


@given(files=st.sets(PATHS, min_size=1, max_size=8), names=st.lists(PATHS, min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_the_order_of_names_and_files_changes_nothing(files: set[str], names: list[str]) -> None:
    first, _ = match(names, sorted(files), home=HOME)
    again, _ = match(names[::-1], sorted(files, reverse=True), home=HOME)
    assert [outcome.file for outcome in first] == [outcome.file for outcome in again[::-1]]


def test_every_unique_file_is_matched_in_every_spelling() -> None:
    files = [f"{folder}/{stem}.jpg" for folder, stem in itertools.product(("orca", "pod"), ("007", "ab", "é ü"))]
    for spelling in SPELLINGS.keys() - {"another folder", "of another split"}:
        outcomes, report = match([SPELLINGS[spelling](file) for file in files], files, home=HOME)
        assert [outcome.file for outcome in outcomes] == files, spelling
        assert report.unused == 0


@given(paths=st.lists(st.one_of(PATHS, st.text(max_size=12)), max_size=30))
def test_paths_folded_together_are_each_folded(paths: list[str]) -> None:
    assert folded_all(paths) == [folded(path) for path in paths]
    assert folded_all([path.upper() for path in paths]) == [folded(path.upper()) for path in paths]


def test_many_plain_paths_and_one_that_is_not_are_each_folded() -> None:
    paths = [f"SITE{number % 7}/IMG_{number:05}.JPG" for number in range(2_500)]
    paths[1_200] = "Site\\IMG É.JPG"
    assert folded_all(paths) == [plain(path).casefold() for path in paths]


@given(path=PATHS, change=st.sampled_from((str.swapcase, str.upper, str.title)))
def test_names_in_another_case_alone_differ_as_the_general_way_has_it(path: str, change: Callable[[str], str]) -> None:
    name = change(path)
    assert differences(name, path) == differences(name, path, endings=("_never",)) == (CASE,) * (name != path)


def test_a_file_at_the_top_is_not_the_end_of_its_own_path_alone() -> None:
    files = ["a.jpg", "orca/a.jpg", "orca/b.jpg", "pod/orca/b.jpg"]
    assert only("a.jpg", files) == Match("a.jpg") and only("./a.jpg", files) == Match("a.jpg")
    assert only("b.jpg", files) == Match(candidates=("orca/b.jpg", "pod/orca/b.jpg"))
    assert only("orca/b.jpg", files) == Match("orca/b.jpg")
