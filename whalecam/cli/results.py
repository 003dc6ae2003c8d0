"""Verbs on what a run holds: info, compare, report, export-dataset."""

import functools
import operator
import re
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, RUN
from whalecam.cli.output import reporter, tell
from whalecam.config import AUTO_VERDICTS, DATA_REMEDIES, Thresholds
from whalecam.errors import DatasetError, RunError

RULE = re.compile(r"^\s*(\w+)\s*(>=|<=|>|<)\s*([0-9.]+)\s*$")
SIGNS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


@click.command()
@RUN
@JSON
def info(run: Path, as_json: bool) -> None:
    """What a run holds."""
    from whalecam.run import open_run

    opened = open_run(run)
    facts: dict[str, Any] = {
        "run": opened.name,
        "created": opened.manifest.created,
        "csv": opened.manifest.dataset.csv,
        "classes": list(opened.manifest.classes),
        "network": dict(opened.manifest.network),
        "licence": opened.manifest.licence,
        "model_sha256": opened.manifest.model_sha256,
        "metrics": opened.metrics(),
    }
    tell(facts | (facts_of(opened) if opened.parts() else {"images": 0}), as_json)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER)
@JSON
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Compare runs on the images they share."""
    from whalecam.compare import compare_runs
    from whalecam.run import open_run

    if len(runs) < 2:
        raise RunError("Name two runs or more to compare.")
    tell(compare_runs([open_run(path) for path in runs]), as_json)


@click.command()
@RUN
@click.option("--out", required=True, type=FOLDER, help="HTML file to write.")
@click.option("--cases", default=24, show_default=True, type=click.IntRange(0, 200), help="Pictures to show.")
def report(run: Path, out: Path, cases: int) -> None:
    """Write one self-contained HTML page about a run."""
    from whalecam import audit
    from whalecam.report import write_report
    from whalecam.run import open_run

    opened = open_run(run)
    click.echo(str(write_report(opened, audit.open_data(opened), out, cases)))


@click.command("export-dataset")
@RUN
@click.option("--remedy", required=True, type=click.Choice(DATA_REMEDIES), help="What to mend.")
@click.option("--out", required=True, type=FOLDER, help="New folder for the mended data set.")
@click.option("--labels-map", type=FOLDER, help="For relabel: CSV of old,new label names to merge.")
@JSON
def export_dataset(run: Path, remedy: str, out: Path, labels_map: Path | None, as_json: bool) -> None:
    """Write a mended data set; the source stays as it is."""
    from whalecam import audit, dataset, remedies
    from whalecam.masks import find_mask
    from whalecam.reviews import Journal
    from whalecam.run import open_run

    if labels_map is not None and remedy != "relabel":
        raise DatasetError(f"--labels-map merges labels, which '{remedy}' does not. Use it with --remedy relabel.")
    opened, progress = open_run(run), reporter()
    data = dataset.inspect_pictures(audit.open_data(opened), progress)
    merges = dataset.merges_of(labels_map) if labels_map is not None else {}
    options = audit.stored_options(opened)
    find = functools.partial(find_mask, sources=audit.mask_sources(options), fallback=options.mask_method)
    reviews = Journal(opened.reviews_url).latest()
    done = remedies.export_dataset(opened, data, find, reviews, remedy, out, progress, merges)
    tell({"remedy": remedy, "out": str(out), **vars(done)}, as_json)


def table_of(run: Any) -> Any:
    """A run's table at the default thresholds, and the latest verdicts."""
    from whalecam import leak
    from whalecam.reviews import Journal
    from whalecam.table import Table

    reviews = Journal(run.reviews_url).latest()
    return Table(run.parts(), leak.verdicts, Thresholds(), reviews), reviews


def facts_of(run: Any) -> dict[str, Any]:
    """Counts, rates, verdicts, reasons and species of an audited run."""
    table, _ = table_of(run)
    verdicts = dict(table.verdicts().itertuples(index=False, name=None))
    reasons = dict(table.reasons().itertuples(index=False, name=None))
    return {
        **table.overview(),
        "majority": table.majority(),
        "verdicts": verdicts,
        "reasons": reasons,
        "per_species": table.per_species().to_dict("records"),
    }


def gate(rule: str, facts: dict[str, Any]) -> bool:
    """Whether a rule such as `suspect>0.02` is met: a verdict's share of the assessable pictures."""
    found = RULE.match(rule)
    if found is None or found[1] not in AUTO_VERDICTS:
        raise RunError(f"'{rule}' is no gate. Write a verdict, a sign and a share: 'suspect>0.02'.")
    share = facts["verdicts"].get(found[1], 0) / max(1, facts["assessable"])
    return bool(SIGNS[found[2]](share, float(found[3])))


VERBS = (info, compare, report, export_dataset)
