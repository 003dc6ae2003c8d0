"""The large image under its heat, drawn in the browser; and the controls that act there without a server run."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypedDict

import numpy as np
import streamlit as st

from whalecam.app.components.assets import module, text
from whalecam.app.components.canvas.drawing import Answer, CutRequest, Drawing, Saved, corners_of
from whalecam.app.state import events, fields
from whalecam.arrays import FloatArray
from whalecam.config import MASK_GRID, REVIEW_VERDICTS
from whalecam.data.geometry import Frame
from whalecam.explain.render import COLOURMAPS, lut

UNIT = "logits"
_component = st.components.v2.component(
    "whalecam_canvas",
    html='<div class="view"></div>',
    css=text("canvas/canvas.css"),
    js=module("canvas/canvas.js"),
)


@dataclass(frozen=True)
class Layer:
    """The evidence of one image for one class, ready for the browser.

    Attributes:
        values: float32 little-endian, height × width row by row; the signed evidence in `unit`. The browser paints the
            positive part, and shows the value under the cursor with its sign.
        height, width: of the map, in cells.
        top: evidence at full colour, in `unit`; 0 where nothing is positive.
        frame: the part of the image that the map covers.
        unit: of `values` and `top`.
    """

    values: bytes
    height: int
    width: int
    top: float
    frame: Frame
    unit: str = UNIT

    @classmethod
    def of(cls, values: FloatArray, frame: Frame, top: float | None = None) -> "Layer":
        """The layer of a signed map in logits, shape (h, w).

        Args:
            values: the map; cells that are not finite are left clear and read "undefined".
            top: evidence at full colour; None, or nothing above 0, takes the map's own largest value.

        Raises:
            ValueError: the map is not two-dimensional, or empty.
        """
        signed = np.asarray(values, "<f4")
        if signed.ndim != 2 or not signed.size:
            raise ValueError(f"a layer is made from one map of shape (h, w), not {signed.shape}")
        peak = float(signed[np.isfinite(signed)].max(initial=0))
        full = float(top) if top is not None and np.isfinite(top) and top > 0 else peak
        height, width = signed.shape
        return cls(signed.tobytes(), height, width, full if peak > 0 else 0.0, frame)


@dataclass(frozen=True)
class Sides:
    """What stands beside the image under its heat when a key asks for it. All texts are shown as they are.

    Attributes:
        title: what the three are of.
        plain: under the image as it is.
        uri: the image on a changed background, as a data URI; "" where there is none.
        changed: under that.
        verdict: what people decided, "" where nobody has.
    """

    title: str
    plain: str
    uri: str = ""
    changed: str = ""
    verdict: str = ""


def heat_canvas(
    image_uri: str,
    layer: Layer | None,
    mask_bits: bytes | None,
    caption: str,
    *,
    key: str,
    height: int = 560,
    colours: Sequence[str] = tuple(COLOURMAPS),
    fills: bool = False,
    drawing: Drawing | None = None,
    answer: Answer | None = None,
    sides: Sides | None = None,
    reasons: int = 0,
) -> str | Saved | CutRequest | None:
    """The photograph under its heat, with the value under the cursor and a legend with numbers.

    Opacity, threshold, colours, outline and heat come from the URL, in the browser (see `overlay_controls`).

    Args:
        image_uri: the upright image as a data URI.
        layer: what to paint; None where there is no map.
        mask_bits: the mask of the whole image, MASK_GRID × MASK_GRID bits, packed; None where there is none.
        caption: what is shown, in plain text.
        height: largest height of the image in CSS pixels; `fills`: whether it takes the height of a tall window.
        colours: colour maps that can be chosen.
        drawing: the mask to go on drawing from, None: it cannot be corrected here; `answer`: the server's last to one.
        sides: what the key C shows beside the image; `reasons`: for how many there are keys, at most 9.

    Returns:
        The key pressed since the last run: `next`, `previous`, `flag`, `keep`, `unsure`, `undo`, `redo`, `skip`,
        `help` or the number of a reason; a mask that was drawn and is to be saved; two corners to cut the subject out
        of; else None.
    """
    shown = zlib.crc32(image_uri.encode())
    looks = {"height": height, "fills": fills, "tables": colour_tables(colours), "maskGrid": MASK_GRID}
    data = {
        "inbox": events.inbox(key),
        "picture": image_uri,
        "shown": shown,
        "layer": packed_layer(layer),
        "mask": text64(mask_bits) if mask_bits else None,
        "caption": caption,
        "drawing": drawing.packed() if drawing else None,
        "answer": answer,
        "sides": vars(sides) if sides else None,
        "reasons": reasons,
    }
    _component(key=key, data=looks | data, on_did_change=events.noting(key))
    return _event(events.take(key), shown)


def overlay_controls(*, has_maps: bool = True, has_masks: bool = True, of: str = "this audit has") -> None:
    """Opacity, threshold, colours, outline and heat in the sidebar; without maps, the outline alone.

    They act in the browser: no server run.

    Args:
        has_masks: whether there are outlines to show.
        of: what has no maps, as the beginning of a clause.
    """
    with st.sidebar:
        st.subheader("Heat", anchor=False)
        if has_maps:
            _heat_controls()
        else:
            st.caption(f"No heat is shown, because {of} no maps.")
        if has_masks:
            st.toggle("Outline of the mask", True, key="outline", bind="query-params", on_change="ignore")
    fields.unbind("heat", "opacity", "threshold", "colours", "outline")


def _heat_controls() -> None:
    st.toggle("Show the heat", True, key="heat", bind="query-params", on_change="ignore")
    st.slider(
        "Opacity",
        0.0,
        1.0,
        0.6,
        0.05,
        key="opacity",
        bind="query-params",
        on_change="ignore",
        help="Of the strongest heat on the large image. On cards it is three quarters of that.",
    )
    st.slider(
        "Heat threshold",
        0.0,
        1.0,
        0.0,
        0.05,
        key="threshold",
        bind="query-params",
        on_change="ignore",
        help="Evidence below this share of the value at full colour is not painted. Scores do not change.",
    )
    st.selectbox("Colours", tuple(COLOURMAPS), key="colours", bind="query-params", on_change="ignore")


class PackedLayer(TypedDict):
    """A layer as JSON for the browser: `values` in base64, `frame` as its four ends."""

    values: str
    height: int
    width: int
    top: float
    frame: tuple[float, ...]
    unit: str


def packed_layer(layer: Layer | None) -> PackedLayer | None:
    """A layer as JSON for the browser."""
    if layer is None:
        return None
    return PackedLayer(
        values=text64(layer.values),
        height=layer.height,
        width=layer.width,
        top=layer.top,
        frame=astuple(layer.frame),
        unit=layer.unit,
    )


def colour_tables(names: Sequence[str] = tuple(COLOURMAPS)) -> dict[str, str]:
    """Colour map → its 256 × 3 bytes, base64."""
    return {name: text64(lut(name).tobytes()) for name in names}


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


ABOUT_IT = (*REVIEW_VERDICTS, "skip", *"123456789")


def _event(event: tuple[str, Any] | None, shown: int) -> str | Saved | CutRequest | None:
    """What was done; what was drawn counts only for the image that is on the screen."""
    name, value = event or ("", None)
    if name not in ("mask", "cut"):
        return _pressed(event, shown)
    if not isinstance(value, dict) or value.get("shown") != shown:
        return None
    if name == "mask":
        return Saved(str(value.get("id")), value.get("mask"))
    corners = corners_of(value.get("corners"))
    return CutRequest(str(value.get("id")), corners) if corners else None


def _pressed(event: tuple[str, Any] | None, shown: int) -> str | None:
    """The key's meaning; a verdict or skip counts only for the image that was on the screen at the press."""
    press = event[1] if event else None
    if not isinstance(press, dict) or (press.get("name") in ABOUT_IT and press.get("shown") != shown):
        return None
    return str(press.get("name"))
