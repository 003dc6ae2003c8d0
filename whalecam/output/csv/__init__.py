"""Verdicts as CSV, out (`flagcsv`) and in (`merging`), the source CSV without what was flagged (`source`), and
the split of a run (`split_table`)."""

from whalecam.output.csv.flagcsv import CHOSEN, COLUMNS, flag_rows, in_source_names, read_csv, relabelled, write_csv
from whalecam.output.csv.merging import MergeReport, merge
from whalecam.output.csv.source import cleaned_source
from whalecam.output.csv.split_table import split_table
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
    "split_table",
    "verdict_file",
    "verdict_rows",
    "write_csv",
]
