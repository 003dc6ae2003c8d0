"""Box files of any format as one table: where the animal, its fin or its fluke stands."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.config import BOX_UNITS, MaskOptions
from whalecam.data.faults import fault
from whalecam.data.outlines import Outline
from whalecam.data.readers.boxes import BoxContents, Source, read_source
from whalecam.data.readers.boxes.contents import NO_AREA, NO_NUMBERS
from whalecam.errors import DatasetError
from whalecam.text import listed

CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = (
    *("image", *CORNERS, "kind", "kind_raw", "relative", "source"),
    *(
        "confidence",
        "stated_width",
        "stated_height",
        "outline",
        "orientation",
        "where",
        "units_stated",
        "is_percent",
        "file",
    ),
)
PARTS = {
    "fin": ("fin", "fins", "dorsal", "dorsalfin", "backfin"),
    "fluke": ("fluke", "flukes", "tailfluke", "tailflukes"),
}
LARGEST_SHARE = 1.01
"""Shares of a side, rounded on their way, add up to a little more than 1; no box of whole pixels ends so near 1."""
SMALLEST_PIXELS = 2.0
"""A file none of whose boxes ends beyond this has no pixels."""
SHOWN_LABELS = 5


class BoxRow(TypedDict):
    """A row of a BoxTable; `place` is what its join with an image found out, where that is known."""

    image: str
    x1: float
    y1: float
    x2: float
    y2: float
    kind: str
    relative: bool
    kind_raw: NotRequired[str]
    source: NotRequired[str]
    confidence: NotRequired[float]
    stated_width: NotRequired[float]
    stated_height: NotRequired[float]
    outline: NotRequired[Outline | None]
    orientation: NotRequired[str]
    where: NotRequired[str]
    units_stated: NotRequired[bool]
    is_percent: NotRequired[bool]
    file: NotRequired[int]
    place: NotRequired[object]


@dataclass(frozen=True)
class BoxTable:
    """The boxes of several files, one below the other.

    Attributes:
        rows: `image` as in the file, `x1 y1 x2 y2` (float, in pixels, or shares of the sides where `relative`), `kind`
            (body, fin or fluke), `kind_raw` as written, `source` the file's name, `confidence` (0 to 1, NaN where
            unknown), `stated_width` and `stated_height` of the image in pixels (0 where the file states none),
            `outline` (data.outlines.Outline or None, in the file's units), `orientation` (`upright` or empty), `where`
            the box is in the file, `units_stated`, whether the format, the file or a person states the units,
            `is_percent`, whether those of the file are percent, and `file`, its number among those that were given.
        refused: what could not be used, in words.
        unused: the image of each row that could not be used.
        read_as: how each file was read; a sentence each.
    """

    rows: pd.DataFrame
    refused: tuple[str, ...] = ()
    unused: tuple[str, ...] = field(default=(), repr=False)
    read_as: tuple[str, ...] = ()


def read_boxes(paths: Sequence[Path], options: MaskOptions = MaskOptions()) -> BoxTable:
    """Boxes of several files or folders, of any format in BOX_READERS.

    Raises DatasetError for what is no box file, and for one that mixes pixels and shares.
    """
    if options.box_units not in BOX_UNITS:
        raise DatasetError(f"There are no box units '{options.box_units}'. There are: {', '.join(BOX_UNITS)}.")
    tables = [_table_of(Source(Path(path)), options) for path in paths]
    frames = [table.rows.assign(file=at) for at, table in enumerate(tables) if len(table.rows)]
    return BoxTable(
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS)),
        tuple(text for table in tables for text in table.refused),
        tuple(image for table in tables for image in table.unused),
        tuple(text for table in tables for text in table.read_as),
    )


def kind_of(text: str) -> str:
    """`body`, `fin` or `fluke` from whatever a column of kinds calls it; a body unless it says otherwise."""
    words = text.lower()
    return next((kind for kind in ("fluke", "fin") if kind in words), "body")


def part_of(label: str) -> str:
    """`fin` or `fluke` where a label names nothing else, so that a fin whale is a body."""
    plain = re.sub(r"[^a-z]", "", label.lower())
    return next((kind for kind, names in PARTS.items() if plain in names), "body")


def _table_of(source: Source, options: MaskOptions) -> BoxTable:
    """The usable boxes of a file, and what is wrong with the others."""
    contents, name = read_source(source), source.path.name
    frame = _frame(contents, name)
    units, is_stated = _units(frame, contents, options, name)
    corners = frame[list(CORNERS)].to_numpy(float) / (100 if units == "percent" else 1)
    frame[list(CORNERS)] = corners
    frame["relative"], frame["is_percent"], frame["units_stated"] = units != "pixels", units == "percent", is_stated
    reasons = _reasons(frame, corners, options.box_confidence)
    refused = [(refusal.image, refusal.reason) for refusal in contents.refusals]
    refused += [(image, reason) for image, reason in zip(frame["image"], reasons, strict=True) if reason]
    total = len(frame) + len(contents.refusals)
    counts = Counter(reason for _, reason in refused)
    kept = frame[np.array([not reason for reason in reasons], bool)]
    return BoxTable(
        kept,
        tuple(f"{name}: {count:,} of {total:,} boxes {reason}" for reason, count in counts.items()),
        tuple(image for image, _ in refused),
        (_read_as(contents, kept, name, units, options), *contents.notes),
    )


def _frame(contents: BoxContents, name: str) -> pd.DataFrame:
    boxes = contents.boxes
    frame = pd.DataFrame([box.corners for box in boxes], columns=list(CORNERS), dtype=float)
    frame.insert(0, "image", pd.Series([box.image for box in boxes], dtype=str))
    frame["kind_raw"] = pd.Series([box.label for box in boxes], dtype=str)
    kinds = {label: (kind_of if contents.is_part else part_of)(label) for label in set(frame["kind_raw"])}
    frame["kind"] = pd.Series([kinds[label] for label in frame["kind_raw"]], dtype=str)
    frame["source"], frame["orientation"] = name, contents.orientation
    frame["confidence"] = pd.Series([box.confidence for box in boxes], dtype=float)
    frame["stated_width"] = pd.Series([box.width for box in boxes], dtype=float)
    frame["stated_height"] = pd.Series([box.height for box in boxes], dtype=float)
    frame["outline"] = pd.Series([box.outline for box in boxes], dtype=object)
    frame["where"] = pd.Series([box.place for box in boxes], dtype=str)
    return frame


def _units(frame: pd.DataFrame, contents: BoxContents, options: MaskOptions, name: str) -> tuple[str, bool]:
    """`pixels`, `shares` or `percent`, and whether somebody states it. Raises DatasetError for a mixed file."""
    if contents.units:
        return contents.units, True
    corners = frame[list(CORNERS)].to_numpy(float)
    known = np.isfinite(corners).all(axis=1)
    largest, rows = corners.max(axis=1, initial=0), frame[known]
    # A box of whole numbers up to 1 is a pixel in the corner as well as a whole image, so it shows nothing.
    whole = known & (corners == np.round(np.nan_to_num(corners))).all(axis=1)
    small, large = known & (largest <= LARGEST_SHARE), known & (largest > SMALLEST_PIXELS)
    if options.box_units != "auto":
        if options.box_units == "pixels" and len(rows) and small.all():
            raise fault(f"{name}: no box reaches beyond 1, so these are shares of the sides, not pixels.")
        return options.box_units, True
    if large.any() and (small & ~whole).any():
        shares, pixels = int(np.flatnonzero(small & ~whole)[0]), int(np.flatnonzero(large)[0])
        raise fault(
            f"{name} mixes units: {_values(frame, shares)} looks like shares of the sides, {_values(frame, pixels)} "
            "like pixels or percent. Write all boxes in one of them, or state it: --box-units."
        )
    has_pixels = large.any() or (whole & (largest > LARGEST_SHARE)).any()
    return ("pixels" if has_pixels else "shares"), False


def _values(frame: pd.DataFrame, at: int) -> str:
    """As in `line 3 (0.1, 0.2, 0.5, 0.6)`."""
    row = frame.iloc[at]
    return f"{row['where']} ({', '.join(f'{row[name]:.4g}' for name in CORNERS)})"


def _reasons(frame: pd.DataFrame, corners: NDArray[np.float64], least: float) -> list[str]:
    """Why each box cannot be used; empty where it can."""
    broken = ~np.isfinite(corners).all(axis=1) | (frame["image"] == "").to_numpy(bool)
    flat = (corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1])
    unsure = (frame["confidence"] < least).to_numpy(bool)
    words = f"are below the confidence {least:g} (--box-confidence)"
    reasons = np.select([broken, flat, unsure], [NO_NUMBERS, NO_AREA, words], "")
    return [str(reason) for reason in reasons]


def _read_as(contents: BoxContents, kept: pd.DataFrame, name: str, units: str, options: MaskOptions) -> str:
    """As in `md.json: MegaDetector JSON 1.4, in shares, confidence from 0.2 on.`"""
    parts = [f"{contents.format}, in {units}"]
    if kept["confidence"].notna().any():
        parts.append(f"confidence from {options.box_confidence:g} on")
    labels = sorted({label for label in kept["kind_raw"] if label} - {"body", "animal"})
    if len(labels) > 1 and not contents.is_part:
        parts.append(f"all of the labels {listed(labels, SHOWN_LABELS)}")
    outlines = int(kept["outline"].notna().sum())
    if outlines:
        parts.append(f"{outlines:,} with an outline")
    return f"{name}: {', '.join(parts)}."
