"""Where one box lies in the upright image: its units, the size of the image that it speaks of, and its orientation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.config import MaskOptions
from whalecam.data import BoxRow, Shape
from whalecam.data.geometry import TURNED, rotate_array, rotate_box
from whalecam.data.outlines import Corners, Outline, Runs

SLACK = 1.02
ASPECT_TOLERANCE = 0.02
OUTSIDE, UNDECIDED = "lie outside their image", "undecided"
"""Reasons: beyond the image; of a turned image, and nothing shows which pixels it lies in."""
Sides = tuple[float, float]
"""Width and height."""


@dataclass(frozen=True)
class PlacedOutline:
    """The shape inside a box, with what is needed to draw it upright.

    Attributes:
        shape: as in the file.
        sides: width and height of the image in the shape's units, as it lies in the file.
        orientation: the EXIF orientation to undo; 1: none.
    """

    shape: Outline
    sides: Sides
    orientation: int

    def drawn(self, height: int, width: int) -> NDArray[np.bool_]:
        """The inside, (height, width), upright."""
        size = (width, height) if self.orientation >= TURNED else (height, width)
        return np.asarray(rotate_array(self.shape.drawn(*self.sides, size), self.orientation), bool)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a box lies.

    Attributes:
        corners: in pixels of the upright image at full size.
        reach: how far right and down the box goes as it lies in the file, in shares of the sides.
        orientation: `stored` or `upright` for an image that EXIF turns; else empty.
        evidence: what decided it: `stated`, `format` or `size`; empty where nothing had to.
        is_scaled: whether the box speaks of a copy of another size, which the file states.
        outline: the shape inside it, if any.
        reason: why the box cannot be used; empty where it can.
    """

    corners: Corners = (0, 0, 0, 0)
    reach: Sides = (0, 0)
    orientation: str = ""
    evidence: str = ""
    is_scaled: bool = False
    outline: PlacedOutline | None = None
    reason: str = ""


def place(row: BoxRow, shape: Shape, options: MaskOptions) -> Place:
    """The place of a row of a BoxTable in an image of this shape."""
    stated = (row.get("stated_width") or 0.0, row.get("stated_height") or 0.0)
    choices = _choices(shape, stated)
    if not choices:
        return Place(
            reason=f"the file states {stated[0]:g} × {stated[1]:g} pixels where the image has "
            f"{shape.width} × {shape.height}"
        )
    orientation, evidence = _orientation(row, shape, options, choices)
    if orientation not in choices:
        reason = f"the file states {stated[0]:g} × {stated[1]:g} pixels, which is not the {orientation} image"
        return Place(reason=reason if orientation else UNDECIDED)
    exif = shape.orientation if orientation == "stored" else 1
    own = _sides(shape, orientation)
    units = (1.0, 1.0) if row["relative"] else (stated if stated[0] else own)
    across, down = own[0] / units[0], own[1] / units[1]
    lying = (row["x1"] * across, row["y1"] * down, row["x2"] * across, row["y2"] * down)
    corners = rotate_box(lying, round(own[0]), round(own[1]), exif)
    return Place(
        corners=corners,
        reach=(lying[2] / own[0], lying[3] / own[1]),
        orientation=orientation if shape.orientation != 1 else "",
        evidence=evidence,
        is_scaled=not row["relative"] and units != own,
        outline=_outline(row, units, exif),
        reason=OUTSIDE if beyond(corners, shape.width, shape.height) else "",
    )


def beyond(box: Corners, width: int, height: int) -> bool:
    """Whether a box in pixels reaches further out of an image of this size than rounding explains."""
    return box[2] > width * SLACK + 1 or box[3] > height * SLACK + 1 or min(box) < -0.02 * max(width, height) - 1


def _sides(shape: Shape, orientation: str) -> Sides:
    is_turned = orientation == "stored" and shape.orientation >= TURNED
    return (shape.height, shape.width) if is_turned else (shape.width, shape.height)


def _choices(shape: Shape, stated: Sides) -> list[str]:
    """The orientations that agree with the size that the file states: exactly, else in their aspect."""
    names = ["upright"] if shape.orientation == 1 else ["upright", "stored"]
    if not stated[0] or not stated[1]:
        return names
    exact = [name for name in names if _sides(shape, name) == stated]
    return exact or [name for name in names if _has_aspect(_sides(shape, name), stated)]


def _has_aspect(sides: Sides, stated: Sides) -> bool:
    # A copy in whole pixels is off by up to half a pixel on each side.
    tolerance = max(ASPECT_TOLERANCE, 1 / min(*sides, *stated))
    return abs(sides[0] * stated[1] / (sides[1] * stated[0]) - 1) <= tolerance


def _orientation(row: BoxRow, shape: Shape, options: MaskOptions, choices: list[str]) -> tuple[str, str]:
    if shape.orientation == 1:
        return "upright", ""
    if options.box_orientation != "auto":
        return options.box_orientation, "stated"
    if row.get("orientation"):
        return str(row["orientation"]), "format"
    return (choices[0], "size") if len(choices) == 1 else ("", "")


def _outline(row: BoxRow, units: Sides, exif: int) -> PlacedOutline | None:
    shape = row.get("outline")
    if shape is None or not isinstance(shape, Outline):
        return None
    if isinstance(shape, Runs) or not row.get("is_percent"):
        return PlacedOutline(shape, units, exif)
    return PlacedOutline(shape, (100.0, 100.0), exif)
