"""The benchmark of opening: what it writes is matched in full, in all three spellings, and its table marks a miss."""

from pathlib import Path

import pytest

from benchmarks import opening
from benchmarks.opening import Opening
from whalecam.data import open_dataset


def test_every_row_of_the_benchmark_has_its_own_file(tmp_path: Path) -> None:
    csv, images = opening.write(tmp_path, 300)
    data = open_dataset(csv, images)
    assert data.files is not None and (data.files.matched, data.files.unused) == (300, 0)
    assert data.files.spellings == {"case": 100} and data.table["path"].nunique() == 300
    opening.opened(csv, images)
    assert opening.plainly(csv, images) == 300
    (images / "site0000" / "IMG_0000007.jpg").unlink()
    with pytest.raises(AssertionError):
        opening.opened(csv, images)


def test_the_table_marks_what_takes_too_long() -> None:
    measured = [Opening(rows=51_033, work_s=3.5, plain_s=0.5), Opening(rows=10, work_s=9.0, plain_s=3.0)]
    assert opening.table(measured).splitlines()[2:] == [
        "| 51,033 | 3.50 s **MISSED** | 3 s | 0.50 s | 7.0 |",
        "| 10 | 9.00 s |  | 3.00 s | 3.0 |",
    ]
