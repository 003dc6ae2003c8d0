"""What a reader returns: the boxes of a file, with what the file states about them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from whalecam.data.outlines import NOWHERE, Corners, Outline

NO_NUMBERS, NO_AREA, NO_BOX = "have no name or no numbers", "have no area", "have no box"
NO_ANIMALS = frozenset({"person", "people", "human", "vehicle", "car", "empty", "blank", "none"})
"""Labels that tools for camera traps use for what is not an animal, in lower case."""


class Box(NamedTuple):
    """One box as the file has it.

    Attributes:
        image: name of the image, as in the file.
        corners: left, top, right, bottom, in the units of the file; not a number where unreadable.
        place: where the box is in the file, as in `line 3`.
        label: as in the file; empty where there is none.
        confidence: as in the file, 0 to 1; None where there is none.
        width, height: of the image, in pixels, as the file states them; 0 where it does not.
        outline: the shape inside the box; None where the box is all there is.
    """

    image: str
    corners: Corners
    place: str
    label: str = ""
    confidence: float | None = None
    width: float = 0
    height: float = 0
    outline: Outline | None = None


class Refusal(NamedTuple):
    """A row that is not used: its image, and why, as the end of the sentence `3 of 9 boxes …`."""

    image: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BoxContents:
    """The boxes of one file or folder.

    Attributes:
        format: as messages name it, as in `COCO JSON`.
        units: `pixels`, `shares` or `percent`; empty where the values decide.
        orientation: `upright` where the format states it; else empty.
        is_part: whether labels name the part of the animal in the box (`body`, `fin` or `fluke` within a text).
        refusals: rows that are no boxes of animals.
        notes: what the reader decided; a sentence each.
    """

    format: str
    boxes: Sequence[Box]
    units: str = ""
    orientation: str = ""
    is_part: bool = False
    refusals: Sequence[Refusal] = ()
    notes: Sequence[str] = ()


def number(value: Any) -> float:
    """A finite number, else NaN. Texts of numbers count; truth values do not."""
    try:
        parsed = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return parsed if math.isfinite(parsed) else math.nan


def corners_of_size(values: Any) -> Corners:
    """`[left, top, width, height]` → corners; not numbers where it is no list of four."""
    if not isinstance(values, list | tuple) or len(values) != 4:
        return NOWHERE
    x, y, width, height = (number(value) for value in values)
    return (x, y, x + width, y + height)


def confidence_of(value: Any) -> float | None:
    """A confidence, None where there is no number."""
    parsed = number(value)
    return None if math.isnan(parsed) else parsed


def stated_orientation(record: Any) -> str:
    """`upright` where WhaleCAM wrote the file, under the key `whalecam` of a JSON object; empty for any other."""
    own = record.get("whalecam") if isinstance(record, dict) else None
    return "upright" if isinstance(own, dict) and own.get("orientation") == "upright" else ""


def text(value: Any) -> str:
    """A name or a label as text; empty where it is neither a text nor a number."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
