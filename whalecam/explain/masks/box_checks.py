"""Whether the boxes of a file can be those of their images, and what to say where they cannot."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from whalecam.config import MaskOptions
from whalecam.data import BoxRow, Shape
from whalecam.errors import DatasetError
from whalecam.explain.masks.place import OUTSIDE, UNDECIDED, Place
from whalecam.text import percent

MANY_OUTSIDE = 0.1
"""Where a larger share of the boxes lie outside their images, they belong to images of another size."""
COPIES = (1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20)
"""How many times larger a copy of an image may be."""
MIN_BOXES = 8
"""From so many boxes on it is no chance that all lie in one corner."""
PERCENT = 100.5
"""What boxes in percent, rounded on their way, reach at the most."""


class PlacedBox(NamedTuple):
    """A row of a BoxTable, the shape of its image, and its place there."""

    row: BoxRow
    shape: Shape
    place: Place

    @property
    def image(self) -> str:
        return str(self.row["image"])


def check_boxes(boxes: Sequence[PlacedBox], options: MaskOptions) -> None:
    """Refuse boxes that would be read wrongly, file by file.

    Raises DatasetError where nothing shows how the box of a turned image lies, where boxes belong to images of another
    size or shape, and where they may be in other units.
    """
    _check_orientation(boxes)
    for part in _by_file(boxes):
        _check_size(part)
        _check_units(part, options)


def reasons(boxes: Sequence[PlacedBox]) -> tuple[str, ...]:
    """Why boxes are not used, a sentence for each reason."""
    outside = [box for box in boxes if box.place.reason == OUTSIDE]
    other = [box for box in boxes if box.place.reason not in ("", OUTSIDE)]
    notes = [_outside_words(outside, len(boxes))] if outside else []
    if other:
        notes.append(
            f"{len(other):,} of {len(boxes):,} boxes belong to an image of another shape, as one of {other[0].image}: "
            f"{other[0].place.reason}."
        )
    return tuple(notes)


def _by_file(boxes: Sequence[PlacedBox]) -> Iterator[Sequence[PlacedBox]]:
    """The boxes of each file."""
    parts: dict[int, list[PlacedBox]] = {}
    for box in boxes:
        parts.setdefault(int(box.row.get("file", 0)), []).append(box)
    yield from parts.values()


def _check_orientation(boxes: Sequence[PlacedBox]) -> None:
    turned = {box.image: box.shape.orientation for box in boxes if box.place.reason == UNDECIDED}
    if turned:
        names = ", ".join(f"{name} ({orientation})" for name, orientation in list(turned.items())[:3])
        raise DatasetError(
            f"{len(turned):,} of {len({box.image for box in boxes}):,} images with boxes are turned by their EXIF "
            f"orientation: {names}. Boxes may lie in their pixels as stored in the file, or upright as displayed. "
            "State which: --box-orientation stored or --box-orientation upright."
        )


def _check_size(boxes: Sequence[PlacedBox]) -> None:
    outside = [box for box in boxes if box.place.reason == OUTSIDE]
    are_all_bad = all(box.place.reason for box in boxes)
    if are_all_bad and not outside:
        raise DatasetError(" ".join(reasons(boxes)))
    if len(outside) > max(1, MANY_OUTSIDE * len(boxes)) or (outside and are_all_bad):
        reach = max(max(box.place.reach) for box in outside)
        copy = next((factor for factor in COPIES if reach <= factor * 1.02), None)
        looks = f" They look like boxes of a copy of {copy:g} × the size." if copy else ""
        raise DatasetError(
            f"{_outside_words(outside, len(boxes))}{looks} The boxes belong to images of another size, so those inside "
            "are wrong too. Scale them to these images, or give shares of the sides (0 to 1)."
        )


def _check_units(boxes: Sequence[PlacedBox], options: MaskOptions) -> None:
    """Refuse pixels that may be percent, or pixels of a smaller copy, where nobody states the units."""
    used = [box for box in boxes if not box.place.reason and not _states_units(box.row)]
    if len(used) < MIN_BOXES or options.box_units != "auto":
        return
    reach = max(max(box.place.reach) for box in used)
    copy = next((factor for factor in reversed(COPIES) if factor >= 2 and reach <= 1 / factor), None)
    text = f"All {len(used):,} boxes"
    if copy:
        raise DatasetError(
            f"{text} lie in the upper left corner of their images, where they reach no further than "
            f"{percent(reach)} of a side: they look like boxes of a copy of 1/{copy:g} of the size, or percent. State "
            "it: --box-units pixels if they are right, --box-units percent, or give shares of the sides."
        )
    values = [side for box in used for side in (box.row["x1"], box.row["y1"], box.row["x2"], box.row["y2"])]
    small = min(min(box.shape.width, box.shape.height) for box in used)
    if max(values) <= PERCENT < small and any(value != round(value) for value in values):
        raise DatasetError(
            f"{text} have values up to {max(values):.4g}, with fractions, in images of at least {small} pixels: they "
            "may be pixels or percent of the sides. State it: --box-units pixels or --box-units percent."
        )


def _states_units(row: BoxRow) -> bool:
    return bool(row["relative"] or row.get("stated_width") or row.get("units_stated"))


def _outside_words(outside: Sequence[PlacedBox], count: int) -> str:
    first, corners = outside[0], outside[0].place.corners
    return (
        f"{len(outside):,} of {count:,} boxes lie outside their image, as one of {first.image} that reaches to "
        f"{corners[2]:.4g}, {corners[3]:.4g} where the image has {first.shape.width} × {first.shape.height} pixels."
    )
