"""Verdicts as CSV, out (`flagcsv`) and in (`merging`), and the source CSV without what was flagged (`source`)."""

from whalecam.output.csv.flagcsv import CHOSEN, COLUMNS, flag_rows, in_source_names, read_csv, relabelled, write_csv
from whalecam.output.csv.merging import MergeReport, merge
from whalecam.output.csv.source import cleaned_source
from whalecam.output.csv.verdict_file import ALL, verdict_file, verdict_rows

__all__ = [
    "ALL",
    "CHOSEN",
    "COLUMNS",
    "MergeReport",
    "cleaned_source",
    "flag_rows",
    "in_source_names",
    "merge",
    "read_csv",
    "relabelled",
    "verdict_file",
    "verdict_rows",
    "write_csv",
]
