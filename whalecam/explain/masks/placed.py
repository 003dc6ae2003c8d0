"""Box rows against the images of a data set: whose they are, and where they lie in the upright image."""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, silent, typed_records
from whalecam.config import MaskOptions
from whalecam.data import BoxRow, BoxTable, Shape, read_shape
from whalecam.data.matching import match
from whalecam.data.outlines import Corners
from whalecam.errors import DatasetError
from whalecam.explain.masks.box_checks import PlacedBox, check_boxes, reasons
from whalecam.explain.masks.join import Join, first
from whalecam.explain.masks.place import Place, place

CHUNK = 128
CORNERS = ["x1", "y1", "x2", "y2"]
EVIDENCE = {"stated": "as stated", "format": "as the format says", "size": "by the sizes in the file"}


def join_boxes(
    images: Mapping[str, str],
    table: BoxTable,
    options: MaskOptions,
    *,
    home: Path | None = None,
    report: Report = silent,
    looked_at: int | None = None,
) -> tuple[Join, pd.DataFrame]:
    """What box files have for the images, and the usable rows by image, each with its `place` where it is known.

    Args:
        images: the file of each usable image, by name; empty where unknown, which leaves its boxes as they are.
        home: the folder of the images.
        looked_at: of how many images the size is read at most, drawn at random; None: of all that have boxes.

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
    owners = own["image"].unique().tolist()
    chosen = owners if looked_at is None or len(owners) <= looked_at else _drawn(owners, looked_at)
    shapes = _shapes({name: images[name] for name in chosen}, report)
    rows = typed_records(own, BoxRow)
    places = [place(row, shapes[row["image"]], options) if row["image"] in shapes else None for row in rows]
    boxes = [
        PlacedBox(row, shapes[row["image"]], place_of)
        for row, place_of in zip(rows, places, strict=True)
        if place_of is not None
    ]
    check_boxes(boxes, options)
    kept = _kept(own, places, shapes)
    strange = [name for name in table.rows["image"] if name not in names]
    unused = first([*strange, *(box.image for box in boxes if box.place.reason), *table.unused])
    notes = (*refused, *notes, *reasons(boxes))
    if len(chosen) < len(owners):
        notes += (f"The sizes of {len(chosen):,} images were looked at; an audit looks at all {len(owners):,}.",)
    read_as = (*table.read_as, *_read_as(boxes))
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
    owners = {name: result.file for name, result in zip(distinct, matches, strict=True) if result.file}
    left = [name for name, result in zip(distinct, matches, strict=True) if not result.file and not result.candidates]
    if left and home is not None:
        own, used = {_relative(path, home): image for image, path in images.items() if path}, set(owners.values())
        for name, result in zip(left, match(left, own, home=home)[0], strict=True):
            if result.file and own[result.file] not in used:
                owners[name] = own[result.file]
    # A name without a folder that no image has is a box of an image that is not in the data set, which is no fault.
    is_doubtful = bool(report.ambiguous) or any("/" in name or "\\" in name for name in left if name not in owners)
    return owners, (*report.spelled, *([report.reason] if is_doubtful else [])), report.reason


def _drawn(names: list[str], count: int) -> list[str]:
    """Some of the names, in their order, the same every time."""
    places = np.random.default_rng(0).choice(len(names), count, replace=False)
    return [names[at] for at in sorted(places.tolist())]


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


def _kept(own: pd.DataFrame, places: Sequence[Place | None], shapes: Mapping[str, Shape]) -> pd.DataFrame:
    """The usable rows; the corners of those with a place lie in the upright image, in the units that they had."""
    usable = np.array([where is None or not where.reason for where in places], bool)
    kept = own[usable].copy()
    chosen = [where for where, is_usable in zip(places, usable, strict=True) if is_usable]
    corners = [
        _corners(row, where, shapes) if where else (row["x1"], row["y1"], row["x2"], row["y2"])
        for row, where in zip(typed_records(kept, BoxRow), chosen, strict=True)
    ]
    kept[CORNERS] = pd.DataFrame(corners, columns=CORNERS, index=kept.index, dtype=float)
    kept["place"] = pd.Series(chosen, index=kept.index, dtype=object)
    return kept.reset_index(drop=True)


def _corners(row: BoxRow, where: Place, shapes: Mapping[str, Shape]) -> Corners:
    if not row["relative"]:
        return where.corners
    width, height, _ = shapes[row["image"]]
    x1, y1, x2, y2 = where.corners
    return (x1 / width, y1 / height, x2 / width, y2 / height)


def _read_as(boxes: Sequence[PlacedBox]) -> tuple[str, ...]:
    """How the boxes of turned images and of copies were taken."""
    used = [box.place for box in boxes if not box.place.reason]
    counts = Counter((where.orientation, where.evidence) for where in used if where.orientation)
    lines = [
        f"{count:,} boxes of turned images are {orientation}, {EVIDENCE[evidence]}."
        for (orientation, evidence), count in sorted(counts.items())
    ]
    scaled = sum(where.is_scaled for where in used)
    if scaled:
        lines.append(f"{scaled:,} boxes were scaled from the size that the file states to that of their image.")
    return tuple(lines)
