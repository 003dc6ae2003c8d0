"""Verbs on what a run holds: info, compare, report, export-dataset, export-split."""

import functools
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, RUN, threshold_options
from whalecam.cli.output import print_facts, reporter
from whalecam.config import CUES_PER_CLASS, DATA_REMEDIES, AuditOptions, Thresholds
from whalecam.errors import DatasetError, RunError

NO_CUES = "No class relies on such a cue beyond chance."


@click.command()
@RUN
@JSON
@threshold_options
def info(run: Path, as_json: bool, **levels: float) -> None:
    """What a run holds: its network, its leaks, which labels stand out, and what to do next."""
    from whalecam.analysis.placement import placement_of
    from whalecam.cli.summaries import run_lines
    from whalecam.store.run import open_run

    opened, level = open_run(run), Thresholds.of(levels)
    if not as_json:
        click.echo("\n".join(run_lines(opened, level)))
        return
    facts: dict[str, object] = {
        "run": opened.name,
        "created": opened.manifest.created,
        "csv": opened.manifest.dataset.csv,
        "classes": list(opened.manifest.classes),
        "network": dict(opened.manifest.network),
        "exactness": opened.manifest.exactness,
        "placed_share": placement.share if (placement := placement_of(opened)) else None,
        "model_sha256": opened.manifest.model_sha256,
        "joins": dict(opened.manifest.joins),
        "metrics": opened.metrics(),
    }
    print_facts(facts | (facts_of(opened, level) if opened.parts() else {"images": 0}), True)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=FOLDER, help="CSV file to write: what each shared image was and became.")
