"""A table with one box per row, under any of the column names that people and tools use."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.data.faults import fault
from whalecam.data.readers.boxes.contents import NO_BOX, Box, BoxContents, Refusal, confidence_of
from whalecam.data.readers.boxes.source import Source

CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
    ("xtl", "ytl", "xbr", "ybr"),
    ("x0", "y0", "x1", "y1"),
)
STARTS = (("x", "y"), ("left", "top"), ("xmin", "ymin"), ("x1", "y1"), ("topleftx", "toplefty"))
CENTRES = (("xcenter", "ycenter"), ("centerx", "centery"), ("xcentre", "ycentre"), ("cx", "cy"))
SIDES = (("w", "h"), ("width", "height"))
LAYOUTS = (
    *((names, "corners") for names in CORNERS),
    *(((*start, *sides), "size") for start in STARTS for sides in SIDES),
    *(((*start, *sides), "centre") for start in CENTRES for sides in SIDES),
)
UNITS = (
    ("rel", "shares"),
    ("norm", "shares"),
    ("", ""),
    ("px", "pixels"),
    ("pct", "percent"),
    ("percent", "percent"),
)
"""What stands before or after the names of the columns → the units that it states."""
PREFIXES = ("", "bbox", "box")
LISTS = ("bbox", "boundingbox", "box")
IMAGES = (
    *("image", "filename", "file", "filepath", "imagename", "imagefile", "imagefilename", "imagepath", "imageid"),
    *("path", "relativepath", "img", "imgname", "name"),
)
LABELS = ("label", "class", "classname", "category", "categoryname", "labelname", "species")
CONFIDENCES = ("confidence", "conf", "score", "detectionconfidence", "detectionconf")
IMAGE_SIDES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"))
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Which columns have the box: their names, `corners`, `size` or `centre`, and the units that they state."""

    columns: tuple[str, ...]
    form: str
    units: str


def read_table(source: Source) -> BoxContents | None:
    """One box per row; None for a table without a column of images and the columns of a box."""
    frame = source.frame
    if frame is None:
        return None
    columns = _plain(frame)
    name = next((columns[alias] for alias in IMAGES if alias in columns), None)
    layout = _layout(columns)
    listed = next((columns[alias] for alias in _list_names() if alias in columns), None)
    if name is None or (layout is None and listed is None):
        return None
    if layout is not None:
        cells = frame[list(layout.columns)]
        values = _corners(cells.apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True), layout.form)
        units, empty = layout.units, (cells == "").all(axis=1).to_numpy()
    else:
        values, units, empty = _of_lists(frame[str(listed)], str(listed), source.path)
    return _contents(frame, columns, frame[name].str.strip().tolist(), values, units=units, empty=empty, layout=layout)


def _plain(frame: pd.DataFrame) -> dict[str, str]:
    """The columns by name in lower case, letters and digits only; the first of several."""
    found: dict[str, str] = {}
    for column in frame.columns:
        found.setdefault(re.sub(r"[^a-z0-9]", "", str(column).lower()), column)
    return found


def _layout(columns: dict[str, str]) -> Layout | None:
    for word, units in UNITS:
        for names, form in LAYOUTS:
            for prefix in PREFIXES:
                for spelled in (
                    [f"{word}{prefix}{name}" for name in names],
                    [f"{prefix}{word}{name}" for name in names],
                    [f"{prefix}{name}{word}" for name in names],
                ):
                    if all(name in columns for name in spelled):
                        return Layout(tuple(columns[name] for name in spelled), form, units)
    return None


def _list_names() -> Sequence[str]:
    return [f"{name}{order}" for name in LISTS for order in ("", "xyxy", "xywh")]


def _corners(values: Floats, form: str) -> Floats:
    if form == "centre":
        values[:, :2] -= values[:, 2:] / 2
    if form in ("size", "centre"):
        values[:, 2:] += values[:, :2]
    return values


def _of_lists(cells: "pd.Series[str]", name: str, path: Path) -> tuple[Floats, str, NDArray[np.bool_]]:
    """Corners from lists of four numbers. Raises DatasetError where it is open what the last two of them are."""
    found = [[float(part) for part in NUMBER.findall(cell)] for cell in cells]
    values = np.array([row if len(row) == 4 else [np.nan] * 4 for row in found], float).reshape(-1, 4)
    plain = re.sub(r"[^a-z]", "", name.lower())
    if plain.endswith("xyxy"):
        form = "corners"
    elif plain.endswith("xywh"):
        form = "size"
    else:
        form = _form_of(values, name, path)
    return _corners(values, form), "", np.array([not row for row in found], bool)


def _form_of(values: Floats, name: str, path: Path) -> str:
    """`size` where the last two numbers cannot be a corner, `corners` where they cannot be sides."""
    known = values[np.isfinite(values).all(axis=1)]
    if (known[:, 2:] <= known[:, :2]).any():
        return "size"
    shares = bool((known <= 1).all())
    if shares and (known[:, :2] + known[:, 2:] > 1.01).any():
        return "corners"
    raise fault(
        f"The column {name} of {path.name} has boxes of four numbers, and nothing in them shows whether the last two "
        f"are the lower right corner or width and height. Call the column {name}_xyxy or {name}_xywh."
    )


def _contents(
    frame: pd.DataFrame,
    columns: dict[str, str],
    images: list[str],
    values: Floats,
    *,
    units: str,
    empty: NDArray[np.bool_],
    layout: Layout | None,
) -> BoxContents:
    is_part = "kind" in columns
    labels = _texts(frame, columns, ("kind",) if is_part else LABELS)
    confidences = _texts(frame, columns, CONFIDENCES)
    sizes = _sizes(frame, columns, values, layout)
    rows = zip(images, values.tolist(), labels, confidences, sizes.tolist(), empty.tolist(), strict=True)
    boxes: list[Box] = []
    refusals: list[Refusal] = []
    for line, (image, (x1, y1, x2, y2), label, confidence, (width, height), is_empty) in enumerate(rows, 2):
        if is_empty:
            refusals.append(Refusal(image, NO_BOX))
        else:
            known = confidence_of(confidence) if confidence else None
            boxes.append(Box(image, (x1, y1, x2, y2), f"line {line}", label, known, width, height))
    return BoxContents(format="table", boxes=boxes, units=units, is_part=is_part, refusals=refusals)


def _texts(frame: pd.DataFrame, columns: dict[str, str], aliases: Sequence[str]) -> list[str]:
    name = next((columns[alias] for alias in aliases if alias in columns), None)
    return [""] * len(frame) if name is None else frame[name].str.strip().tolist()


def _sizes(frame: pd.DataFrame, columns: dict[str, str], values: Floats, layout: Layout | None) -> Floats:
    """Width and height of the images where columns state them; `width` and `height` may be those of the box."""
    used = layout.columns if layout else ()
    for names in IMAGE_SIDES:
        if all(name in columns and columns[name] not in used for name in names):
            sides = frame[[columns[name] for name in names]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
            sides = np.where(np.isfinite(sides) & (sides > 0), sides, 0)
            are_of_boxes = names == ("width", "height") and (sides < values[:, 2:]).any()
            return np.zeros_like(sides) if are_of_boxes else sides
    return np.zeros((len(frame), 2))
