"""What the tests must not time: reading, checking, signing, exporting and starting, beside the plain work they rest on.

usage: python -m benchmarks.ratios [--rows 51033] [--rounds 5]

Both sides of a ratio run in turn, round by round, on this machine; the ratio is that of their medians. A ratio above
its bound is marked MISSED, and the exit status is then 1.
"""

import argparse
import contextlib
import functools
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
import torch

from benchmarks import synthetic
from whalecam import data, network
from whalecam.cli import main as command_line
from whalecam.demo import write_planted
from whalecam.explain import cam
from whalecam.explain.masks import MASK_METHODS, MaskSources
from whalecam.output import csv
from whalecam.store.reviews import Journal, Review

ENTRIES, FEW = 50_000, 50
Work = Callable[[], Any]


@dataclass(frozen=True)
class Pair:
    """`work` beside `plain`, and how many times as long it may take at most."""

    name: str
    work: Work
    plain: Work
    bound: float


def pairs(folder: Path, rows: int) -> Iterator[Pair]:
    yield from tables(folder / "tables", rows)
    yield from masks(folder / "masks")
    yield from journals(folder / "journals")
    yield from exports(rows)
    yield from maps()
    yield from starts(folder / "starts")


def starts(folder: Path) -> Iterator[Pair]:
    """A whole process of a verb that reads a run beside one that imports the library of its table and ends."""
    run = synthetic.write_run(folder, FEW, files=False)
    plain = functools.partial(process, "-c", "import duckdb")
    yield Pair("import whalecam ÷ import duckdb", functools.partial(process, "-c", "import whalecam"), plain, 1)
    image = sorted(run.audited())[0]
    out = ["--out", str(folder / "verdicts.csv"), "--only", "all"]
    signed = [image, "--verdict", "flag", "--reviewer", "ana"]
    for verb, words, bound in (("info", [], 15), ("export", out, 11), ("review", signed, 8)):
        work = functools.partial(process, "-m", "whalecam", verb, str(run.path), *words)
        yield Pair(f"whalecam {verb} of {FEW} rows ÷ import duckdb", work, plain, bound)


