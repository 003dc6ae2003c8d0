"""Verbs on people's verdicts: flag, export, import."""

import sys
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, RUN, summary, threshold_options
from whalecam.cli.output import print_facts
from whalecam.config import CSV, EXPORT_CHOICES, INTERCHANGE, REVIEW_VERDICTS, Thresholds


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
    from whalecam.store.reviews import Review, journal_caution, sign
    from whalecam.store.reviews.messages import signed_message
    from whalecam.store.run import open_run

    verdict, opened = Review("", **words), open_run(run)
    if caution := journal_caution(opened.reviews_url):
        click.echo(caution, err=True)
    click.echo(signed_message(verdict.verdict, sign(opened, images, verdict, Thresholds.of(words))))


class FormatName(click.Choice[str]):
    """`csv`, or a format of another tool, those of other packages included, which are looked up when one is named."""

    name = "format"

    def __init__(self) -> None:
        super().__init__((CSV, *INTERCHANGE))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from whalecam.output.interchange import formats

        return value if value in formats() else str(super().convert(value, param, ctx))


@click.command()
@RUN
@click.option("--out", required=True, type=FOLDER, help="File to write; a folder for formats of several files.")
@click.option(
    "--to", default=CSV, show_default=True, type=FormatName(), help="Format: WhaleCAM's CSV or another tool's."
)
@click.option("--only", default="flagged", show_default=True, type=click.Choice(EXPORT_CHOICES), help="Which rows.")
@click.option("--labels-map", type=FOLDER, help="CSV of old,new label names to merge in what is written.")
@threshold_options
def export(run: Path, out: Path, to: str, only: str, labels_map: Path | None, **levels: float) -> None:
    """Write verdicts and scores as CSV, or with boxes and masks for another tool.

    The files are those of the Export page at the same thresholds; the CSV is so byte for byte.
    """
    from whalecam import data
    from whalecam.output.interchange import export_run
    from whalecam.store.run import open_run

    names = data.read_labels_map(labels_map) if labels_map else {}
    level = Thresholds.of(levels)
    done = export_run(open_run(run), out, to=to, only=only, thresholds=level, merges=names)
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(f"{done.rows} rows: {done.path}; thresholds: {summary(level)}")


@click.command("import")
@RUN
@click.argument("file", type=FOLDER)
@click.option("--reviewer", default="", help="Who gave the verdicts for which the file of another tool names nobody.")
@JSON
def take_in(run: Path, file: Path, reviewer: str, as_json: bool) -> None:
    """Merge verdicts from a CSV or from another tool's file; the newest counts.

    Exit 1 where a row could not be used. Formats of other tools are those of `export --to`.
    """
    from whalecam.output.interchange import import_file
    from whalecam.store.run import open_run

    report = import_file(open_run(run), file, reviewer)
    lists: dict[str, Any] = {
        name: [dict(item) if hasattr(item, "keys") else item for item in getattr(report, name)]
        for name in ("added", "unchanged", "conflicts", "unknown", "refused")
    }
    print_facts(lists if as_json else {name: len(items) for name, items in lists.items()}, as_json)
    sys.exit(1 if report.unknown or report.refused else 0)


VERBS = (review, export, take_in)
