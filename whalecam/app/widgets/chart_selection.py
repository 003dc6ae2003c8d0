"""A selection in a chart as text that a URL can carry, and the images that it holds."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypedDict

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.errors import StreamlitAPIException

from whalecam.app.state import fields
from whalecam.errors import DatasetError
from whalecam.text import short

MAX_VERTICES = 60
NAMES = "images"
MALFORMED = "The selection in the URL cannot be read: {text}. Clear it, or draw it again in the chart."


class Corners(TypedDict):
    """A polygon by its vertices, a box by its two ends on each axis; in the chart's own units."""

    x: Sequence[float]
    y: Sequence[float]


class Selection(TypedDict, total=False):
    """What is selected in a chart, as `st.plotly_chart` gives it; `customdata` of a point starts with its image."""

    lasso: Sequence[Corners]
    box: Sequence[Corners]
    points: Sequence[Mapping[str, Sequence[object]]]


def encode(selection: Selection, axes: str) -> str:
    """A selection of a Plotly chart as text; "" for none.

    Args:
        axes: what the chart's axes show, without a space, as in `attention_score~reliance`.
    """
    outlines = [*selection.get("lasso", ()), *map(_corners, selection.get("box", ()))]
    if outlines:
        return f"{axes} " + ";".join(map(_vertices, outlines))
    names = [str(point["customdata"][0]) for point in selection.get("points", ()) if point.get("customdata")]
    return region_of(names)


def region_of(images: Sequence[str]) -> str:
    """Images by their names as `encode` writes a selection of points; "" for none."""
    return f"{NAMES} {json.dumps(list(dict.fromkeys(images)), ensure_ascii=False)}" if images else ""


def images_in(region: str, places: Callable[[str], pd.DataFrame]) -> tuple[str, ...]:
    """The images that a region holds, in the order of their rows.

    Args:
        region: from `encode`, or written by hand.
        places: the columns `image`, `x` and `y` for given axes; raises KeyError for axes that it does not know.

    Raises DatasetError for text that is no region.
    """
    axes, _, rest = region.strip().partition(" ")
    try:
        if axes == NAMES:
            return _names(rest)
        polygons = [_polygon(text) for text in rest.split(";")]
        points = places(axes)
    except (ValueError, KeyError) as error:
        raise DatasetError(MALFORMED.format(text=region[:80])) from error
    xy = points[["x", "y"]].to_numpy(np.float64)
    is_inside = np.zeros(len(points), bool)
    for polygon in polygons:
        is_inside |= inside(xy, polygon)
    return tuple(points.loc[is_inside, "image"])


def inside(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie in a polygon, by the even-odd rule: points (N, 2), vertices (M, 2) → (N,); NaN lies outside.

    A ray to the right of each point is counted against each edge (Shimrat 1962, CACM Algorithm 112).
    """
    x, y = points[:, 0], points[:, 1]
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd


def note(chart: str, target: str, axes: str) -> None:
    """The callback of a chart: what was selected in it becomes the value of the text field `target`."""
    region = encode(fields.value(chart)["selection"], axes)
    fields.set_values(**{target: region})
    with suppress(StreamlitAPIException):  # a field that is on the page already writes the address itself
        st.query_params[target] = region


def _corners(box: Corners) -> Corners:
    (x0, x1), (y0, y1) = box["x"], box["y"]
    return {"x": [x0, x1, x1, x0], "y": [y0, y0, y1, y1]}


def _vertices(outline: Corners) -> str:
    """`x,y x,y …`, of a long outline every n-th vertex, so that a URL can carry it."""
    pairs = list(zip(outline["x"], outline["y"], strict=True))
    step = -(-len(pairs) // MAX_VERTICES)
    return " ".join(f"{short(x, 4)},{short(y, 4)}" for x, y in pairs[::step])


def _polygon(text: str) -> NDArray[np.float64]:
    vertices = np.array([[float(number) for number in pair.split(",")] for pair in text.split()], np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3 or not np.isfinite(vertices).all():
        raise ValueError(f"no polygon: {text[:80]}")
    return vertices


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("no list of names")
    return tuple(names)
