"""Camtrap DP: `observations.csv`, whose `mediaID` leads to the file in `media.csv`; boxes in shares of the sides.

Source: camtrap-dp.tdwg.org/data.
"""

from pathlib import Path

import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.outlines import NOWHERE
from whalecam.data.readers.boxes.contents import (
    NO_ANIMALS,
    NO_BOX,
    Box,
    BoxContents,
    Refusal,
    corners_of_size,
    number,
    stated_orientation,
)
from whalecam.data.readers.boxes.source import Source
from whalecam.data.table import read_frame

COLUMNS = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
OBSERVATIONS, MEDIA, PACKAGE = "observations.csv", "media.csv", "datapackage.json"


def read_camtrap_dp(source: Source) -> BoxContents | None:
    """The observations of animals that have a box. A folder, its `datapackage.json`, or its `observations.csv`."""
    path = _observations(source)
    if path is None:
        return None
    frame = read_frame(path)
    if not {"mediaID", *COLUMNS} <= set(frame.columns):
        return None
    names = _names(frame, path)
    boxes: list[Box] = []
    refusals: list[Refusal] = []
    kinds = frame["observationType"] if "observationType" in frame else pd.Series("animal", frame.index)
    labels = frame["scientificName"] if "scientificName" in frame else pd.Series("", frame.index)
    rows = zip(names, kinds, labels, frame[list(COLUMNS)].to_numpy().tolist(), strict=True)
    for line, (name, kind, label, values) in enumerate(rows, 2):
        if str(kind).strip().lower() in NO_ANIMALS:
            refusals.append(Refusal(name, f"are of the type {str(kind).strip().lower()}, not an animal"))
        elif not any(str(value).strip() for value in values):
            refusals.append(Refusal(name, NO_BOX))
        else:
            corners = corners_of_size([number(value) for value in values]) if name else NOWHERE
            boxes.append(Box(name, corners, f"line {line}", str(label).strip()))
    package = Source(path.parent / PACKAGE)
    orientation = stated_orientation(package.json if package.path.is_file() else None)
    return BoxContents(format="Camtrap DP", boxes=boxes, units="shares", orientation=orientation, refusals=refusals)


def _observations(source: Source) -> Path | None:
    if source.kind == "folder":
        path = source.path / OBSERVATIONS
        return path if path.is_file() else None
    if source.path.name == PACKAGE and (source.path.parent / OBSERVATIONS).is_file():
        return source.path.parent / OBSERVATIONS
    return source.path if source.kind == "table" else None


def _names(frame: pd.DataFrame, path: Path) -> list[str]:
    """The file of each observation: its own `filePath`, else that of its medium. Raises DatasetError without both."""
    if "filePath" in frame:
        return [name.strip() for name in frame["filePath"]]
    media = path.parent / MEDIA
    if not media.is_file():
        raise fault(f"{path.name} names media by mediaID. Put {MEDIA}, which has their file paths, beside it.")
    table = read_frame(media)
    if not {"mediaID", "filePath"} <= set(table.columns):
        raise fault(f"{MEDIA} needs the columns mediaID and filePath. It has: {', '.join(table.columns[:10])}.")
    files = dict(zip(table["mediaID"].str.strip(), table["filePath"].str.strip(), strict=True))
    return [files.get(medium.strip(), medium.strip()) for medium in frame["mediaID"]]
