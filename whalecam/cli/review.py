"""Verbs on people's verdicts: flag, export, import."""

import sys
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, RUN, summary, threshold_options
from whalecam.cli.output import print_facts
from whalecam.config import EXPORT_CHOICES, REVIEW_VERDICTS, Thresholds
from whalecam.errors import ReviewError


@click.command()
@RUN
@click.argument("images", nargs=-1, required=True)
@click.option("--verdict", required=True, type=click.Choice(REVIEW_VERDICTS), help="What you decided.")
@click.option("--reviewer", required=True, help="Who decided.")
@click.option("--reason", default="", help="Why, in a word.")
@click.option("--note", default="", help="Anything else.")
@click.option("--suggested-label", default="", help="The label it should have.")
@threshold_options
def review(run: Path, images: tuple[str, ...], **words: Any) -> None:
    """Sign a verdict for images of a run. What is signed already is not written again.

    The thresholds are noted beside it. `whalecam flag` is the same verb. Without a reason, note or label, those that
    the same reviewer gave before stay.
    """
    from whalecam.store.reviews import Journal, Review
    from whalecam.store.reviews.messages import signed_message
    from whalecam.store.run import open_run

    opened, level = open_run(run), Thresholds.of(words)
    unknown = sorted(set(images) - opened.audited())
    if unknown:
        raise ReviewError(
            f"{opened.name} has no row for {', '.join(unknown[:5])}. Use names as in the CSV, after an audit."
        )
    given = [Review(image, **{**words, **level.noted()}) for image in images]
    click.echo(signed_message(words["verdict"], Journal.of(opened).add(given)))


@click.command()
@RUN
@click.option("--out", required=True, type=FOLDER, help="CSV file to write.")
@click.option("--only", default="flagged", show_default=True, type=click.Choice(EXPORT_CHOICES), help="Which rows.")
@click.option("--labels-map", type=FOLDER, help="CSV of old,new label names to merge in what is written.")
@threshold_options
def export(run: Path, out: Path, only: str, labels_map: Path | None, **levels: float) -> None:
    """Write verdicts and scores as CSV, byte for byte as the Export page does at the same thresholds."""
    from whalecam import data
    from whalecam.output import csv as exporting
    from whalecam.store.open_table import open_table
    from whalecam.store.reviews import Journal
    from whalecam.store.run import open_run

    opened, names = open_run(run), data.read_labels_map(labels_map) if labels_map else {}
    journal, level = Journal.of(opened), Thresholds.of(levels)
    table, reviews = open_table(opened, level, journal=journal), journal.latest()
    rows = exporting.verdict_rows(opened, table, reviews, level, only)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(exporting.verdict_file(rows, opened, names))
    click.echo(f"{len(rows)} rows: {out}; thresholds: {summary(level)}")


@click.command("import")
@RUN
@click.argument("file", type=FOLDER)
@JSON
def take_in(run: Path, file: Path, as_json: bool) -> None:
    """Merge verdicts from a CSV; the newest counts. Exit 1 where a row could not be used."""
    from whalecam.output import csv as exporting
    from whalecam.store.reviews import Journal
    from whalecam.store.run import open_run

    opened = open_run(run)
    report = exporting.merge(Journal.of(opened), exporting.read_csv(file), opened.audited())
    lists: dict[str, Any] = {
        name: [dict(item) if hasattr(item, "keys") else item for item in getattr(report, name)]
        for name in ("added", "unchanged", "conflicts", "unknown", "refused")
    }
    print_facts(lists if as_json else {name: len(items) for name, items in lists.items()}, as_json)
    sys.exit(1 if report.unknown or report.refused else 0)


VERBS = (review, export, take_in)
