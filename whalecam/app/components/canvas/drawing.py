"""The mask that a person draws in the browser, as run lengths, checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from whalecam.errors import ReviewError

LONGEST = 640
"""Cells of the longer side of a drawing."""
Corners = tuple[tuple[float, float], tuple[float, float]]


class PackedDrawing(TypedDict):
    """A drawing as JSON for the browser."""

    width: int
    height: int
    runs: list[int]


@dataclass(frozen=True)
class Drawing:
    """A mask of `height` × `width` cells.

    Attributes:
        runs: lengths of runs of cells off and on the subject in turn, row by row, the first off it.
    """

    width: int
    height: int
    runs: tuple[int, ...]

    @classmethod
    def of(cls, subject: NDArray[np.bool_]) -> "Drawing":
        """The drawing of a mask (H, W)."""
        cells = np.concatenate([[False], subject.ravel()])
        turns = np.flatnonzero(cells[1:] != cells[:-1])
        runs = np.diff(np.concatenate([[0], turns, [subject.size]]))
        height, width = subject.shape
        return cls(width, height, tuple(runs[: len(runs) - (len(runs) > 1 and runs[-1] == 0)].tolist()))

    @classmethod
    def start(cls, mask: NDArray[np.generic] | None, width: int, height: int) -> "Drawing":
        """What a person begins with, of the grid for an image of `width` × `height` pixels: a mask of any size, its
        edges smoothed where it is coarser; blank without a mask."""
        import cv2

        wide, high = grid_of(width, height)
        if mask is None:
            return cls.of(np.zeros((high, wide), bool))
        return cls.of(cv2.resize(np.asarray(mask, np.float32), (wide, high), interpolation=cv2.INTER_LINEAR) > 0.5)

    @classmethod
    def read(cls, content: object, width: int, height: int) -> "Drawing":
        """What the browser sent, for an image of `width` × `height` pixels.

        Raises ReviewError where it is no mask of the image's grid.
        """
        wide, high = grid_of(width, height)
        given = content if isinstance(content, Mapping) else {}
        runs = given.get("runs")
        is_list = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
        if not is_list or (given.get("width"), given.get("height")) != (wide, high) or sum(runs or ()) != wide * high:
            raise ReviewError(
                f"The browser sent no mask of {wide} × {high} cells. Load the page anew and draw it again."
            )
        return cls(wide, high, tuple(runs or ()))

    def mask(self) -> NDArray[np.bool_]:
        """(H, W), True on the subject."""
        values = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(values, self.runs).reshape(self.height, self.width)

    def packed(self) -> PackedDrawing:
        return PackedDrawing(width=self.width, height=self.height, runs=list(self.runs))


@dataclass(frozen=True)
class Saved:
    """A mask that was drawn and is to be kept: the content as it came, for `Drawing.read`; `id` names the request."""

    id: str
    content: object


@dataclass(frozen=True)
class CutRequest:
    """Two corners, relative to the image, between which the subject is to be cut out; `id` names the request."""

    id: str
    corners: Corners


class Answer(TypedDict):
    """What the server says to a request: `kind` is `saved` or `cut`; a cut has a drawing, or a note why not."""

    id: str
    kind: str
    drawing: PackedDrawing | None
    note: str


def grid_of(width: int, height: int) -> tuple[int, int]:
    """(width, height) in cells of a drawing on an image of this size in pixels."""
    scale = min(1.0, LONGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def corners_of(content: object) -> Corners | None:
    """Two corners as the browser sent them; None for anything else."""
    if not isinstance(content, list) or len(content) != 2:
        return None
    points = [tuple(point) for point in content if isinstance(point, list) and len(point) == 2]
    if len(points) != 2 or not all(isinstance(at, int | float) and 0 <= at <= 1 for point in points for at in point):
        return None
    (left, top), (right, bottom) = points
    return (float(left), float(top)), (float(right), float(bottom))
