"""Write a mended data set; the source is only read."""

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, Mask, Progress, Report, records, silent, typed_records
from whalecam.config import WRONG_MASK
from whalecam.data import Dataset, ImageRow, read_sample
from whalecam.errors import DatasetError
from whalecam.explain.masks import MaskMethod
from whalecam.remedies.kinds import GREY, Case, Mended, Rgb
from whalecam.remedies.menu import REMEDIES
from whalecam.store.json_file import write_json
from whalecam.store.run import Run, now

JPEG: Mapping[str, Any] = {"quality": 95, "subsampling": 0}
WATERS = 200
"""Images that the mean background is taken over, at most."""


@dataclass(frozen=True)
class Export:
    """What a mended data set holds: images written, of which changed, and rows left out; `masks` by their source."""

    written: int
    changed: int
    left_out: int
    masks: Mapping[str, int] = field(default_factory=dict)


def mend(
    data: Dataset,
    find: MaskMethod,
    reviews: pd.DataFrame,
    *,
    remedy: str,
    out: Path,
    provenance: Mapping[str, object],
    report: Report = silent,
    merges: Mapping[str, str] | None = None,
) -> Export:
    """Write `out/train.csv`, `out/images/`, `out/masks/` and, last, `out/remedy.json`.

    Every row keeps its image name, so that verdicts, tables and runs join; every file its place below the folder.
    Unchanged images are copied byte for byte, changed ones written as JPEG of quality 95 or without loss, by the
    name's ending. Masks are those the remedy went by, cut alike, so that an audit judges by the same ones.

    Args:
        find: the best mask of an image, or None.
        reviews: people's latest verdicts, one row per image.
        remedy: out of `REMEDIES`.
        provenance: what `remedy.json` says of where this came from.
        merges: old → new label names, for `relabel`.

    Raises DatasetError for another remedy, for a folder that is not empty or lies in the source's image folder, and
    without images.
    """
    if remedy not in REMEDIES:
        raise DatasetError(f"No remedy '{remedy}'. There are: {', '.join(REMEDIES)}.")
    good = data.good()
    good = good[good["path"] != ""].drop_duplicates("image")
    _check(data, good, out)
    (out / "images").mkdir(parents=True)
    (out / "masks").mkdir()
    latest = {row["image"]: row for row in records(reviews)}
    water = mean_water(good, find, report) if remedy in ("crop", "neutral") else GREY
    rows, sources, changed = [], Counter[str](), 0
    for number, row in enumerate(typed_records(good, ImageRow)):
        report(Progress(f"remedy {remedy}", number, len(good)))
        case = case_of(row, find, latest.get(row["image"], {}), water=water, merges=merges)
        mended = REMEDIES[remedy](case)
        if mended is not None:
            changed += mended.pixels is not None or mended.label != row["label"]
            sources[case.mask.source if case.mask is not None else "none"] += 1
            _write(Path(row["path"]).relative_to(str(data.images)), Path(row["path"]), mended, case.mask, out)
            rows.append((row["image"], mended.label, row["group"]))
    export = Export(len(rows), changed, len(good) - len(rows), dict(sources))
    _describe(data, rows, out, {"remedy": remedy, **provenance, **vars(export), "mean_water": list(water)})
    report(Progress(f"remedy {remedy}", len(good), len(good)))
    return export


def export_dataset(
    run: Run,
    data: Dataset,
    find: MaskMethod,
    reviews: pd.DataFrame,
    *,
    remedy: str,
    out: Path,
    report: Report = silent,
    merges: Mapping[str, str] | None = None,
) -> Export:
    """`mend` from a run's data set, masks and verdicts."""
    provenance = {"run": run.name, "model_sha256": run.manifest.model_sha256}
    return mend(data, find, reviews, remedy=remedy, out=out, provenance=provenance, report=report, merges=merges)


def case_of(
    row: ImageRow,
    find: MaskMethod,
    review: Mapping[str, str],
    *,
    water: Rgb = GREY,
    merges: Mapping[str, str] | None = None,
) -> Case:
    """One row of a data set with its image and mask; a mask that a person rejected counts as none."""
    sample = read_sample(Path(row["path"]), row["image"])
    mask = None if review.get("reason") == WRONG_MASK else find(sample)
    return Case(sample, row["label"], mask, review, water, merges or {})


def mean_water(rows: pd.DataFrame, find: MaskMethod, report: Report = silent) -> Rgb:
    """The mean colour of the background over up to WATERS images, each counting alike; mid-grey without a mask.

    Of the whole set, not of each image, since each image's own mean would go on telling the label.
    """
    means: list[NDArray[np.float64]] = []
    some = rows.sample(min(WATERS, len(rows)), random_state=0)
    for number, row in enumerate(records(some)):
        report(Progress("looking for backgrounds", number, len(some)))
        sample = read_sample(Path(row["path"]), row["image"])
        mask = find(sample)
        wet = None if mask is None else mask.values < 0.5
        if wet is not None and wet.any():
            means.append(sample.pixels[wet].mean(axis=0))
    if not means:
        return GREY
    red, green, blue = np.mean(means, axis=0).tolist()
    return (red, green, blue)


def _check(data: Dataset, good: pd.DataFrame, out: Path) -> None:
    if good.empty or data.images is None:
        raise DatasetError("There are no readable images to mend. Check the rows on the Dataset page.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} is not an empty folder. Name a new folder for the mended data set.")
    if out.resolve().is_relative_to(data.images.resolve()):
        raise DatasetError(f"{out} lies in the image folder of the source, which stays as it is. Name another folder.")


def _write(place: Path, source: Path, mended: Mended, mask: Mask | None, out: Path) -> None:
    """An image at its place below `out/images`, and its mask below `out/masks`, one size with it."""
    target = out / "images" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if mended.pixels is None:
        shutil.copyfile(source, target)
    else:
        _save(mended.pixels, target)
    values = mended.mask if mended.mask is not None else mask.values if mask is not None else None
    if values is not None:
        beside = out / "masks" / place.parent / f"{place.name}.png"
        beside.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).save(beside)


def record_in(folder: Path) -> Path:
    """The file of a mended data set that says where all of it came from."""
    return folder / "remedy.json"


def _describe(data: Dataset, rows: list[tuple[str, str, str]], out: Path, facts: Mapping[str, Any]) -> None:
    """The table, and where all of it came from."""
    columns = dict.fromkeys((data.columns.image, data.columns.label, data.columns.group))
    with (out / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([tuple(columns), *(row[: len(columns)] for row in rows)])
    images = str(data.images.resolve()) if data.images else None
    source = {"source": str(data.csv.resolve()), "images": images, "fingerprint": data.fingerprint}
    read = {"columns": vars(data.columns), "merges": dict(data.merges)}
    write_json(record_in(out), {"created": now(), **source, **read, **facts})


def _save(pixels: ByteArray, target: Path) -> None:
    """In the kind of file that the name says; what cannot hold every colour (GIF) holds a PNG under its name."""
    suffix = target.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        Image.fromarray(pixels).save(target, "JPEG", **JPEG)
    elif suffix == ".webp":
        Image.fromarray(pixels).save(target, "WEBP", lossless=True)
    else:
        Image.fromarray(pixels).save(target, {".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}.get(suffix, "PNG"))
