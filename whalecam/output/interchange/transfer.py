"""Export and import of a run, the same for the command line and for Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from whalecam.config import CSV, Thresholds
from whalecam.errors import ReviewError
from whalecam.output import csv
from whalecam.output.interchange.outgoing import outgoing
from whalecam.output.interchange.registry import formats, read_verdicts, write_files
from whalecam.store.corrected import latest_reviews
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Corrections, Journal
from whalecam.store.run import Run


class Exported(NamedTuple):
    """The file or folder that was written, the number of its rows, and what to say of it."""

    path: Path
    rows: int
    notes: Sequence[str] = ()


def export_run(
    run: Run,
    out: Path,
    *,
    to: str = CSV,
    only: str = "flagged",
    thresholds: Thresholds = Thresholds(),
    merges: Mapping[str, str] | None = None,
) -> Exported:
    """Write the rows `only` (one of EXPORT_CHOICES) of a run as CSV, or in one of `formats`.

    Args:
        merges: old labels → new ones, in what is written.

    Raises ReviewError for another format or choice and where `out` cannot be written, RunError without an audit.
    """
    if to != CSV and to not in formats():
        raise ReviewError(f"There is no format '{to}'. There are: {', '.join((CSV, *formats()))}.")
    if only not in csv.CHOSEN:
        raise ReviewError(f"'{only}' cannot be exported. There are: {', '.join(csv.CHOSEN)}.")
    journal = Journal.of(run)
    table = open_table(run, thresholds, journal=journal)
    reviews = latest_reviews(journal, Corrections.of(run))
    rows = csv.verdict_rows(run, table, reviews, thresholds=thresholds, only=only)
    if to == CSV:
        files = {f"{run.name}-{only}.csv": csv.verdict_file(rows, run, merges)}
        return Exported(write_files(files, out), len(rows))
    form, content = formats()[to], outgoing(run, table, csv.relabelled(rows, merges or {}))
    notes = (*content.notes, *([form.note] if form.note else ()))
    return Exported(write_files(form.write(content), out), len(rows), notes)


def import_file(run: Run, path: Path, reviewer: str = "") -> csv.MergeReport:
    """Merge the verdicts of a file into the run's journal. Raises ReviewError where it holds none."""
    known = run.audited()
    return csv.merge(Journal.of(run), read_verdicts(path, known, reviewer), known)
