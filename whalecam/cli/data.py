"""Verbs on a data set: demo, check, unpack."""

import importlib
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, GROUP, JSON, column_options, mask_options, mask_options_of, word_options
from whalecam.cli.output import print_facts, reporter
from whalecam.config import DEMO_CUES, FINE_ARCH, PROBE, Columns, MaskOptions, TrainOptions
from whalecam.errors import DatasetError
from whalecam.extras import require
from whalecam.words import MARINE, Words

DEMO_TRAINING = TrainOptions(arch=FINE_ARCH, recipe=PROBE)
FIRST_ROWS = 20


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--images", default=360, show_default=True, type=click.IntRange(12, 100_000), help="Images to draw.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same images.")
@click.option("--run", "run_path", type=FOLDER, help="Also train on the set and audit it, into this run folder.")
@click.option(
    "--cue", type=click.Choice(DEMO_CUES), help="Let half of the fin whales carry this, and no water tell a species."
)
def demo(folder: Path, images: int, seed: int, run_path: Path | None, cue: str | None) -> None:
    """Write the demo set: train.csv, images/, masks/. Two species are told by their water, unless --cue is given."""
    if run_path is not None:
        require("train", "A demo with a run")
    from whalecam.demo import write_demo

    report = reporter()
    loading = threading.Thread(target=_load, daemon=True)
    if run_path is not None:
        loading.start()
    csv = write_demo(folder, images=images, seed=seed, report=report, cue=cue)
    if run_path is None:
        print_facts({"csv": str(csv), "images": str(folder / "images"), "masks": str(folder / "masks")}, False)
        return
    loading.join()
    from whalecam import api

    data, words = api.open_dataset(csv, folder / "images"), {"subject": MARINE.subject, "background": MARINE.background}
    run = api.train(data, run_path, report=report, **words, **vars(DEMO_TRAINING))
    api.audit(run, masks=folder / "masks", report=report)


def _load() -> None:
    """What trains and audits takes seconds to load, in which other processes can draw."""
    with suppress(ImportError):  # which says what is missing where it is needed
        importlib.import_module("whalecam.api")


