"""Box rows against the images of a data set: whose they are, and where they lie in the upright image."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import Progress, Report, silent
from whalecam.data import Shape, read_shape
from whalecam.data.geometry import TURNED, rotate_box
from whalecam.errors import DatasetError
from whalecam.explain.masks.boxes import beyond
from whalecam.explain.masks.join import Join, first

CHUNK = 128
CORNERS = ["x1", "y1", "x2", "y2"]
MANY_BEYOND = 0.1
"""Where a larger share of the boxes lie outside their images, they belong to images of another size."""
Bools = NDArray[np.bool_]


def join_boxes(
    images: Mapping[str, str], boxes: pd.DataFrame, orientation: str | None, report: Report = silent
) -> tuple[Join, pd.DataFrame]:
    """What box files have for the images, and the usable rows, turned to lie in the upright images.

    Args:
        images: the file of each usable image, by name; empty where unknown, which leaves its boxes as they are.
        boxes: what `dataset.read_boxes` gives.
        orientation: `stored` or `upright`, the pixels that the boxes speak of; None: nobody said.

    Raises DatasetError where no image has a box, where an image is turned by EXIF and `orientation` is None, and where
    boxes belong to images of another size.
    """
    refused = tuple(f"{text}." for text in boxes.attrs.get("refused", ()))
    given = len(boxes) + int(boxes.attrs.get("refused_rows", 0))
    own = boxes[boxes["image"].isin(set(images))]
    if images and own.empty:
        raise DatasetError(_nothing(boxes, list(images), given, refused))
    shapes = _shapes({name: images[name] for name in own["image"].unique()}, report)
    _check_orientation(shapes, orientation)
    placed = _upright(own, shapes) if orientation == "stored" else own
    out = _beyond(placed, shapes)
    _check_size(placed, out, shapes)
    kept = placed[~out]
    strange = boxes.loc[~boxes["image"].isin(set(images)), "image"].tolist()
    unused = first([*strange, *placed.loc[out, "image"].tolist()])
    notes = (*refused, *([_words(placed, out, shapes)] if out.any() else []))
    kept.attrs.update(boxes.attrs)
    return Join("boxes", len(images), kept["image"].nunique(), given, given - len(kept), unused, notes), kept


def _nothing(boxes: pd.DataFrame, images: Sequence[str], given: int, refused: Sequence[str]) -> str:
    names = ", ".join(first(boxes["image"].tolist()))
    ours = ", ".join(first(images))
    why = f"{names}; the images are called {ours}. Both must be equal" if names else "none of them can be used"
    return " ".join(
        (f"Boxes: matched 0 of {len(images):,} images, {given:,} of {given:,} rows were not used: {why}.", *refused)
    )


def _shapes(files: Mapping[str, str], report: Report) -> dict[str, Shape]:
    """Size and orientation of every image whose file is known and can be read."""
    known = [(name, path) for name, path in files.items() if path]
    parts = [known[start : start + CHUNK] for start in range(0, len(known), CHUNK)]
    found: dict[str, Shape] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, shapes in enumerate(pool.map(_part, parts)):
            report(Progress("looking at image sizes", number * CHUNK, len(known)))
            found.update(shapes)
    return found


def _part(files: Sequence[tuple[str, str]]) -> dict[str, Shape]:
    found = {}
    for name, path in files:
        with contextlib.suppress(DatasetError):  # an image that cannot be read is not audited
            found[name] = read_shape(Path(path))
    return found


def _check_orientation(shapes: Mapping[str, Shape], orientation: str | None) -> None:
    turned = [name for name, shape in shapes.items() if shape.orientation != 1]
    if turned and orientation is None:
        names = ", ".join(f"{name} ({shapes[name].orientation})" for name in turned[:3])
        raise DatasetError(
            f"{len(turned):,} of {len(shapes):,} images with boxes are turned by their EXIF orientation: {names}. "
            "Boxes may lie in their pixels as stored in the file, or upright as displayed. State which: "
            "--box-orientation stored or --box-orientation upright."
        )


def _upright(rows: pd.DataFrame, shapes: Mapping[str, Shape]) -> pd.DataFrame:
    """Rows in pixels or shares of the files as stored → of the upright images."""
    corners = rows[CORNERS].to_numpy(float, copy=True)
    for at, (name, relative) in enumerate(zip(rows["image"], rows["relative"], strict=True)):
        shape = shapes.get(name)
        if shape is None or shape.orientation == 1:
            continue
        width, height = (1, 1) if relative else (shape.width, shape.height)
        if shape.orientation >= TURNED:
            width, height = height, width
        x1, y1, x2, y2 = corners[at].tolist()
        corners[at] = rotate_box((x1, y1, x2, y2), width, height, shape.orientation)
    return rows.assign(**dict(zip(CORNERS, corners.T, strict=True)))


def _beyond(rows: pd.DataFrame, shapes: Mapping[str, Shape]) -> Bools:
    """Which rows cannot belong to their image, whose size is known."""
    found = np.zeros(len(rows), bool)
    values = zip(rows["image"], rows["relative"], rows[CORNERS].to_numpy(float).tolist(), strict=True)
    for at, (name, relative, box) in enumerate(values):
        shape = shapes.get(name)
        if shape is not None:
            scale = (shape.width, shape.height) if relative else (1, 1)
            x1, y1, x2, y2 = box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]
            found[at] = beyond((x1, y1, x2, y2), shape.width, shape.height)
    return found


def _check_size(rows: pd.DataFrame, out: Bools, shapes: Mapping[str, Shape]) -> None:
    if out.sum() > max(1, MANY_BEYOND * len(rows)) or (out.any() and out.all()):
        raise DatasetError(
            f"{_words(rows, out, shapes)} The boxes belong to images of another size, so those inside are wrong too. "
            "Scale them to these images, or give shares of the sides (0 to 1)."
        )


def _words(rows: pd.DataFrame, out: Bools, shapes: Mapping[str, Shape]) -> str:
    row = rows[out].iloc[0]
    shape = shapes[row["image"]]
    to = f"{row['x2']:.4g}, {row['y2']:.4g}"
    return (
        f"{int(out.sum()):,} of {len(rows):,} boxes lie outside their image, as one of {row['image']} that reaches to "
        f"{to} where the image has {shape.width} × {shape.height} pixels."
    )
