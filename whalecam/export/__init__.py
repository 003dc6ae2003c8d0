"""Verdicts as CSV, out (`flagcsv`) and in (`merging`), and the source CSV without what was flagged (`source`)."""

from whalecam.export.flagcsv import CHOSEN, COLUMNS, flag_rows, read_csv, relabelled, write_csv
from whalecam.export.merging import MergeReport, merge
from whalecam.export.source import cleaned_source

__all__ = [
    "CHOSEN",
    "COLUMNS",
    "MergeReport",
    "cleaned_source",
    "flag_rows",
    "merge",
    "read_csv",
    "relabelled",
    "write_csv",
]
