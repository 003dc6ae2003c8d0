"""The registry of table formats: a reader is a function of a path that returns None for what is not its format."""

from collections.abc import Callable, Mapping
from pathlib import Path

from whalecam.data.readers.registered import with_offered
from whalecam.data.readers.tables.class_folders import read_class_folders
from whalecam.data.readers.tables.coco import read_coco_labels
from whalecam.data.readers.tables.contents import TableContents, as_texts
from whalecam.data.readers.tables.delimited import read_delimited
from whalecam.data.readers.tables.excel import read_excel
from whalecam.data.readers.tables.json_lines import read_json_rows
from whalecam.data.readers.tables.parquet import read_parquet

TableReader = Callable[[Path], TableContents | None]
"""Returns None where the path is of another format; raises DatasetError where it is of this format but unusable."""

TABLE_READERS: Mapping[str, TableReader] = {
    "class folders": read_class_folders,
    "Excel": read_excel,
    "Parquet": read_parquet,
    "COCO": read_coco_labels,
    "JSON lines": read_json_rows,
}
"""Readers by format, in the order in which a path is offered to them; what none of them reads is a CSV."""

ENTRY_POINTS = "whalecam.table_readers"
"""The group of entry points under which other packages offer readers; they are asked after those of TABLE_READERS."""

__all__ = ["ENTRY_POINTS", "TABLE_READERS", "TableContents", "TableReader", "as_texts"]
__all__ += ["read_recognized", "read_table", "recognized"]

CSV = "CSV"
"""The format of what no reader recognizes."""


def recognized(path: Path) -> tuple[str, TableContents]:
    """The first format that recognizes a path, CSV where none does, and its contents.

    Raises DatasetError, in one line, where none can.
    """
    return _recognized(path) or (CSV, read_delimited(path))


def read_table(path: Path) -> TableContents:
    """The contents of the first format that recognizes a path. Raises DatasetError, in one line, where none can."""
    return recognized(path)[1]


def read_recognized(path: Path) -> TableContents | None:
    """The contents of the first format that recognizes a path; None for what is read as a CSV.

    Raises DatasetError where the path is of a format but unusable.
    """
    known = _recognized(path)
    return known[1] if known else None


def _recognized(path: Path) -> tuple[str, TableContents] | None:
    for name, reader in with_offered(TABLE_READERS, ENTRY_POINTS).items() if _exists(path) else ():
        contents = reader(path)
        if contents is not None:
            return name, contents
    return None


def _exists(path: Path) -> bool:
    """False too for a name that no file system takes."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
