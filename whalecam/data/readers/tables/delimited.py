"""CSV, TSV and the like, compressed or not, whatever their delimiter and encoding."""

import io
from pathlib import Path

import pandas as pd

from whalecam.data.csv_text import DELIMITERS, CsvText, read_text
from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents
from whalecam.errors import DatasetError


def read_delimited(path: Path) -> TableContents:
    """A CSV as texts, without guessing types. Raises DatasetError, in one line."""
    source = _source(path)
    head = source.text.lstrip().split("\n", 1)[0]
    delimiter = source.separator or max(DELIMITERS, key=head.count)
    try:
        frame = pd.read_csv(
            io.StringIO(source.text), sep=delimiter, dtype=str, keep_default_na=False, skipinitialspace=True
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise fault(f"{path.name} cannot be read as CSV: {reason}. Quote fields that contain commas.") from error
    frame.columns = frame.columns.astype(str).str.strip()
    if not isinstance(frame.index, pd.RangeIndex):
        raise fault(f"{path.name} has rows with more fields than column names ({len(frame.columns)}).")
    if frame.empty:
        raise fault(f"{path.name} has column names but no rows. It needs one line per image.")
    return TableContents(frame=frame.fillna(""), notes=source.notes, is_csv=True)


def _source(path: Path) -> CsvText:
    try:
        source = read_text(path, DatasetError, guess=True)
    except DatasetError as error:
        raise fault(str(error)) from error
    except ValueError as error:
        raise fault(f"{path} cannot be the path of a file. Give the path of a CSV.") from error
    if "\0" in source.text:
        raise fault(f"{path.name} contains NUL bytes, so it is not a text file. Save it as CSV UTF-8.")
    return source
