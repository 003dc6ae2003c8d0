"""Lists of images that people bring: every name is an image of the data set, or it is said that it is none."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_split_files import NAMES, data_of, write
from whalecam.data.csv_text import safe_csv
from whalecam.data.image_list import read_image_list
from whalecam.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cue.csv", "image,verdict\na.jpg,flag\nsub/c.jpg,flag\n"),
        ("cue.csv", "file_name;note\nA.JPG;x\nc.jpg;y\nc.jpg;z\n"),
        ("cue.txt", "# whales beside a buoy\na.jpg\n\nsub/c.jpg\n"),
    ],
)
def test_names_become_images_of_the_data_set(name: str, text: str, tmp_path: Path) -> None:
    listed = read_image_list(write(tmp_path / name, text), data_of())
    assert (listed.images, listed.note) == (("a.jpg", "sub/c.jpg"), "")


def test_names_that_are_no_image_are_counted(tmp_path: Path) -> None:
    listed = read_image_list(write(tmp_path / "cue.txt", "a.jpg\nx.jpg\ny.jpg\nx.jpg\n"), data_of())
    assert listed.images == ("a.jpg",)
    assert listed.note == "cue.txt: 2 names are not images of the data set, such as x.jpg."


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("cue.csv", "image\nx.jpg\n", "none of 1 names is one of the 4 images"),
        ("cue.csv", "verdict,note\nflag,x\n", "needs a column of image names"),
        ("cue.txt", "x.jpg\n", "none of 1 names"),
        ("cue.txt", "\n", "none of 0 names"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=words) as caught:
        read_image_list(write(tmp_path / name, text), data_of())
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(DatasetError, match="There is no file"):
        read_image_list(tmp_path / "nowhere.csv", data_of())
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DatasetError, match="cannot be read as UTF-8"):
        read_image_list(tmp_path / "latin.txt", data_of())


@given(st.sets(st.sampled_from(NAMES), min_size=1))
def test_a_written_list_is_read_again(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    folder = tmp_path_factory.mktemp("list")
    (folder / "cue.csv").write_bytes(safe_csv(pd.DataFrame({"image": sorted(names)})))
    (folder / "cue.txt").write_text("\n".join(sorted(names)))
    for name in ("cue.csv", "cue.txt"):
        assert set(read_image_list(folder / name, data_of()).images) == names
