"""What people upload lies in a folder of its own, whatever the browser calls it, and never outside of it."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whalecam.errors import DatasetError
from whalecam.store import uploads
from whalecam.store.uploads import delete, in_words, name_in, path_of, safe_path, store, upload_in

NAMES = st.text(max_size=300) | st.lists(
    st.sampled_from(["..", ".", "", "/", "\\", "a", "ü", "\0", "\ud800", "x" * 300, "a.jpg", "C:", "~"]), max_size=6
).map("/".join)


@given(name=NAMES)
def test_no_name_leads_out_and_every_part_can_be_stored(name: str) -> None:
    path = safe_path(name)
    assert path.parts and not path.is_absolute() and ".." not in path.parts
    for part in path.parts:
        assert part not in ("", ".") and "/" not in part and "\\" not in part and "\0" not in part
        assert len(part.encode("utf-8")) <= uploads.MAX_PART_BYTES
    assert safe_path(str(path)) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("photos/orca/a b.jpg", "photos/orca/a b.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\traps\\a.jpg", "C:/traps/a.jpg"),
        ("", "file"),
        ("..", "file"),
        ("a\nb\0.jpg", "a_b_.jpg"),
        ("Größe.JPG", "Größe.JPG"),
        ("y" * 300 + ".jpeg", "y" * 195 + ".jpeg"),
    ],
)
def test_names_stay_as_they_are_where_they_can(name: str, path: str) -> None:
    assert safe_path(name) == PurePosixPath(path)


@given(names=st.lists(NAMES, min_size=1, max_size=5))
def test_every_file_is_kept_under_a_name_of_its_own(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    home = tmp_path_factory.mktemp("home") / "uploads"
    contents = [f"{at}".encode() * (at + 1) for at in range(len(names))]
    upload = store(home, zip(names, contents, strict=True))
    files = [path for path in home.rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in files) == sorted(contents)
    assert all(path.is_relative_to(upload.path) for path in files)
    assert (upload.files, upload.size) == (len(names), sum(map(len, contents)))
    assert [path.name for path in home.iterdir()] == [upload.name] and len(upload.name) == 16


def test_a_reference_means_its_file_and_nothing_outside(tmp_path: Path) -> None:
    home = tmp_path / "uploads"
    upload = store(home, [("photos/a.jpg", b"1"), ("photos/b.jpg", b"22")])
    (tmp_path / "secret").write_text("x")
    (upload.path / "link").symlink_to(tmp_path)
    assert upload.tops == ("photos",) and upload.reference("photos") == f"upload:{upload.name}/photos"
    assert path_of(home, upload.reference("photos/a.jpg")) == upload.path / "photos" / "a.jpg"
    assert path_of(home, f" {upload.reference()} ") == upload.path
    assert path_of(home, "~/x") == Path.home() / "x" and path_of(home, " data/x.csv ") == Path("data/x.csv")
    assert name_in(upload.reference("photos")) == upload.name and name_in("/data/upload:x") == ""
    for below in ("../secret", "link/secret", "nothing", "photos/../../../secret", "a\0"):
        with pytest.raises(DatasetError, match="The upload has no"):
            path_of(home, f"upload:{upload.name}/{below}")
    for name in ("..", "", "0" * 16, "../" + upload.name, upload.name.upper() + "A"):
        with pytest.raises(DatasetError, match="not here any more"):
            path_of(home, f"upload:{name}/photos")


def test_an_upload_can_be_deleted_and_is_then_gone(tmp_path: Path) -> None:
    first, second = (store(tmp_path, [("a.txt", text)]) for text in (b"1", b"2"))
    delete(tmp_path, first.name)
    assert [path.name for path in tmp_path.iterdir()] == [second.name]
    with pytest.raises(DatasetError, match="not here any more"):
        upload_in(tmp_path, first.name)
    with pytest.raises(DatasetError, match="not here any more"):
        delete(tmp_path, "..")


def test_what_cannot_be_kept_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="has no files"):
        store(tmp_path, [])
    monkeypatch.setattr(uploads, "MAX_BYTES", 5)
    with pytest.raises(DatasetError, match=r"has 6 bytes; 5 bytes is the limit"):
        store(tmp_path, [("a", b"123"), ("b", b"456")])
    monkeypatch.setattr(uploads, "SPARE_BYTES", 1 << 62)
    with pytest.raises(DatasetError, match="nearly full"):
        store(tmp_path, [("a", b"1")])
    assert not list(tmp_path.iterdir())


def test_a_file_with_the_name_of_a_folder_is_kept_too(tmp_path: Path) -> None:
    upload = store(tmp_path, [("a", b"1"), ("a/b", b"2"), ("a/b", b"3")])
    files = {
        path.relative_to(upload.path).as_posix(): path.read_bytes() for path in upload.path.rglob("*") if path.is_file()
    }
    assert files == {"a": b"1", "a-2/b": b"2", "a-2/b-2": b"3"}


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (123_456, "123 kB"), (4 << 30, "4.29 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
