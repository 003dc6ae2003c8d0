"""Time and memory of an audit at its real size: 51,033 files under the real names, with the real train.csv.

usage: python -m benchmarks.full_size DATA [--masks given|net] [--rows N] [--background-test all|none]
           [--runtime auto|torch|onnxruntime] [--arch resnet18] [--json FILE]

The photographs of DATA/photos, scaled to 128 px, have the names of DATA/happywhale/train.csv, each name with a
photograph of its species if there is one. With `given`, DATA/pseudo_masks are the given masks; with `net`, the mask
network finds the animals. The network is untrained, which costs what a trained one does; but in the background
test its predictions hardly drop, so most images leave it after the first round of four donors. `--rows`
takes the first N rows of train.csv alone.

Then the benchmark removes the last part and calls the audit once more: how long until it has new rows, with the table
and the names of all files read again.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from PIL import Image

from benchmarks import audit as setting
from benchmarks import scaling
from benchmarks.synthetic import SIZE
from whalecam.arrays import Progress
from whalecam.audit import run_audit
from whalecam.config import RUNTIMES, AuditOptions
from whalecam.data import open_dataset
from whalecam.store.run import Run, open_run


def prepare(folder: Path, data: Path, rows: int | None = None, arch: str = "resnet18") -> tuple[Run, int]:
    """A run over as many files as train.csv has rows, its first `rows` alone where given, and their number."""
    table = pd.read_csv(data / "happywhale" / "train.csv", dtype=str, nrows=rows)
    table.to_csv(folder / "train.csv", index=False)
    photos = pd.read_csv(data / "photos.csv", dtype=str)
    by_species = defaultdict[str, list[str]](list)
    for photo in photos.itertuples():
        by_species[str(photo.species)].append(str(photo.image))
    everything = photos["image"].tolist()
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    scaled = {name: _scaled(folder, data, name) for name in everything}
    for at, row in enumerate(table.itertuples()):
        some: Sequence[str] = by_species.get(str(row.species)) or everything
        picture, mask = scaled[some[at % len(some)]]
        (folder / "images" / str(row.image)).write_bytes(picture)
        (folder / "masks" / f"{Path(str(row.image)).stem}.png").write_bytes(mask)
    opened = open_dataset(folder / "train.csv", folder / "images")
    return setting.untrained(folder / "run", opened, arch), len(table)


def _scaled(folder: Path, data: Path, name: str) -> tuple[bytes, bytes]:
    """One photograph as a JPEG of 128 px, and its mask as a PNG."""
    picture, mask = folder / "one.jpg", folder / "one.png"
    with Image.open(data / "photos" / name) as whole:
        whole.convert("RGB").resize((SIZE, SIZE)).save(picture, quality=90)
    with Image.open(data / "pseudo_masks" / f"{Path(name).stem}.png") as grey:
        grey.convert("L").resize((SIZE, SIZE)).save(mask)
    return picture.read_bytes(), mask.read_bytes()


def measure(
    data: Path,
    masks: str = "given",
    *,
    rows: int | None = None,
    background_test: str = "none",
    runtime: str = "auto",
    arch: str = "resnet18",
) -> dict[str, Any]:
    """`seconds`, `images`, `peak_mb`, `pace` of the last tenth to the first, seconds until it has `resumed`."""
    with TemporaryDirectory() as folder:
        _, images = prepare(Path(folder), data, rows, arch)
        if masks == "net":
            (Path(folder) / "masks").rename(Path(folder) / "set_aside")
        found = scaling.alone(Path(folder), images, "local", background_test=background_test, runtime=runtime)
        found["images"] = images
        run = open_run(Path(folder) / "run")
        options = replace(setting.options_of(run), background_test=background_test, runtime=runtime)
        return found | {"resumed": resumed(run, options)}


def resumed(run: Run, options: AuditOptions) -> float:
    """Seconds from calling an audit again as it was, its last part lost, to the first row that it stores anew."""
    marks = list[float]()
    run.parts()[-1].unlink()
    held = len(run.audited())

    def note(at: Progress) -> None:
        if at.stage == "audit" and at.done > held:
            marks.append(time.perf_counter())

    start = time.perf_counter()
    run_audit.run_audit(run, run_audit.open_data(run), options, note)
    return marks[0] - start


def table(found: dict[str, Any], masks: str = "given") -> str:
    seconds = found["seconds"]
    told = f"{found['images']:,} images, masks: {masks}"
    each_ms = found["cpu_s"] / found["images"] * 1000
    words = f"In {seconds // 60:.0f} min {seconds % 60:.0f} s, {each_ms:.0f} ms of CPU for each image; "
    words += f"called again, it went on after {found['resumed']:.1f} s."
    return f"{scaling.table({told: found})}\n\n{words}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", choices=("given", "net"), default="given")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--background-test", choices=("all", "none"), default="none")
    parser.add_argument("--runtime", choices=RUNTIMES, default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    how = {"background_test": given.background_test, "runtime": given.runtime, "arch": given.arch}
    found = measure(given.data, given.masks, rows=given.rows, **how)
    print(table(found, ", ".join((given.masks, *(f"{name}: {value}" for name, value in how.items())))))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
