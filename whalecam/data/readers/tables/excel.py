"""Workbooks of Excel and LibreOffice."""

from pathlib import Path

import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents, as_texts
from whalecam.extras import require

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read_excel(path: Path) -> TableContents | None:
    """The first sheet that has rows. Raises ExtraError without python-calamine, DatasetError for a broken workbook."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return None
    require("excel", f"Reading {path.name}")
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as book:
            sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        raise fault(f"{path.name} cannot be read as a workbook. Save it again, or as CSV UTF-8.") from error
    filled = {name: rows for name, rows in sheets.items() if len(rows) > 1}
    if not filled:
        raise fault(f"{path.name} has no sheet with a line of column names and rows.")
    name, rows = next(iter(filled.items()))
    others = [other for other in filled if other != name]
    frame = pd.DataFrame(rows[1:], columns=pd.Index([str(cell) for cell in rows[0]]), dtype=object)
    notes = (f"Read the sheet {name}; not used: {', '.join(others)}.",) if others else ()
    return TableContents(frame=as_texts(frame), notes=notes)
