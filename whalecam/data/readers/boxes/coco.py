"""COCO JSON, also of camera traps: `[left, top, width, height]` in pixels, polygons, run lengths.

Source: cocodataset.org/#format-data.
"""

import math
from collections.abc import Mapping
from typing import Any

from whalecam.data.faults import fault
from whalecam.data.outlines import Outline, Polygons, Runs, coco_runs
from whalecam.data.readers.boxes.contents import (
    NO_BOX,
    Box,
    BoxContents,
    Refusal,
    confidence_of,
    corners_of_size,
    number,
    stated_orientation,
    text,
)
from whalecam.data.readers.boxes.source import Source

UNKNOWN_IMAGE = "belong to an image that the file does not list"
BROKEN_OUTLINE = "have an outline that cannot be read, so their box is used"


def read_coco(source: Source) -> BoxContents | None:
    """One box for each annotation that has one, with its outline where there is one."""
    content = source.json
    if _are_results(content):
        raise fault(
            f"{source.path.name} has COCO results, which name images by number. Give the COCO file that lists the "
            "images, with these annotations in it."
        )
    if not isinstance(content, dict) or not _have(content.get("images"), "file_name"):
        return None
    images = {identifier(image.get("id")): image for image in dicts(content["images"])}
    categories = {identifier(item.get("id")): text(item.get("name")) for item in dicts(content.get("categories"))}
    boxes: list[Box] = []
    refusals: list[Refusal] = []
    broken = 0
    for at, annotation in enumerate(dicts(content.get("annotations"))):
        image = images.get(identifier(annotation.get("image_id")))
        if image is None:
            refusals.append(Refusal(text(annotation.get("image_id")), UNKNOWN_IMAGE))
            continue
        shape = annotation.get("segmentation")
        outline = _fitting(outline_of(shape), image)
        broken += bool(shape) and outline is None
        box = _box(annotation, image, outline, f"annotation {at + 1}")
        if box is None:
            refusals.append(Refusal(text(image.get("file_name")), NO_BOX))
        else:
            boxes.append(box._replace(label=categories.get(identifier(annotation.get("category_id")), "")))
    notes = [f"{broken:,} boxes {BROKEN_OUTLINE}."] if broken else []
    orientation = stated_orientation(content.get("info"))
    return BoxContents(format="COCO JSON", boxes=boxes, orientation=orientation, refusals=refusals, notes=notes)


def _box(annotation: Mapping[str, Any], image: Mapping[str, Any], outline: Outline | None, place: str) -> Box | None:
    """None for an annotation without box and outline, such as a label of the whole image."""
    if annotation.get("bbox"):
        corners = corners_of_size(annotation["bbox"])
    elif outline is not None:
        corners = outline.bounds()
    else:
        return None
    return Box(
        text(image.get("file_name")),
        corners,
        place,
        confidence=confidence_of(annotation.get("score")),
        width=_side(image.get("width")) or (outline.width if isinstance(outline, Runs) else 0),
        height=_side(image.get("height")) or (outline.height if isinstance(outline, Runs) else 0),
        outline=outline,
    )


def _fitting(outline: Outline | None, image: Mapping[str, Any]) -> Outline | None:
    """None for run lengths of another size than that of their image."""
    sides = (_side(image.get("width")), _side(image.get("height")))
    return None if isinstance(outline, Runs) and all(sides) and (outline.width, outline.height) != sides else outline


def outline_of(shape: Any) -> Outline | None:
    """A `segmentation`: a list of polygons, or run lengths; None where there is none that can be read."""
    if isinstance(shape, dict):
        return coco_runs(shape.get("counts"), shape.get("size"))
    if not isinstance(shape, list) or not shape:
        return None
    rings = tuple(tuple(number(value) for value in ring) for ring in (shape if isinstance(shape[0], list) else [shape]))
    sound = all(len(ring) >= 6 and len(ring) % 2 == 0 and not any(map(math.isnan, ring)) for ring in rings)
    return Polygons(rings) if sound else None


def _side(value: Any) -> float:
    side = number(value)
    return side if side > 0 else 0.0


def dicts(items: Any) -> list[dict[str, Any]]:
    """The objects of a list of JSON; none where it is no list."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def identifier(value: Any) -> str | float | None:
    """A number or text by which a file names something; None for anything else, which cannot be looked up."""
    return value if isinstance(value, str | int | float) else None


def _have(items: Any, name: str) -> bool:
    return any(name in item for item in dicts(items))


def _are_results(content: Any) -> bool:
    return isinstance(content, list) and any("image_id" in item and "bbox" in item for item in dicts(content))