@click.command()
@click.argument("csv", type=FOLDER)
@click.argument("images", type=FOLDER, required=False)
@click.option("--no-images", is_flag=True, help="Look at the CSV only.")
@GROUP
@mask_options
@click.option("--keep", type=FOLDER, help="Folder for what is measured on images: an interrupted check goes on there.")
@click.option("--run", "run_path", type=FOLDER, help="Audited run whose networks say which labels they doubt.")
@click.option("--out", type=FOLDER, help="Folder for a CSV of the rows of each finding, and labels-map.csv.")
@column_options
@word_options
@JSON
def check(
    csv: Path,
    images: Path | None,
    no_images: bool,
    group: str,
    keep: Path | None,
    run_path: Path | None,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Findings on a data set; no network needed. Exit 1 where there is one above info.

    CSV is a table in any format, or a folder of class folders, which needs no IMAGES.
    """
    from whalecam.analysis import findings
    from whalecam.data import open_dataset
    from whalecam.data.groups import candidate

    if images is None and not no_images and not csv.is_dir():
        raise DatasetError("Name the image folder after the CSV, or say --no-images to look at the CSV only.")
    named = Columns(given["image_column"], given["label_column"], given["group_column"])
    data = open_dataset(csv, None if no_images else images, named)
    if no_images and given["masks"] is not None:
        raise DatasetError("--masks needs the images. Name the image folder after the CSV, or leave --masks out.")
    words = _words(data, run_path, given["subject"], given["background"])
    if group:
        candidate(data, group)  # which raises where there is no such group
    report = reporter()
    joined = _joined(data, mask_options_of(given), report)
    upright_boxes, table = joined.sources.boxes, joined.sources.box_table
    from whalecam.analysis.findings.measuring import measured  # once the input is known to be good

    data, properties = measured(data, joined.sources, keep, report)
    evidence = findings.Evidence(data, upright_boxes, properties, *_network_evidence(run_path), words, group)
    problems = findings.find(evidence)
    facts = _facts(data, "individuals" if as_json else words.groups)
    if upright_boxes is not None and table is not None:
        facts |= {"boxes": len(upright_boxes), "boxes_refused": list(table.refused)}
    facts |= {"reading": list(data.reading) if as_json else " ".join(data.reading)}
    facts |= {"joins": _joins(data, as_json) | {j.kind: j.record() if as_json else j.sentence for j in joined.joins}}
    if out:
        findings.write(problems, out)
    _say(facts, problems, as_json)
    sys.exit(1 if any(finding.severity != "info" for finding in problems) else 0)


def _words(data: Any, run_path: Path | None, subject: str | None, background: str | None) -> Words:
    """What the findings call things: as given, else as in the run, else as the columns."""
    from whalecam.store.run import open_run

    if run_path is None:
        words: Words = data.words(subject or "", background or "")
        return words
    known = open_run(run_path).words
    return replace(known, subject=subject or known.subject, background=background or known.background)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FOLDER)
@click.option("--out", required=True, type=FOLDER, help="New folder for table.csv and images/.")
@JSON
def unpack(files: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Write the images inside Parquet files, as of Hugging Face, into files beside a table of their names.

    FILES are the parts of one data set, in their order. They stay as they are.
    """
    from whalecam.data.unpacking import unpack as write_files

    done = write_files(files, out, reporter())
    paths = {"table": str(done.table), "images": str(done.images)}
    print_facts({**vars(done), **paths, "notes": list(done.notes) if as_json else " ".join(done.notes)}, as_json)


def _joins(data: Any, as_json: bool) -> dict[str, Any]:
    """What became of rows and image files; nothing without a folder."""
    if data.files is None:
        return {}
    return {"rows": data.files.record() if as_json else " ".join((data.files.sentence, *data.files.notes))}


def _joined(data: Any, options: MaskOptions, report: Any) -> Any:
    """Masks and boxes joined with the data set. Raises DatasetError for what cannot be read, or joins nothing."""
    from whalecam.explain import masks

    return masks.joined(data, masks.opened(options), report)


def _network_evidence(run_path: Path | None) -> tuple[Any, Any]:
    """What the networks of a run say of images that they had not seen, and saw in them; None without a run."""
    if run_path is None:
        return None, None
    from whalecam.analysis.findings.outliers import MOST
    from whalecam.store.run import open_run
    from whalecam.store.table import embeddings, unseen_odds

    run = open_run(run_path)
    seen = embeddings(run.parts(), MOST, unseen=True)
    return unseen_odds(run.parts(), run.manifest.classes), seen


def _say(facts: dict[str, Any], problems: Sequence[Any], as_json: bool) -> None:
    """Counts, then the findings: as one JSON object, or as text with what to do."""
    if as_json:
        print_facts(facts | {"findings": [_plainly(finding) for finding in problems]}, True)
        return
    print_facts(facts, False)
    for finding in problems:
        click.echo(f"\n[{finding.severity}] {finding.sentence}\n  Why: {finding.why}\n  What to do: {finding.todo}")


def _plainly(finding: Any) -> dict[str, Any]:
    """A finding without all its rows: how many there are, and the first."""
    names = ("code", "about", "severity", "sentence", "why", "todo", "facts")
    rows = finding.rows.astype(object).where(finding.rows.notna(), None)
    return {name: getattr(finding, name) for name in names} | {
        "affected": len(rows),
        "rows": rows.head(FIRST_ROWS).to_dict("records"),
    }


def _facts(data: Any, groups: str) -> dict[str, Any]:
    """Counts, classes and the rows that cannot be used, by reason; `groups` names the number of groups."""
    table = data.table
    bad = table[table["status"] != "ok"]
    counts = data.good()["label"].value_counts()
    return {
        "rows": len(table),
        "usable": len(table) - len(bad),
        "classes": counts.to_dict(),
        groups: int(table.loc[table["group"] != "", "group"].nunique()),
        "reasons": bad["status"].value_counts().to_dict(),
        "bad_rows": bad[["image", "status"]].to_dict("records"),
        "fingerprint": data.fingerprint,
    }


VERBS = (demo, check, unpack)
