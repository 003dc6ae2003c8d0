"""A selection in a chart: as text and back, and which images it holds."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from whalecam.app.widgets import chart_selection
from whalecam.app.widgets.chart_selection import Corners
from whalecam.errors import DatasetError

POINTS = pd.DataFrame(
    {"image": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "x": [0.5, 1.5, 0.25, np.nan], "y": [0.5, 0.5, 0.75, 0.5]}
)


def places(axes: str) -> pd.DataFrame:
    if axes != "attention_score~reliance":
        raise KeyError(axes)
    return POINTS


def held(selection: chart_selection.Selection) -> tuple[str, ...]:
    return chart_selection.images_in(chart_selection.encode(selection, "attention_score~reliance"), places)


def test_a_box_holds_what_lies_in_it() -> None:
    box: Corners = {"x": [0, 1], "y": [0.4, 0.6]}
    assert (
        chart_selection.encode({"box": [box]}, "attention_score~reliance")
        == "attention_score~reliance 0,0.4 1,0.4 1,0.6 0,0.6"
    )
    assert held({"box": [box]}) == ("a.jpg",)
    assert held({"box": [box, {"x": [1.2, 2], "y": [0, 1]}]}) == ("a.jpg", "b.jpg")


def test_a_lasso_holds_what_lies_in_it_and_nothing_in_its_dent() -> None:
    # A V is cut out from above, and a.jpg lies in it.
    dented: Corners = {"x": [0, 1, 1, 0.5, 0], "y": [0, 0, 1, 0.4, 1]}
    assert held({"lasso": [dented]}) == ()
    assert held({"lasso": [{"x": [0, 1, 1, 0.5, 0], "y": [0, 0, 1, 0.6, 1]}]}) == ("a.jpg", "c.jpg")
    square: Corners = {"x": [0, 1, 1, 0], "y": [0, 0, 1, 1]}
    assert held({"lasso": [square]}) == ("a.jpg", "c.jpg")


def test_single_points_are_named() -> None:
    names = ["b.jpg", 'odd "name; 1,2.jpg', "b.jpg"]
    text = chart_selection.encode({"points": [{"customdata": [name]} for name in names], "box": []}, "pca")
    assert text == "images " + json.dumps(["b.jpg", 'odd "name; 1,2.jpg'])
    assert chart_selection.images_in(text, places) == ("b.jpg", 'odd "name; 1,2.jpg')


def test_nothing_selected_is_no_region() -> None:
    assert chart_selection.encode({"points": [], "box": [], "lasso": []}, "pca") == ""


def test_a_long_outline_is_thinned_for_the_address_and_holds_the_same() -> None:
    angles = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    circle: Corners = {"x": list(1.5 + 0.3 * np.cos(angles)), "y": list(0.5 + 0.3 * np.sin(angles))}
    text = chart_selection.encode({"lasso": [circle]}, "attention_score~reliance")
    assert len(text.split()) <= chart_selection.MAX_VERTICES + 1
    assert chart_selection.images_in(text, places) == ("b.jpg",)


@pytest.mark.parametrize(
    "text",
    [
        "attention_score~reliance",
        "attention_score~reliance 1,2 3,4",
        "attention_score~reliance 1,2 3,4 5",
        "attention_score~reliance 1,2 3,4 nan,5",
        "attention_score~reliance 0,0 1,0 one,1",
        "size~age 0,0 1,0 1,1",
        "images",
        'images {"a": 1}',
        "images [1, 2]",
        'images ["a.jpg"',
    ],
)
def test_what_is_no_region_is_refused_in_words(text: str) -> None:
    with pytest.raises(DatasetError, match="selection in the URL cannot be read"):
        chart_selection.images_in(text, places)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=9, unique=True),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_inside_agrees_with_winding_by_matplotlib_where_no_edge_crosses(
    vertices: list[tuple[int, int]], corners: list[tuple[int, int]]
) -> None:
    center = np.mean(vertices, axis=0)
    star = sorted(vertices, key=lambda v: (float(np.arctan2(v[1] - center[1], v[0] - center[0])), v))
    polygon, points = np.array(star, float), np.array(corners, float) + [0.37, 0.29]
    expected = Outline(np.vstack([polygon, polygon[:1]]), closed=True).contains_points(points)
    near = np.array([_on_an_edge(point, polygon) for point in points])
    assert (chart_selection.inside(points, polygon) == expected)[~near].all()


def _on_an_edge(point: np.ndarray, polygon: np.ndarray) -> bool:
    ends = np.roll(polygon, -1, axis=0)
    way = ends - polygon
    share = np.clip(((point - polygon) * way).sum(1) / np.maximum((way**2).sum(1), 1e-12), 0, 1)
    return bool((np.hypot(*(polygon + share[:, None] * way - point).T) < 1e-6).any())
