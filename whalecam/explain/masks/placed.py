"""Box rows against the images of a data set: whose they are, and where they lie in the upright image."""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, records, silent
from whalecam.config import MaskOptions
from whalecam.data import BoxTable, Shape, read_shape
from whalecam.data.matching import match
from whalecam.data.outlines import Corners
from whalecam.errors import DatasetError
from whalecam.explain.masks.join import Join, first
from whalecam.explain.masks.place import UNDECIDED, Place, place

CHUNK = 128
CORNERS = ["x1", "y1", "x2", "y2"]
MANY_BEYOND = 0.1
"""Where a larger share of the boxes lie outside their images, they belong to images of another size."""
COPIES = (1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20)
"""How many times larger a copy of an image may be."""
MIN_BOXES = 8
"""From so many boxes on it is no chance that all lie in one corner."""
PERCENT = 100.5
OUTSIDE = "lie outside their image"
EVIDENCE = {"stated": "as stated", "format": "as the format says", "size": "by the sizes in the file"}


def join_boxes(
    images: Mapping[str, str], table: BoxTable, options: MaskOptions, home: Path | None = None, report: Report = silent
) -> tuple[Join, pd.DataFrame]:
    """What box files have for the images, and the usable rows by image, each with its `place` where it is known.

    Args:
        images: the file of each usable image, by name; empty where unknown, which leaves its boxes as they are.
        home: the folder of the images.

    Raises DatasetError where no image has a box, where nothing shows how the boxes of a turned image lie, and where
    boxes belong to images of another size or may be of other units.
    """
    given = len(table.rows) + len(table.unused)
    refused = tuple(f"{text}." for text in table.refused)
    names, notes, why = _matched(table.rows["image"].tolist(), images, home)
    own = table.rows.assign(image=[names.get(name, "") for name in table.rows["image"]])
    own = own[own["image"] != ""]
    if images and own.empty:
        raise DatasetError(_nothing(table, list(images), given, (*refused, why)))
    shapes = _shapes({name: images[name] for name in own["image"].unique()}, report)
    rows = records(own)
    places = [place(row, shapes[row["image"]], options) if row["image"] in shapes else None for row in rows]
    _check_orientation(rows, places, shapes)
    outside = [at for at, found in enumerate(places) if found is not None and found.reason == OUTSIDE]
    _check_size(rows, places, outside, shapes)
    _check_units(rows, places, shapes, options)
    kept = _kept(own, places, shapes)
    strange = [name for name in table.rows["image"] if name not in names]
    bad = [row["image"] for row, found in zip(rows, places, strict=True) if found is not None and found.reason]
    unused = first([*strange, *bad, *table.unused])
    notes = (*refused, *notes, *_reasons(rows, places, shapes))
    read_as = (*table.read_as, *_read_as(places))
    return (
        Join("boxes", len(images), kept["image"].nunique(), given, given - len(kept), unused, notes, read_as),
        kept,
    )


def _matched(
    names: Sequence[str], images: Mapping[str, str], home: Path | None
) -> tuple[dict[str, str], tuple[str, ...], str]:
    """The image of each name in the box files, by its own name or the path of its file; notes; why others have none."""
    distinct = list(dict.fromkeys(names))
    matches, report = match(distinct, images, home=home)
    found = {name: result.file for name, result in zip(distinct, matches, strict=True) if result.file}
    left = [name for name, result in zip(distinct, matches, strict=True) if not result.file and not result.candidates]
    if left and home is not None:
        own, taken = {_relative(path, home): image for image, path in images.items() if path}, set(found.values())
        for name, result in zip(left, match(left, own, home=home)[0], strict=True):
            if result.file and own[result.file] not in taken:
                found[name] = own[result.file]
    # A name without a folder that no image has is a box of an image that is not in the data set, which is no fault.
    is_doubtful = bool(report.ambiguous) or any("/" in name or "\\" in name for name in left if name not in found)
    return found, (*report.notes, *([report.reason] if is_doubtful else [])), report.reason


