"""What the browser is given for one map."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from whalecam.app.components.canvas import Layer, packed_layer
from whalecam.data.geometry import Frame

WHOLE = Frame(0.0, 0.0, 1.0, 1.0)


def test_the_signed_values_are_kept_and_the_largest_has_full_colour() -> None:
    layer = Layer.of(np.array([[-3.0, 0.0, 1.0], [2.0, 4.0, 0.5]]), WHOLE)
    assert np.frombuffer(layer.values, "<f4").tolist() == [-3.0, 0.0, 1.0, 2.0, 4.0, 0.5]
    assert (layer.height, layer.width, layer.top, layer.unit) == (2, 3, 4.0, "logits")


@pytest.mark.parametrize(("top", "expected"), [(2.0, 2.0), (9.0, 9.0), (0.0, 5.0), (-1.0, 5.0), (float("nan"), 5.0)])
def test_a_given_top_is_taken_where_it_can_be(top: float, expected: float) -> None:
    assert Layer.of(np.array([[1.0, 2.0, 5.0]]), WHOLE, top).top == expected


@pytest.mark.parametrize("top", [None, 2.0, 0.0, float("nan")])
@pytest.mark.parametrize("values", [[[-1.0, 0.0]], [[-np.inf, np.nan]]])
def test_a_map_with_nothing_positive_is_empty_at_any_scale(values: list[list[float]], top: float | None) -> None:
    assert Layer.of(np.array(values), WHOLE, top).top == 0.0


def test_cells_that_are_not_finite_do_not_set_the_scale() -> None:
    assert Layer.of(np.array([[np.nan, np.inf, 2.0, -np.inf]]), WHOLE).top == 2.0


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one map of shape"):
        Layer.of(np.zeros(shape), WHOLE)


@given(arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32)))
def test_the_browser_gets_every_value_back(values: NDArray[np.float32]) -> None:
    packed = packed_layer(Layer.of(values, Frame(0.1, 0.0, 0.9, 1.0)))
    assert packed is not None
    assert np.frombuffer(base64.b64decode(packed["values"]), "<f4").reshape(3, 4).tolist() == values.tolist()
    assert packed["frame"] == (0.1, 0.0, 0.9, 1.0)
    assert packed["top"] == max(0.0, values.max())


def test_no_layer_is_no_layer() -> None:
    assert packed_layer(None) is None
