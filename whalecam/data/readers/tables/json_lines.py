"""JSON lines, and JSON arrays of objects: one object per row."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents, text_of

SUFFIXES = (".jsonl", ".ndjson", ".json")


def read_json_rows(path: Path) -> TableContents | None:
    """The objects of a file as rows. Raises DatasetError with the line that is no object."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return None
    text = _text(path)
    rows = _array(text) if text.lstrip().startswith("[") else _lines(text, path)
    if rows is None:
        raise fault(
            f"{path.name} is not a table of labels: it is neither COCO nor one JSON object per row. "
            "Detections, such as those of MegaDetector, are given as boxes."
        )
    strange = next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if strange is not None:
        raise fault(f"{path.name}: row {strange:,} is not a JSON object. Each row needs names and values.")
    if not rows:
        raise fault(f"{path.name} has no rows. It needs one object per image.")
    names = dict.fromkeys(str(name) for row in rows for name in row)
    cells = {name: [_cell(row.get(name)) for row in rows] for name in names}
    return TableContents(frame=pd.DataFrame(cells, dtype=str))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise fault(f"{path.name} cannot be read as UTF-8 text.") from error


def _array(text: str) -> list[Any] | None:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError:
        return None
    return rows if isinstance(rows, list) else None


def _lines(text: str, path: Path) -> list[Any] | None:
    """The value of each line; None where the first is none by itself, or is all of a `.json`."""
    lines = [line for line in text.split("\n") if line.strip()]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == 1:
                return None
            raise fault(f"{path.name}: line {number:,} is not JSON ({error.msg}).") from error
    return None if len(rows) == 1 and path.suffix.lower() == ".json" else rows


def _cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text_of(value)
