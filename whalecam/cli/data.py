"""Verbs on a data set: demo, check."""

import sys
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, column_options
from whalecam.cli.output import reporter, tell
from whalecam.config import FINE_ARCH, AuditOptions, Columns, TrainOptions
from whalecam.errors import DatasetError

DEMO_TRAINING = TrainOptions(arch=FINE_ARCH, epochs=9, lr=1e-2, batch=16)
DEMO_DONORS = 4


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--images", default=480, show_default=True, type=click.IntRange(12, 100_000), help="Pictures to draw.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same pictures.")
@click.option("--run", "run_path", type=FOLDER, help="Also train on the set and audit it, into this run folder.")
def demo(folder: Path, images: int, seed: int, run_path: Path | None) -> None:
    """Write the demo set: train.csv, images/, masks/."""
    from whalecam.demo import write_demo

    report = reporter()
    csv = write_demo(folder, images=images, seed=seed, report=report)
    if run_path is None:
        tell({"csv": str(csv), "images": str(folder / "images"), "masks": str(folder / "masks")}, False)
        return
    from whalecam import audit, classifier, dataset
    from whalecam.run import create_run

    data = dataset.open_dataset(csv, folder / "images")
    run = create_run(run_path, record_of(data))
    classifier.train(dataset.inspect_pictures(data, report), run, DEMO_TRAINING, report)
    audit.run_audit(run, data, AuditOptions(masks=str((folder / "masks").resolve()), donors=DEMO_DONORS), report)


@click.command()
@click.argument("csv", type=FOLDER)
@click.argument("images", type=FOLDER, required=False)
@click.option("--no-images", is_flag=True, help="Look at the CSV only.")
@click.option("--boxes", multiple=True, type=FOLDER, help="Box file to check too; may be given several times.")
@column_options
@JSON
def check(
    csv: Path, images: Path | None, no_images: bool, boxes: tuple[Path, ...], as_json: bool, **columns: str
) -> None:
    """Findings on a data set; no network needed. Exit 1 where a row cannot be used."""
    from whalecam import dataset

    if images is None and not no_images:
        raise DatasetError("Name the image folder after the CSV, or say --no-images to look at the CSV only.")
    named = Columns(columns["image_column"], columns["label_column"], columns["group_column"])
    data = dataset.open_dataset(csv, None if no_images else images, named)
    if data.images is not None:
        data = dataset.inspect_pictures(data, reporter())
    facts = _facts(data)
    if boxes:
        found = dataset.read_boxes(boxes)
        facts |= {"boxes": len(found), "boxes_refused": found.attrs["refused"]}
    tell(facts, as_json)
    sys.exit(1 if facts["reasons"] else 0)


def _facts(data: Any) -> dict[str, Any]:
    """Counts, classes and the rows that cannot be used, by reason."""
    table = data.table
    bad = table[table["status"] != "ok"]
    counts = data.good()["species"].value_counts()
    return {
        "rows": len(table),
        "usable": len(table) - len(bad),
        "classes": counts.to_dict(),
        "individuals": int(table.loc[table["individual_id"] != "", "individual_id"].nunique()),
        "reasons": bad["status"].value_counts().to_dict(),
        "bad_rows": bad[["image", "status"]].to_dict("records"),
        "fingerprint": data.fingerprint,
    }


def record_of(data: Any) -> Any:
    """What a run remembers of a data set."""
    from whalecam.run import DatasetRecord

    images = str(data.images.resolve()) if data.images else None
    return DatasetRecord(str(data.csv.resolve()), images, vars(data.columns), data.fingerprint)


VERBS = (demo, check)
