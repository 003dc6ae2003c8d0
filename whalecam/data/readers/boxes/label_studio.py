"""Label Studio's JSON and JSON-MIN: rectangles and polygons in percent of the sides.

Source: labelstud.io/guide/task_format and /tags/rectanglelabels.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from whalecam.config import IMAGE_SUFFIXES
from whalecam.data.outlines import NOWHERE, Corners, Outline, Polygons
from whalecam.data.readers.boxes.contents import (
    Box,
    BoxContents,
    Refusal,
    confidence_of,
    corners_of_size,
    number,
    text,
)
from whalecam.data.readers.boxes.rotation import rotated
from whalecam.data.readers.boxes.source import Source

RECTANGLES = ("rectanglelabels", "rectangle")
POLYGONS = ("polygonlabels", "polygon")
AREAS = (*RECTANGLES, *POLYGONS, "brushlabels", "brush", "ellipselabels", "ellipse")
UPLOADED = re.compile(r"/upload/(?:.*/)?[0-9a-f]{8}-([^/]+)$")
"""Where Label Studio puts an uploaded file, with eight digits in front of its name."""
Region = tuple[str, Mapping[str, Any], str, Mapping[str, Any]]
"""Image, value, type, and the record that states the size of the image."""


def read_label_studio(source: Source) -> BoxContents | None:
    """Rectangles and polygons of the annotations, or of the predictions of a task without annotations.

    Brushes and ellipses are refused. Several annotations of one task are joined.
    """
    tasks = source.json
    if not isinstance(tasks, list) or not any(_is_task(task) for task in tasks):
        return None
    boxes: list[Box] = []
    refusals: list[Refusal] = []
    for at, task in enumerate(tasks, 1):
        for image, value, kind, record in _regions(task) if _is_task(task) else ():
            if number(record.get("image_rotation", 0)):
                refusals.append(Refusal(image, "lie in an image that was turned in Label Studio"))
            elif kind in RECTANGLES or kind in POLYGONS:
                boxes.append(_box(image, value, kind, record)._replace(place=f"task {at}"))
            else:
                refusals.append(Refusal(image, f"are of the type {kind}, which is not read"))
    return BoxContents(format="Label Studio JSON", boxes=boxes, units="percent", refusals=refusals)


def _is_task(task: Any) -> bool:
    if not isinstance(task, dict):
        return False
    if isinstance(task.get("data"), dict):
        return any(isinstance(task.get(name), list) for name in ("annotations", "completions", "predictions"))
    return image_of(task) != "" and any(_short_regions(task))


def _regions(task: Mapping[str, Any]) -> Iterator[Region]:
    if not isinstance(task.get("data"), dict):
        image = image_of(task)
        for short, kind in _short_regions(task):
            yield image, short, kind, short
        return
    image = image_of(task["data"])
    for result in _results(task):
        kind, value = text(result.get("type")), result.get("value")
        if kind in AREAS and isinstance(value, dict):
            yield image, value, kind, result


def _results(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of all annotations that were not cancelled; of the predictions where there is none."""
    for names in (("annotations", "completions"), ("predictions",)):
        records = [item for name in names for item in task.get(name) or () if isinstance(item, dict)]
        kept = [record for record in records if not record.get("was_cancelled")]
        if kept:
            for record in kept:
                score = {"score": record["score"]} if "score" in record and names == ("predictions",) else {}
                yield from ({**score, **result} for result in record.get("result") or () if isinstance(result, dict))
            return


def _short_regions(task: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Of JSON-MIN, where a region names its own labels."""
    for items in task.values():
        for item in items if isinstance(items, list) else ():
            kind = next((kind for kind in AREAS if isinstance(item, dict) and kind in item), "")
            if kind:
                yield item, kind


def _box(image: str, value: Mapping[str, Any], kind: str, record: Mapping[str, Any]) -> Box:
    width, height = (max(0.0, number(record.get(f"original_{side}", 0))) for side in ("width", "height"))
    corners, outline = _shape(value, kind, width, height)
    labels = value.get(kind)
    label = text(labels[0]) if isinstance(labels, list) and labels else ""
    confidence = confidence_of(record.get("score"))
    return Box(image, corners, "", label, confidence, width, height, outline)


def _shape(value: Mapping[str, Any], kind: str, width: float, height: float) -> tuple[Corners, Outline | None]:
    if kind in POLYGONS:
        points = value.get("points")
        numbers = [number(v) for point in _points(points) for v in point]
        sound = len(numbers) >= 6 and not any(v != v for v in numbers)
        outline = Polygons((tuple(numbers),)) if sound else None
        return (outline.bounds() if outline else NOWHERE), outline
    corners = corners_of_size([value.get(name) for name in ("x", "y", "width", "height")])
    angle = number(value.get("rotation", 0))
    if not angle:
        return corners, None
    if not width or not height:
        return NOWHERE, None  # percents of unequal sides cannot be turned without the sides
    turned = rotated(_scaled(corners, width / 100, height / 100), angle, is_about_centre=False)
    if turned is None:
        return NOWHERE, None
    ring = turned.rings[0]
    shape = Polygons((tuple(v * 100 / (height if at % 2 else width) for at, v in enumerate(ring)),))
    return shape.bounds(), shape


def _scaled(box: Corners, across: float, down: float) -> Corners:
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def _points(points: Any) -> list[list[Any]]:
    """Pairs of numbers; none where one of them is no pair."""
    pairs = [point for point in points if isinstance(point, list) and len(point) == 2] if points else []
    return pairs if isinstance(points, list) and len(pairs) == len(points) else []


def image_of(data: Mapping[str, object]) -> str:
    """The name of the image: of an uploaded file the name that it had, else the path, without what follows a `?`.

    Paths of URLs and of local files begin on another machine, which a `/` or a scheme in front shows.
    """
    texts = {name: value for name, value in data.items() if isinstance(value, str) and value}
    likely = [value for value in texts.values() if unquote(urlsplit(value).path).lower().endswith(IMAGE_SUFFIXES)]
    url = texts.get("image") or next(iter(likely), "")
    if "://" not in url and not url.startswith("/"):
        return url
    parts = urlsplit(url)
    if inner := parse_qs(parts.query).get("d"):
        return f"/{inner[0].lstrip('/')}"
    uploaded = UPLOADED.search(unquote(parts.path))
    start = f"{parts.scheme}://{parts.netloc}" if parts.scheme else ""
    return uploaded.group(1) if uploaded else f"{start}{unquote(parts.path)}"
