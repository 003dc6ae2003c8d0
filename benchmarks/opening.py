"""How long a table and its folder take to open, beside pandas' reading of the table and a walk through the folder.

usage: python -m benchmarks.opening [--rows 51033 1000000] [--rounds 3]

Names are spelled in three ways: as the file, without its folder, and in another case. Both sides of the ratio run in
turn on this machine; the ratio is that of their medians. The exit status is 1 where a size takes longer than its limit.
"""

import argparse
import functools
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ratios import seconds
from benchmarks.synthetic import NAMES
from whalecam.data import open_dataset

LIMITS_S = {51_033: 3.0, 1_000_000: 30.0}
"""Seconds that so many rows may take at most."""
PER_FOLDER, PER_LINK = 1_000, 30_000
"""Files of a folder, and names that one file has: a file system allows some ten thousands."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Median seconds of one size; `plain_s` of the reading and the walk."""

    rows: int
    work_s: float
    plain_s: float

    @property
    def is_missed(self) -> bool:
        return self.work_s > LIMITS_S.get(self.rows, float("inf"))


def write(folder: Path, rows: int, seed: int = 0) -> tuple[Path, Path]:
    """A table of `rows` rows and a folder with a file of one byte for each. Returns the paths of both."""
    rng, images = np.random.default_rng(seed), folder / "images"
    names = [f"site{number // PER_FOLDER:04d}/IMG_{number:07d}.jpg" for number in range(rows)]
    for number, name in enumerate(names):
        path = f"{images}/{name}"
        if number % PER_FOLDER == 0:
            os.makedirs(os.path.dirname(path))  # noqa: PTH103, PTH120  a million Path objects would take longer
        if number % PER_LINK == 0:
            source = path
            Path(path).write_bytes(b"x")
        else:
            os.link(source, path)
    spelled = [(name, name[9:], name.upper())[number % 3] for number, name in enumerate(names)]
    frame = pd.DataFrame({"image": spelled, "species": rng.choice(NAMES, rows)})
    frame["individual_id"] = rng.integers(0, max(1, rows // 4), rows)
    frame.to_csv(folder / "train.csv", index=False)
    return folder / "train.csv", images


def plainly(table: Path, images: Path) -> int:
    """The table as texts, and the size of every file: what any program must read at least."""
    rows = len(pd.read_csv(table, dtype=str, keep_default_na=False))
    for root, _, files in os.walk(images):
        for name in files:
            os.lstat(f"{root}/{name}")
    return rows


def opened(table: Path, images: Path) -> None:
    """Every row gets its file."""
    data = open_dataset(table, images)
    assert data.files is not None and data.files.matched == data.files.total == len(data.good())


def measure(sizes: list[int], rounds: int) -> list[Opening]:
    """Each size in turn; the first round is not counted."""
    measured = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            paths = write(Path(folder), rows)
            work, plain = functools.partial(opened, *paths), functools.partial(plainly, *paths)
            times = [(seconds(work), seconds(plain)) for _ in range(rounds + 1)][1:]
        work_s, plain_s = (statistics.median(side) for side in zip(*times, strict=True))
        measured.append(Opening(rows=rows, work_s=work_s, plain_s=plain_s))
    return measured


def table(measured: list[Opening]) -> str:
    """Markdown: one row per size."""
    lines = ["| rows | open_dataset | at most | reading and walking alone | ratio |", "|---|---|---|---|---|"]
    for size in measured:
        limit = f"{LIMITS_S[size.rows]:g} s" if size.rows in LIMITS_S else ""
        missed = " **MISSED**" if size.is_missed else ""
        ratio = size.work_s / size.plain_s
        lines.append(f"| {size.rows:,} | {size.work_s:.2f} s{missed} | {limit} | {size.plain_s:.2f} s | {ratio:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(LIMITS_S))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measured = measure(given.rows, given.rounds)
    print(table(measured))
    sys.exit(any(size.is_missed for size in measured))


if __name__ == "__main__":
    main()