@JSON
def compare(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Hold runs against the first one, on the images they share.

    Exit status 0 whatever differs; 2 where the runs cannot be compared. Gates are `audit --baseline` and `--fail-if`.
    """
    if len(runs) < 2:
        raise RunError("Name two runs or more to compare.")
    from whalecam.analysis.compare import compare_runs
    from whalecam.analysis.compare.sentence import write_csv
    from whalecam.cli.summaries import comparison_lines
    from whalecam.store.run import open_run

    comparison = compare_runs([open_run(path) for path in runs])
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(write_csv(comparison))
    if as_json:
        print_facts(comparison.plain(), True)
        return
    for name in comparison.names[1:]:
        click.echo("\n".join(comparison_lines(comparison, name)))
    for note in comparison.notes:
        click.echo(note)


@click.command()
@RUN
@click.option("--out", required=True, type=FOLDER, help="HTML file to write.")
@click.option("--cases", default=24, show_default=True, type=click.IntRange(0, 200), help="Images to show.")
@threshold_options
def report(run: Path, out: Path, cases: int, **levels: float) -> None:
    """Write one self-contained HTML page about a run."""
    from whalecam.audit import run_audit
    from whalecam.output.report import write_report
    from whalecam.store.run import open_run

    opened = open_run(run)
    click.echo(
        str(write_report(opened, run_audit.open_data(opened), out, cases=cases, thresholds=Thresholds.of(levels)))
    )


@click.command("export-dataset")
@RUN
@click.option("--remedy", required=True, type=click.Choice(DATA_REMEDIES), help="What to mend.")
@click.option("--out", required=True, type=FOLDER, help="New folder for the mended data set.")
@click.option("--labels-map", type=FOLDER, help="For relabel: CSV of old,new label names to merge.")
@JSON
def export_dataset(run: Path, remedy: str, out: Path, labels_map: Path | None, as_json: bool) -> None:
    """Write a mended data set; the source stays as it is."""
    from whalecam import remedies
    from whalecam.audit import run_audit
    from whalecam.data import inspect_images, read_labels_map
    from whalecam.explain.masks import find_mask
    from whalecam.store.corrected import latest_reviews
    from whalecam.store.reviews import Corrections, Journal
    from whalecam.store.run import open_run

    if labels_map is not None and remedy != "relabel":
        raise DatasetError(f"--labels-map merges labels, which '{remedy}' does not. Use it with --remedy relabel.")
    opened, progress = open_run(run), reporter()
    data = inspect_images(run_audit.open_data(opened), progress)
    merges = read_labels_map(labels_map) if labels_map is not None else {}
    options = AuditOptions.stored(opened.manifest.audit)
    joined = run_audit.joined_sources(data, options, progress, run=opened)
    find = functools.partial(find_mask, sources=joined.sources, fallback=options.mask_method)
    reviews = latest_reviews(Journal.of(opened), Corrections.of(opened))
    done = remedies.export_dataset(opened, data, find, reviews, remedy=remedy, out=out, report=progress, merges=merges)
    joins = {join.kind: join.record() if as_json else join.sentence for join in joined.joins}
    print_facts({"remedy": remedy, "out": str(out), **vars(done), "joins": joins}, as_json)


@click.command("export-split")
@RUN
@click.option("--out", required=True, type=FOLDER, help="CSV file to write: image, fold, part.")
@JSON
def export_split(run: Path, out: Path, as_json: bool) -> None:
    """Write which images a run was trained and validated on, as train --split-file reads it."""
    from whalecam.audit import run_audit
    from whalecam.data.csv_text import safe_csv
    from whalecam.output.csv import split_table
    from whalecam.store.run import open_run

    opened = open_run(run)
    rows = split_table(opened, run_audit.open_data(opened))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(safe_csv(rows))
    counts = {str(part): int(count) for part, count in rows["part"].value_counts().items()}
    print_facts({"split": str(out), "images": len(rows), **counts}, as_json)


@click.command("embed")
@RUN
def embed(run: Path) -> None:
    """Compute the UMAP embedding of an audited run's images, for the Patterns page."""
    from whalecam.analysis.patterns import places
    from whalecam.store.run import open_run

    count = places.lay_out(open_run(run), reporter())
    print_facts({"images": count, "run": str(run)}, False)


@click.command("cues")
@RUN
@click.option(
    "--per-class",
    default=CUES_PER_CLASS,
    show_default=True,
    type=click.IntRange(1),
    help="Images of each predicted class, at most.",
)
@click.option("--restart/--no-restart", default=False, help="Test classes anew that were tested before.")
@click.option("--out", type=FOLDER, help="CSV file to write: which images rely on which cue.")
@JSON
def cues(run: Path, per_class: int, restart: bool, out: Path | None, as_json: bool) -> None:
    """Test an audited run for cues beyond the background's looks: sharpness, JPEG quality, exposure, scale, marks …

    One property of each image is exchanged, or the patch beside its object that speaks most for the prediction is
    erased, against a placebo. Interrupted, it goes on where it was. Exit status 1 where a class relies on such a cue.
    Experimental: how often it names a cue where there is none is not known yet.
    """
    from whalecam.analysis.cues import cue_findings, cue_sentence
    from whalecam.audit.run_cues import run_cues
    from whalecam.output.csv.cue_list import write_cue_list
    from whalecam.store.cue_rows import cue_rows
    from whalecam.store.run import open_run

    opened = open_run(run)
    count = run_cues(opened, per_class, reporter(), restart=restart)
    findings = cue_findings(cue_rows(opened))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(write_cue_list(findings, opened))
    if as_json:
        print_facts({**vars(count), "findings": [vars(finding) for finding in findings]}, True)
    else:
        click.echo(
            f"Tested: {count.images:,} images of {count.classes:,} predicted classes, {count.new:,} of them now."
        )
        click.echo("\n".join(cue_sentence(finding, opened.words) for finding in findings) or NO_CUES)
    if findings:
        raise SystemExit(1)


def facts_of(run: Any, level: Thresholds = Thresholds()) -> dict[str, object]:
    """Counts, rates, verdicts, reasons, species and the advice of an audited run."""
    from whalecam.cli.summaries import advice_of
    from whalecam.store.open_table import open_table

    table = open_table(run, level)
    facts = table.overview()
    assessments = dict(table.assessments().itertuples(index=False, name=None))
    reasons = dict(table.reasons().itertuples(index=False, name=None))
    return {
        **facts,
        "thresholds": level.noted(),
        "majority": table.majority(),
        "assessments": assessments,
        "reasons": reasons,
        "classes": table.class_tests().to_dict("records"),
        "per_label": table.per_label().to_dict("records"),
        "advice": advice_of(run, facts).plain(),
    }


VERBS = (info, compare, report, export_dataset, export_split, embed, cues)
