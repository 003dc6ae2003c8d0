"""The verdict file of a run, the same for the command line and the Export page."""

from collections.abc import Mapping

import pandas as pd

from whalecam.config import Thresholds
from whalecam.output.csv.flagcsv import CHOSEN, flag_rows, in_source_names, relabelled, write_csv
from whalecam.store.run import Run
from whalecam.store.table import Table

ALL = 2**31


def verdict_rows(
    run: Run, table: Table, reviews: pd.DataFrame, *, thresholds: Thresholds, only: str, limit: int = ALL
) -> pd.DataFrame:
    """The rows of the file by name, or the first `limit` of them, as `flag_rows` gives them.

    Args:
        table: of the run, at `thresholds`.
        reviews: `Journal.latest()`.
        only: one of EXPORT_CHOICES.
    """
    rows = table.page(CHOSEN[only], "name", limit)
    return flag_rows(
        rows, reviews, only, run_name=run.name, model_sha256=run.manifest.model_sha256, thresholds=thresholds
    )


def verdict_file(rows: pd.DataFrame, run: Run, merges: Mapping[str, str] | None = None) -> bytes:
    """The file itself: `rows` of `verdict_rows`, labels merged, columns named as in the run's source CSV."""
    return write_csv(in_source_names(relabelled(rows, merges or {}), run.manifest.dataset.columns))