def process(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def tables(folder: Path, rows: int) -> Iterator[Pair]:
    """Opening and checking a table without its images, beside pandas' reading of it."""
    synthetic.write_run(folder, rows, files=False)
    table = folder / "train.csv"
    plain = functools.partial(pd.read_csv, table, dtype=str, keep_default_na=False)
    yield Pair(f"open_dataset, {rows:,} rows ÷ pandas.read_csv", lambda: data.open_dataset(table, None), plain, 6)
    by_species = functools.partial(checked, table, "species")
    yield Pair(f"whalecam check, {rows:,} rows ÷ pandas.read_csv", by_species, plain, 120)
    by_owner = functools.partial(checked, table, "individual_id")
    yield Pair("check by individual (thousands of labels) ÷ by species", by_owner, by_species, 8)


def checked(table: Path, label: str) -> None:
    """`whalecam check` of a table, in this process."""
    words = ["whalecam", "check", str(table), "--no-images", "--label-column", label, "--json"]
    before, sys.argv = sys.argv, words
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            command_line()
    finally:
        sys.argv = before


def masks(folder: Path) -> Iterator[Pair]:
    """The mask of one image beside the decoding of its file."""
    path = write_planted(folder, "colour", 1).clean / "images" / "00000.jpg"
    sample, method = data.read_sample(path, path.name), MASK_METHODS["border"](MaskSources())
    yield Pair("border mask of an image ÷ decoding it", lambda: method(sample), lambda: decoded(path), 30)


def decoded(path: Path) -> Any:
    return data.read_sample(path, path.name)


def journals(folder: Path) -> Iterator[Pair]:
    """The latest verdicts of a long journal beside the reading of all its entries; its version beside a short one's."""
    folder.mkdir()
    short = journal(folder / "short.sqlite", FEW, FEW)
    for images in (ENTRIES, ENTRIES // 10, FEW):
        place = folder / f"{images}.sqlite"
        long = journal(place, ENTRIES, images)
        every = functools.partial(entries, place)
        yield Pair(f"latest(), {ENTRIES:,} entries of {images:,} images ÷ select *", long.latest, every, 4)
    yield Pair(f"version(), {ENTRIES:,} entries ÷ {FEW} entries", long.version, short.version, 10)


def journal(place: Path, count: int, images: int) -> Journal:
    """Verdicts on images in turn, and a hundred that were taken back."""
    made = Journal(f"sqlite:///{place}")
    made.add([Review(f"{number % images:06}.jpg", "flag", "ana", note="x" * 20) for number in range(count)])
    for _ in range(100):
        made.add([Review("000000.jpg", "keep", "bo")])
        made.undo("bo")
    return made


def entries(place: Path) -> pd.DataFrame:
    engine = sa.create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        return pd.read_sql_query(sa.text("select * from whalecam_entries"), connection)


def exports(rows: int) -> Iterator[Pair]:
    """The verdict file, written and read, beside pandas' own."""
    names, noise = [f"{number:06}.jpg" for number in range(rows)], np.random.default_rng(0)
    table = pd.DataFrame({"image": names, "label": "orca", "group": "-7", "assessment": "suspect"})
    table = table.assign(
        **{name: noise.random(rows) for name in ("confidence", "loss", "background_share", "attention_score")}
    )
    with tempfile.TemporaryDirectory() as folder:
        signed = Journal(f"sqlite:///{folder}/reviews.sqlite")
        signed.add([Review(name, "flag", "ana", note="=1+1" if name < "01" else "") for name in names])
        reviews = signed.latest()

    def made() -> pd.DataFrame:
        return csv.flag_rows(table, reviews, "all", run_name="mine", model_sha256="abc")

    frame, raw = made(), csv.write_csv(made())
    yield Pair(f"export of {rows:,} rows ÷ DataFrame.to_csv", lambda: csv.write_csv(made()), lambda: frame.to_csv(), 4)
    plain = functools.partial(pd.read_csv, dtype=str, keep_default_na=False)
    yield Pair(
        "import of the same file ÷ pandas.read_csv", lambda: csv.read_csv(raw), lambda: plain(io.BytesIO(raw)), 25
    )


def maps() -> Iterator[Pair]:
    """The maps of all classes beside the head's forward pass."""
    activations = torch.rand(64, 512, 4, 4, generator=torch.Generator().manual_seed(0))
    for name, make in (("linear", network.linear_head), ("fastai", network.fastai_head)):
        head = make(512, synthetic.CLASSES).eval()
        explained = functools.partial(cam.explain, head, activations)
        yield Pair(
            f"maps of {synthetic.CLASSES} classes, {name} head ÷ its forward pass",
            explained,
            functools.partial(forward, head, activations),
            40,
        )


def forward(head: torch.nn.Module, activations: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        scores: torch.Tensor = head(activations)
    return scores


def measure(rows: int, rounds: int) -> list[tuple[Pair, float, float]]:
    """Each pair with the median seconds of its work and of the plain one; the first round is not counted."""
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in pairs(Path(folder), rows):
            times = [(seconds(pair.work), seconds(pair.plain)) for _ in range(rounds + 1)][1:]
            measured.append((pair, *(statistics.median(side) for side in zip(*times, strict=True))))
    return measured


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table(measured: list[tuple[Pair, float, float]]) -> str:
    """Markdown: one row per ratio."""
    lines = ["| | ratio | at most | the work itself |", "|---|---|---|---|"]
    for pair, work, plain in measured:
        missed = " **MISSED**" if work / plain > pair.bound else ""
        lines.append(f"| {pair.name} | {work / plain:.2f}{missed} | {pair.bound:g} | {work * 1000:.1f} ms |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=51_033)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    measured = measure(given.rows, given.rounds)
    print(table(measured))
    sys.exit(any(work / plain > pair.bound for pair, work, plain in measured))


if __name__ == "__main__":
    main()
