"""The flag CSV: one row per image, safe to open in a spreadsheet, and back again without loss."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whalecam.config import EXPORT_CHOICES, SUSPECT_ASSESSMENTS, Thresholds
from whalecam.data.csv_text import read_text, restored, safe_csv
from whalecam.errors import ReviewError
from whalecam.store import parts
from whalecam.store.reviews import COLUMNS as REVIEW_COLUMNS
from whalecam.store.table import Filters

SOURCE = ("image", "label", "group")
"""Columns of the table that stand in the file under the names that the source CSV has for them."""
REVIEWED = ("verdict", "reason", "note", "suggested_label", "reviewer", "reviewed_at")
RELIANCE = ("reliance_probability", "p_value", "q_value", "reliance")
MEASURED = (
    "predicted",
    "confidence",
    "loss",
    "background_share",
    "attention_score",
    *RELIANCE,
    "assessment",
    "mask_source",
)
THRESHOLDS = tuple(Thresholds().noted())
MADE_WITH = (*THRESHOLDS, "map", "run", "model_sha256")
COLUMNS = SOURCE + REVIEWED + MEASURED + MADE_WITH
NUMBERS = ("confidence", "loss", "background_share", "attention_score", *RELIANCE, *THRESHOLDS)
LABELS = ("label", "predicted", "suggested_label")
NEEDED = ("image", "verdict", "reviewer")
EARLIER = {parts.EARLIER[name]: name for name in MEASURED if name in parts.EARLIER} | {
    "auto_verdict": "assessment",
    "excess_threshold": "attention_threshold",
    "needs_threshold": "reliance_threshold",
}
"""Names of columns in files that earlier versions wrote → the present ones."""
UNKNOWN = Thresholds(np.nan, np.nan, np.nan)
CHOSEN = {
    "flagged": Filters(review="flag"),
    "reviewed": Filters(review="reviewed"),
    "suspects": Filters(assessments=SUSPECT_ASSESSMENTS),
    "all": Filters(),
}
"""What to ask the table for, by what goes out: one of EXPORT_CHOICES."""


def flag_rows(
    table_rows: pd.DataFrame,
    reviews: pd.DataFrame,
    only: str,
    *,
    run_name: str,
    model_sha256: str,
    thresholds: Thresholds = UNKNOWN,
) -> pd.DataFrame:
    """The rows of the flag CSV, COLUMNS, in the order of `table_rows` (`Table.all_rows`).

    `reviews` is `Journal.latest()`; `only` is one of EXPORT_CHOICES; `thresholds` are those in force now, written
    where no reviewer's are known. Numbers are floats with NaN, all else str. Raises ReviewError for another `only`.
    """
    if only not in EXPORT_CHOICES:
        raise ReviewError(f"'{only}' cannot be exported. There are: {', '.join(EXPORT_CHOICES)}.")
    measured = table_rows.reindex(columns=[*SOURCE, *MEASURED])
    frame = measured.merge(reviews.reindex(columns=list(REVIEW_COLUMNS)), on="image", how="left")
    chosen = {
        "flagged": frame["verdict"] == "flag",
        "reviewed": frame["verdict"].notna(),
        "suspects": frame["assessment"].isin(SUSPECT_ASSESSMENTS),
        "all": pd.Series(True, frame.index),
    }
    frame = frame[chosen[only]].assign(run=run_name, model_sha256=model_sha256)
    gaps: dict[str, Any] = {**thresholds.noted(), "map": "relative"}
    columns = {
        name: pd.to_numeric(frame[name]).fillna(gaps.get(name, np.nan))
        if name in NUMBERS
        else frame[name].astype(object).fillna(gaps.get(name, "")).astype("str")
        for name in COLUMNS
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def relabelled(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The rows with labels of old names under their new ones, as a network trained with the same map calls them."""
    return frame.assign(**{name: frame[name].replace(dict(names)) for name in LABELS})


def in_source_names(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The rows with label and group under the names that the source CSV has for them, so that the files join.

    Args:
        columns: `DatasetRecord.columns`. A name that another column of the file has is not taken.
    """
    given = {name: columns.get(name, name) for name in ("label", "group")}
    free = {name: own for name, own in given.items() if own not in COLUMNS}
    return frame.rename(columns=free if len(set(free.values())) == len(free) else {})


def write_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 as in RFC 4180. Texts that a spreadsheet would run as a formula get a `'` in front; numbers never do.

    Raises ReviewError for text that UTF-8 cannot hold.
    """
    try:
        return safe_csv(frame)
    except UnicodeEncodeError as error:
        raise ReviewError(f"A cell contains half a character (a lone surrogate): {error.object[:40]!a}.") from error


def read_csv(source: bytes | Path) -> pd.DataFrame:
    """A verdict file: NUMBERS as float, all else str as it was before `write_csv`; index = row of the spreadsheet.

    UTF-8, or UTF-16 with its mark; commas, or what spreadsheets make of them: semicolons (with decimal commas), tabs.
    Rows that do not fit the header, or hold a word for a number, are left out and listed in `attrs["refused"]` as
    `row`, `image`, `why`. Raises ReviewError where it is no such file, or lacks one of NEEDED.
    """
    text = read_text(source, ReviewError)
    delimiter = text.delimiter("image")
    records = enumerate((cells for cells, _ in text.records(delimiter, strict=True)), start=1)
    (_, header), *rows = ((row, cells) for row, cells in records if any(cells))
    names = _checked_header([EARLIER.get(name.strip(), name.strip()) for name in header], text.name)
    usable: dict[int, list[str]] = {}
    refused: list[dict[str, Any]] = []
    for row, cells in rows:
        try:
            usable[row] = _usable(names, cells, "," if delimiter == ";" else ".")
        except ValueError as error:
            image = dict(zip(names, cells, strict=False)).get("image", "")
            refused.append({"row": row, "image": restored(image), "why": str(error)})
    columns = zip(*usable.values(), strict=True) if usable else iter([()] * len(names))
    index = pd.Index(list(usable), name="row", dtype=int)
    frame = pd.DataFrame({name: _column(name, cells, index) for name, cells in zip(names, columns, strict=True)})
    frame.attrs["refused"] = refused
    return frame


def _checked_header(names: list[str], file: str) -> list[str]:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ReviewError(f"{file} has no column '{missing[0]}'. A verdict file has at least: {', '.join(NEEDED)}.")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise ReviewError(f"{file} has two columns '{twice[0]}'. Rename or delete one of them.")
    return [name or f"column {at}" for at, name in enumerate(names, start=1)]


def _usable(names: list[str], cells: list[str], decimal: str) -> list[str]:
    """The cells of a row, numbers as Python writes them. Raises ValueError with the reason where they are no use."""
    if len(cells) < len(names) or any(cells[len(names) :]):
        raise ValueError(f"{len(cells)} cells stand under {len(names)} column names")
    cells = cells[: len(names)]
    for name in NUMBERS:
        if name in names:
            at = names.index(name)
            cells[at] = _plain_number(name, cells[at], decimal)
    return cells


def _plain_number(name: str, cell: str, decimal: str) -> str:
    plain = cell.replace(decimal, ".").strip() or "nan"
    try:
        float(plain)
    except ValueError as error:
        raise ValueError(f"{name} is '{cell}', not a number") from error
    return plain


def _column(name: str, cells: Iterable[str], index: "pd.Index[int]") -> "pd.Series[Any]":
    if name in NUMBERS:
        return pd.Series([float(cell) for cell in cells], index, dtype=float)
    return pd.Series([restored(cell) for cell in cells], index, dtype="str")
