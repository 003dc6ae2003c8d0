"""What a reader makes of a table."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class TableContents:
    """A table as texts.

    Attributes:
        frame: a row per row of the source, in its order; every cell a text, empty where there is none.
        notes: what was recognized, and what of the source has no effect; a sentence each.
        is_csv: whether the source is delimited text, of which single rows can be left out.
        image, label: names of the columns, where the format fixes them; None where a person names them.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = field(default=())
    is_csv: bool = False
    image: str | None = None
    label: str | None = None


def as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a CSV would have it: missing ones empty, whole numbers without a point, dates in ISO 8601."""
    columns = {str(name).strip(): _texts(frame.iloc[:, at]) for at, name in enumerate(frame.columns)}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), dtype=str)


def _texts(column: "pd.Series[Any]") -> list[str]:
    return [text_of(cell) for cell in column.astype(object)]


def text_of(cell: Any) -> str:
    """A cell as a CSV would have it."""
    if cell is None or cell is pd.NaT or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat()
    return str(cell)
