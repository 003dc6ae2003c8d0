"""Box files: where the animal, its fin or its fluke stands, in any of the layouts people use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.table import read_frame

NAMES = ("image", "filename")
CORNERS = ("x1", "y1", "x2", "y2")
SIZES = ("x", "y", "w", "h")
COLUMNS = ["image", *CORNERS, "kind", "kind_raw", "relative", "source"]
LAYOUTS = tuple(
    (tuple(f"{prefix}{name}" for name in names), names == SIZES)
    for prefix in ("rel_", "", "px_")
    for names in (CORNERS, SIZES)
)
# Shares of a side, rounded on their way, add up to a little more than 1; a box of whole pixels never ends so near 1.
LARGEST_SHARE = 1.01


def read_boxes(paths: Sequence[Path]) -> pd.DataFrame:
    """Boxes of several files, one below the other.

    Returns: `image`, `x1 y1 x2 y2` (float, in pixels of the file as stored, or shares of its sides where `relative`),
    `kind` (body, fin or fluke), `kind_raw` as written, `source` the file's name. `attrs["refused"]` lists in words what
    could not be used, `attrs["refused_rows"]` counts it. Raises DatasetError for a file that is no box file.
    """
    frames, refused, rows = [], [], 0
    for path in paths:
        frame, words, bad = _one_file(Path(path))
        frames.append(frame)
        refused += words
        rows += bad
    boxes = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    boxes.attrs.update(refused=refused, refused_rows=rows)
    return boxes


def _one_file(path: Path) -> tuple[pd.DataFrame, list[str], int]:
    """The usable boxes of a file, what is wrong with the others in words, and how many those are."""
    raw = read_frame(path)
    name = next((column for column in NAMES if column in raw), None)
    layout = next(((columns, sized) for columns, sized in LAYOUTS if set(columns) <= set(raw.columns)), None)
    if name is None or layout is None:
        raise fault(
            f"{path.name} is not a box file. It needs image (or filename) and x1,y1,x2,y2 or x,y,w,h. "
            f"It has: {', '.join(map(str, raw.columns[:10]))}."
        )
    columns, sized = layout
    values = raw[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True)
    if sized:
        values[:, 2:] += values[:, :2]
    frame = pd.DataFrame(values, columns=list(CORNERS))
    frame.insert(0, "image", raw[name].str.strip().to_numpy())
    frame["kind_raw"] = raw["kind"].to_numpy() if "kind" in raw else "body"
    frame["kind"] = [kind_of(text) for text in frame["kind_raw"]]
    frame["relative"] = columns[0].startswith("rel_") or bool(np.nanmax(values, initial=0) <= LARGEST_SHARE)
    frame["source"] = path.name
    return _usable(frame[COLUMNS], path)


def kind_of(text: str) -> str:
    """`body`, `fin` or `fluke` from whatever a file calls it; a body unless it says otherwise."""
    words = text.lower()
    return next((kind for kind in ("fluke", "fin") if kind in words), "body")


def _usable(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str], int]:
    corners = frame[list(CORNERS)].to_numpy(float)
    broken = ~np.isfinite(corners).all(axis=1) | (frame["image"] == "").to_numpy()
    flat = ~broken & ((corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1]))
    refused = [
        f"{path.name}: {int(bad.sum()):,} of {len(frame):,} boxes {why}"
        for bad, why in ((broken, "have no name or no numbers"), (flat, "have no area"))
        if bad.any()
    ]
    return frame[~broken & ~flat], refused, int((broken | flat).sum())
