"""Rectangles that stand at an angle, as polygons."""

import math

from whalecam.data.outlines import Corners, Polygons


def rotated(box: Corners, degrees: float, *, is_about_centre: bool) -> Polygons | None:
    """A rectangle turned clockwise about its centre or its upper left corner; None where it has no numbers."""
    left, top, right, bottom = box
    if any(math.isnan(value) for value in (*box, degrees)):
        return None
    x, y = ((left + right) / 2, (top + bottom) / 2) if is_about_centre else (left, top)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ring: list[float] = []
    for across, down in ((left - x, top - y), (right - x, top - y), (right - x, bottom - y), (left - x, bottom - y)):
        ring += [x + across * cos - down * sin, y + across * sin + down * cos]
    return Polygons((tuple(ring),))