def _relative(path: str, home: Path) -> str:
    return os.path.relpath(path, home).replace(os.sep, "/")


def _nothing(table: BoxTable, images: Sequence[str], given: int, refused: Sequence[str]) -> str:
    names = ", ".join(first(table.rows["image"].tolist()))
    ours = ", ".join(first(images))
    why = f"{names}; the images are called {ours}" if names else "none of them can be used"
    text = f"Boxes: matched 0 of {len(images):,} images, {given:,} of {given:,} rows were not used: {why}."
    return " ".join(part for part in (text, *refused) if part)


def _shapes(files: Mapping[str, str], report: Report) -> dict[str, Shape]:
    """Size and orientation of every image whose file is known and can be read."""
    known = [(name, path) for name, path in files.items() if path]
    parts = [known[start : start + CHUNK] for start in range(0, len(known), CHUNK)]
    shapes: dict[str, Shape] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for at, part in enumerate(pool.map(_part, parts)):
            report(Progress("looking at image sizes", at * CHUNK, len(known)))
            shapes.update(part)
    return shapes


def _part(files: Sequence[tuple[str, str]]) -> dict[str, Shape]:
    shapes = {}
    for name, path in files:
        with contextlib.suppress(DatasetError):  # an image that cannot be read is not audited
            shapes[name] = read_shape(Path(path))
    return shapes


def _check_orientation(
    rows: Sequence[Mapping[str, Any]], places: Sequence[Place | None], shapes: Mapping[str, Shape]
) -> None:
    open_images = [
        row["image"] for row, at in zip(rows, places, strict=True) if at is not None and at.reason == UNDECIDED
    ]
    turned = list(dict.fromkeys(open_images))
    if turned:
        names = ", ".join(f"{name} ({shapes[name].orientation})" for name in turned[:3])
        raise DatasetError(
            f"{len(turned):,} of {len(shapes):,} images with boxes are turned by their EXIF orientation: {names}. "
            "Boxes may lie in their pixels as stored in the file, or upright as displayed. State which: "
            "--box-orientation stored or --box-orientation upright."
        )


def _check_size(
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[Place | None],
    outside: Sequence[int],
    shapes: Mapping[str, Shape],
) -> None:
    bad = sum(bool(found and found.reason) for found in places)
    if bad and bad == len(places) and not outside:
        raise DatasetError(" ".join(_reasons(rows, places, shapes)))
    if len(outside) > max(1, MANY_BEYOND * len(rows)) or (outside and bad == len(rows)):
        reach = max(max(found.reach) for at in outside if (found := places[at]) is not None)
        copy = next((factor for factor in COPIES if reach <= factor * 1.02), None)
        looks = f" They look like boxes of a copy of {copy:g} × the size." if copy else ""
        raise DatasetError(
            f"{_outside_words(rows, places, outside, shapes)}{looks} The boxes belong to images of another size, so "
            "those inside are wrong too. Scale them to these images, or give shares of the sides (0 to 1)."
        )


def _check_units(
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[Place | None],
    shapes: Mapping[str, Shape],
    options: MaskOptions,
) -> None:
    """Refuse pixels that may be percent, or pixels of a smaller copy, where nobody states the units."""
    pairs = [
        (row, found)
        for row, found in zip(rows, places, strict=True)
        if found is not None and not found.reason and not row["relative"] and not row.get("stated_width")
    ]
    if len(pairs) < MIN_BOXES or options.box_units != "auto" or any(row.get("units_stated") for row, _ in pairs):
        return
    reach = max(max(found.reach) for _, found in pairs)
    text = f"All {len(pairs):,} boxes"
    copy = next((factor for factor in reversed(COPIES) if factor >= 2 and reach <= 1 / factor), None)
    if copy:
        raise DatasetError(
            f"{text} lie in the upper left corner of their images, where they reach no further than {reach:.0%} of a "
            f"side: they look like boxes of a copy of 1/{copy:g} of the size, or percent. State it: --box-units pixels "
            "if they are right, --box-units percent, or give shares of the sides."
        )
    values = [row[name] for row, _ in pairs for name in CORNERS]
    small = min(min(shapes[row["image"]][:2]) for row, _ in pairs)
    if max(values) <= PERCENT < small and any(value != round(value) for value in values):
        raise DatasetError(
            f"{text} have values up to {max(values):.4g}, with fractions, in images of at least {small} pixels: they "
            "may be pixels or percent of the sides. State it: --box-units pixels or --box-units percent."
        )


