"""Results of MegaDetector and SpeciesNet.

Sources: lila.science/megadetector-output-format; microsoft.github.io/MegaDetector/output_format;
github.com/google/cameratrapai. Boxes are `[left, top, width, height]` in shares of the upright image: the detectors
undo the EXIF orientation as they load an image. Files of old versions, which name neither a format version nor a
detector, do not state it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from whalecam.data.outlines import NOWHERE, Corners
from whalecam.data.readers.boxes.contents import (
    NO_ANIMALS,
    Box,
    BoxContents,
    Refusal,
    confidence_of,
    corners_of_size,
    number,
    text,
)
from whalecam.data.readers.boxes.source import Source

CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}
FIRST_UPRIGHT = 1.2
Detection = tuple[str, Mapping[str, Any], str]
"""Image, detection, and its place."""


def read_megadetector(source: Source) -> BoxContents | None:
    """Detections of animals, with their confidence; those of people and vehicles are refused."""
    content = source.json
    if isinstance(content, dict) and _are_images(content.get("images"), "file"):
        return _shares(content, list(_detections(content["images"], "file")))
    if isinstance(content, dict) and _are_images(content.get("predictions"), "filepath"):
        detections = list(_detections(content["predictions"], "filepath"))
        return _contents("SpeciesNet JSON", detections, CATEGORIES, units="shares", orientation="upright")
    if _are_images(content, "file"):
        return _contents("MegaDetector JSON in pixels", list(_detections(content, "file")), {}, units="pixels")
    return None


def _are_images(items: Any, name: str) -> bool:
    """Whether these are records of images with their detections."""
    return isinstance(items, list) and any(
        isinstance(item, dict) and isinstance(item.get(name), str) and ("detections" in item or "failure" in item)
        for item in items
    )


def _shares(content: Mapping[str, Any], detections: list[Detection]) -> BoxContents:
    raw = content.get("info")
    info = raw if isinstance(raw, dict) else {}
    version = text(info.get("format_version"))
    categories = content.get("detection_categories")
    named = {str(key): text(name) for key, name in categories.items()} if isinstance(categories, dict) else CATEGORIES
    orientation = "upright" if number(version) >= FIRST_UPRIGHT or info.get("detector") else ""
    return _contents(
        f"MegaDetector JSON{f' {version}' if version else ''}",
        detections,
        named,
        units="shares",
        orientation=orientation,
    )


def _detections(images: list[Any], name: str) -> Iterator[Detection]:
    for at, image in enumerate(images):
        detections = image.get("detections") if isinstance(image, dict) else None
        for number_of, detection in enumerate(detections if isinstance(detections, list) else ()):
            if isinstance(detection, dict):
                yield text(image.get(name)), detection, f"image {at + 1}, detection {number_of + 1}"


def _contents(
    form: str, detections: list[Detection], categories: Mapping[str, str], *, units: str, orientation: str = ""
) -> BoxContents:
    boxes, refusals = [], []
    for image, detection, place in detections:
        category = text(detection.get("category"))
        label = categories.get(category, "") if categories else category
        if not label or label.lower() in NO_ANIMALS:
            refusals.append(
                Refusal(image, f"show {label or f'the category {category}, which has no name'}, not an animal")
            )
            continue
        corners = corners_of_size(detection.get("bbox")) if units == "shares" else _corners(detection.get("bbox"))
        confidence = confidence_of(detection.get("conf", detection.get("confidence")))
        boxes.append(Box(image, corners, place, "body" if label == "animal" else label, confidence))
    return BoxContents(format=form, boxes=boxes, units=units, orientation=orientation, refusals=refusals)


def _corners(values: Any) -> Corners:
    """`[left, top, right, bottom]`, as the newest writer gives them."""
    if not isinstance(values, list) or len(values) != 4:
        return NOWHERE
    left, top, right, bottom = (number(value) for value in values)
    return (left, top, right, bottom)
