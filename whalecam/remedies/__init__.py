"""Mended data sets: one file per remedy, same signature, and the menu."""

import csv
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from whalecam import dataset, masks
from whalecam.arrays import Progress, Report, records, silent
from whalecam.dataset import Dataset
from whalecam.errors import DatasetError
from whalecam.remedies.crop import crop
from whalecam.remedies.drop import drop
from whalecam.remedies.kinds import Case, Mended, Remedy
from whalecam.remedies.neutral import neutral
from whalecam.remedies.relabel import relabel
from whalecam.run import Run, now, write_json

REMEDIES: Mapping[str, Remedy] = {"crop": crop, "neutral": neutral, "drop": drop, "relabel": relabel}


@dataclass(frozen=True)
class Export:
    """What a mended data set holds: pictures written, of which changed, and rows left out."""

    written: int
    changed: int
    left_out: int


def export_dataset(
    run: Run,
    data: Dataset,
    sources: masks.MaskSources,
    reviews: pd.DataFrame,
    remedy: str,
    out: Path,
    report: Report = silent,
) -> Export:
    """Write `out/train.csv`, `out/images/` and `out/remedy.json`; the source is only read.

    Unchanged pictures are copied byte for byte, changed ones written as PNG. Raises DatasetError for an unknown remedy
    or a folder that is not empty.
    """
    if remedy not in REMEDIES:
        raise DatasetError(f"No remedy '{remedy}'. There are: {', '.join(REMEDIES)}.")
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} is not empty. Name a new folder for the mended data set.")
    (out / "images").mkdir(parents=True)
    verdicts = {row["image"]: row for row in records(reviews)}
    rows, changed, good = [], 0, data.good()
    for number, record in enumerate(records(good)):
        report(Progress(f"remedy {remedy}", number, len(good)))
        sample = dataset.read_sample(Path(record["path"]), record["image"])
        case = Case(sample, record["species"], masks.find_mask(sample, sources), verdicts.get(record["image"], {}))
        mended = REMEDIES[remedy](case)
        if mended is not None:
            changed += mended.pixels is not None or mended.label != record["species"]
            rows.append(_write(record, mended, out, number))
    columns = data.columns
    with (out / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([(columns.image, columns.label, columns.group), *rows])
    export = Export(len(rows), changed, len(good) - len(rows))
    write_json(out / "remedy.json", _provenance(run, data, remedy, export))
    return export


def _write(record: Mapping[str, Any], mended: Mended, out: Path, number: int) -> tuple[str, str, str]:
    source = Path(record["path"])
    if mended.pixels is None:
        name = f"{number:06d}{source.suffix.lower()}"
        shutil.copyfile(source, out / "images" / name)
    else:
        name = f"{number:06d}.png"
        Image.fromarray(mended.pixels).save(out / "images" / name)
    return name, mended.label, str(record["individual_id"])


def _provenance(run: Run, data: Dataset, remedy: str, export: Export) -> dict[str, Any]:
    return {
        "remedy": remedy,
        "run": run.name,
        "model_sha256": run.manifest.model_sha256,
        "source": str(data.csv),
        "fingerprint": data.fingerprint,
        "created": now(),
        **vars(export),
    }