def _kept(own: pd.DataFrame, places: Sequence[Place | None], shapes: Mapping[str, Shape]) -> pd.DataFrame:
    """The usable rows; the corners of those with a place lie in the upright image, in the units that they had."""
    usable = np.array([found is None or not found.reason for found in places], bool)
    kept = own[usable].copy()
    chosen = [found for found, is_usable in zip(places, usable, strict=True) if is_usable]
    corners = [
        _corners(row, found, shapes) if found else tuple(row[name] for name in CORNERS)
        for row, found in zip(records(kept), chosen, strict=True)
    ]
    kept[CORNERS] = pd.DataFrame(corners, columns=CORNERS, index=kept.index, dtype=float)
    kept["place"] = pd.Series(chosen, index=kept.index, dtype=object)
    return kept.reset_index(drop=True)


def _corners(row: Mapping[str, Any], found: Place, shapes: Mapping[str, Shape]) -> Corners:
    if not row["relative"]:
        return found.corners
    width, height, _ = shapes[row["image"]]
    x1, y1, x2, y2 = found.corners
    return (x1 / width, y1 / height, x2 / width, y2 / height)


def _reasons(
    rows: Sequence[Mapping[str, Any]], places: Sequence[Place | None], shapes: Mapping[str, Shape]
) -> tuple[str, ...]:
    """Why boxes are not used, a sentence for each reason."""
    bad = [(row, at) for at, (row, found) in enumerate(zip(rows, places, strict=True)) if found and found.reason]
    outside = [at for _, at in bad if (found := places[at]) is not None and found.reason == OUTSIDE]
    other = [(row, at) for row, at in bad if at not in set(outside)]
    notes = [_outside_words(rows, places, outside, shapes)] if outside else []
    if other:
        row, at = other[0]
        found = places[at]
        notes.append(
            f"{len(other):,} of {len(rows):,} boxes belong to an image of another shape, as one of {row['image']}: "
            f"{found.reason if found else ''}."
        )
    return tuple(notes)


def _outside_words(
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[Place | None],
    outside: Sequence[int],
    shapes: Mapping[str, Shape],
) -> str:
    row, found = rows[outside[0]], places[outside[0]]
    shape = shapes[row["image"]]
    corners = (found or Place()).corners
    return (
        f"{len(outside):,} of {len(rows):,} boxes lie outside their image, as one of {row['image']} that reaches to "
        f"{corners[2]:.4g}, {corners[3]:.4g} where the image has {shape.width} × {shape.height} pixels."
    )


def _read_as(places: Sequence[Place | None]) -> tuple[str, ...]:
    """How the boxes of turned images and of copies were taken."""
    used = [found for found in places if found is not None and not found.reason]
    counts = Counter((found.orientation, found.evidence) for found in used if found.orientation)
    lines = [
        f"{count:,} boxes of turned images are {orientation}, {EVIDENCE[evidence]}."
        for (orientation, evidence), count in sorted(counts.items())
    ]
    scaled = sum(found.is_scaled for found in used)
    if scaled:
        lines.append(f"{scaled:,} boxes were scaled from the size that the file states to that of their image.")
    return tuple(lines)
