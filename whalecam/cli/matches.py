"""Verbs on matches of individuals: matches, match, export-matches, import-matches."""

import sys
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import FOLDER, JSON, RUN, mask_options, mask_options_of, threshold_options
from whalecam.cli.output import print_facts, reporter
from whalecam.config import MASK_FALLBACKS, MATCH_VERDICTS, POOLINGS, MatchOptions, Thresholds

DEFAULT = MatchOptions()


@click.command()
@RUN
@click.option("--encounter", multiple=True, help="What an encounter is: day, place, camera, source or a column.")
@click.option(
    "--network", default="", help="Checkpoint or architecture whose vectors are compared.  [default: the run's]"
)
@click.option(
    "--pooling",
    default=DEFAULT.pooling,
    show_default=True,
    type=click.Choice(POOLINGS),
    help="How activations become a vector.",
)
@click.option("--fit/--no-fit", default=DEFAULT.fit, help="Fit an ArcFace projection on one part of the encounters.")
@click.option(
    "--length", default=DEFAULT.length, show_default=True, type=click.IntRange(1), help="Length of a fitted vector."
)
@click.option(
    "--centres",
    default=DEFAULT.centres,
    show_default=True,
    type=click.IntRange(1, 8),
    help="Centres of each individual in the fit.",
)
@click.option(
    "--share",
    default=DEFAULT.share,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the encounters that are looked up after a fit.",
)
@click.option(
    "--candidates",
    default=DEFAULT.candidates,
    show_default=True,
    type=click.IntRange(1, 50),
    help="Individuals that a match lists.",
)
@click.option(
    "--limit", default=DEFAULT.limit, show_default=True, type=click.IntRange(0), help="Matches to test, at most."
)
@click.option(
    "--donors",
    default=DEFAULT.donors,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Images that lend a query their background.",
)
@click.option(
    "--size",
    default=DEFAULT.size,
    show_default=True,
    type=click.IntRange(32, 1024),
    help="Side of the input of --network, px.",
)
@click.option(
    "--mask-method",
    default=DEFAULT.mask_method,
    show_default=True,
    type=click.Choice(MASK_FALLBACKS),
    help="How a subject without a given mask or box is found.",
)
@click.option("--batch", default=DEFAULT.batch, show_default=True, type=click.IntRange(1), help="Images at once.")
@click.option("--device", default=DEFAULT.device, show_default=True, help="auto, cpu or cuda.")
@click.option("--seed", default=DEFAULT.seed, show_default=True, type=int, help="Seed of all that is drawn at random.")
@mask_options
@JSON
def matches(run: Path, as_json: bool, **given: Any) -> None:
    """Look every individual up among all others, and test which matches rest on the background. Resumable."""
    from dataclasses import asdict

    from whalecam.audit.match_audit import audit_matches
    from whalecam.audit.run_audit import open_data
    from whalecam.output.match_sentences import record_lines
    from whalecam.store.run import open_run

    opened, masks = open_run(run), vars(mask_options_of(given))
    options = MatchOptions(**{name: value for name, value in given.items() if name not in masks} | masks)
    done = audit_matches(opened, open_data(opened), options, reporter())
    if as_json:
        record = {name: value for name, value in asdict(done.record).items() if name != "settings"}
        print_facts({"queries": done.queries, "new": done.new, "passes": done.passes, **record}, True)
        return
    click.echo("\n".join(record_lines(opened)))


@click.command()
@RUN
@click.argument("query")
@click.argument("candidate")
@click.option("--verdict", required=True, type=click.Choice(MATCH_VERDICTS), help="What you decided.")
@click.option("--reviewer", required=True, help="Who decided.")
@click.option("--note", default="", help="Anything else.")
def match(run: Path, query: str, candidate: str, **words: str) -> None:
    """Sign a verdict on the match of two images."""
    from whalecam.store.reviews.match_verdicts import MatchJournal, MatchVerdict
    from whalecam.store.run import open_run

    MatchJournal.of(open_run(run)).sign([MatchVerdict(query, candidate, **words)])
    click.echo(f"{query} and {candidate}: {words['verdict']}, signed by {words['reviewer']}.")


@click.command("export-matches")
@RUN
@click.option("--out", required=True, type=FOLDER, help="CSV file to write.")
@click.option("--wildbook", is_flag=True, help="As a sheet of Wildbook's bulk import, of the matches with a verdict.")
@threshold_options
def export_matches(run: Path, out: Path, wildbook: bool, **levels: float) -> None:
    """Write matches and what people said of them as CSV."""
    from whalecam.output.csv.match_file import write_matches, write_wildbook
    from whalecam.store.run import open_run

    opened = open_run(run)
    content = write_wildbook(opened) if wildbook else write_matches(opened, Thresholds.of(levels))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    click.echo(str(out))


@click.command("import-matches")
@RUN
@click.argument("file", type=FOLDER)
@JSON
def import_matches(run: Path, file: Path, as_json: bool) -> None:
    """Sign the verdicts of a CSV of matches. Exit 1 where a match is not in the run."""
    from whalecam.output.csv import match_file
    from whalecam.store.run import open_run

    done = match_file.import_matches(open_run(run), file)
    unknown: Any = [list(pair) for pair in done.unknown] if as_json else len(done.unknown)
    print_facts({"added": done.added, "unchanged": done.unchanged, "unknown": unknown}, as_json)
    sys.exit(1 if done.unknown else 0)


VERBS = (matches, match, export_matches, import_matches)
