"""A run's rows with their assessments and people's verdicts."""

from whalecam.arrays import Report, silent
from whalecam.config import Thresholds
from whalecam.errors import RunError
from whalecam.store.corrected import latest_reviews
from whalecam.store.reviews import Corrections, Journal
from whalecam.store.run import Run
from whalecam.store.table import Store, Table


def open_table(
    run: Run,
    thresholds: Thresholds = Thresholds(),
    *,
    store: Store | None = None,
    journal: Journal | None = None,
    corrections: Corrections | None = None,
    report: Report = silent,
) -> Table:
    """The table of an audited run at some thresholds, with people's latest verdicts.

    Args:
        store: where rows are held already; parts and verdicts that came since are read.
        journal, corrections: the run's, where they are open already.

    Raises RunError where nothing is audited, ReviewError where the journal cannot be read.
    """
    if not run.parts():
        raise RunError(f"Run '{run.name}' has no audited images yet. Audit it first: whalecam audit {run.path}")
    store, journal, corrections = store or Store(), journal or Journal.of(run), corrections or Corrections.of(run)
    store.take(run.parts(), report)
    version = (run.reviews_url, journal.version(), corrections.version())
    if store.version != version:
        store.join(latest_reviews(journal, corrections), version)
    return Table((), thresholds, store=store)
