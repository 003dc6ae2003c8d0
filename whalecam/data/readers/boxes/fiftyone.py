"""FiftyOne: an exported dataset (`samples.json`) or its detection format (`labels.json`), in shares of the sides.

Source: docs.voxel51.com/user_guide/export_datasets.html.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from whalecam.data.faults import fault
from whalecam.data.outlines import NOWHERE, Corners, Outline, Polygons
from whalecam.data.readers.boxes.contents import (
    Box,
    BoxContents,
    confidence_of,
    corners_of_size,
    number,
    stated_orientation,
    text,
)
from whalecam.data.readers.boxes.source import Source

FILES = ("samples.json", "labels.json")
METADATA = "metadata.json"
PREFERRED = "ground_truth"
KINDS = {"Detections": "detections", "Polylines": "polylines"}
MASKS = "The masks inside FiftyOne's detections are not read; their boxes are used."


def read_fiftyone(source: Source) -> BoxContents | None:
    """Boxes and closed polylines of the field `ground_truth`, or of the only field that has any."""
    if source.kind == "folder":
        source = next((Source(source.path / name) for name in FILES if (source.path / name).is_file()), source)
    content = source.json if source.kind == "json" else None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("samples"), list):
        metadata = Source(source.path.with_name(METADATA))
        info = metadata.json.get("info") if metadata.path.is_file() and isinstance(metadata.json, dict) else None
        return replace(_samples(content["samples"], source), orientation=stated_orientation(info))
    if isinstance(content.get("labels"), dict) and "classes" in content:
        return _labels(content)
    return None


def _samples(samples: list[Any], source: Source) -> BoxContents:
    known = [sample for sample in samples if isinstance(sample, dict)]
    fields = {name for sample in known for name, value in sample.items() if _kind(value)}
    if len(fields) > 1 and PREFERRED not in fields:
        raise fault(
            f"{source.path.name} has boxes in several fields: {', '.join(sorted(fields))}. Export one of them, or call "
            f"it {PREFERRED}."
        )
    field = PREFERRED if PREFERRED in fields else next(iter(fields), "")
    boxes: list[Box] = []
    for sample in known:
        width, height = _size(sample.get("metadata"))
        image = _exported(text(sample.get("filepath")))
        for at, (item, corners, outline) in enumerate(_regions(sample.get(field)), 1):
            confidence = confidence_of(item.get("confidence"))
            boxes.append(
                Box(image, corners, f"{image}, {at}", text(item.get("label")), confidence, width, height, outline)
            )
    has_masks = any(item.get("mask") for sample in known for item, _, _ in _regions(sample.get(field)))
    notes = [f"Of the fields {', '.join(sorted(fields))}, {field} is used."] if len(fields) > 1 else []
    notes += [MASKS] if has_masks else []
    return BoxContents(format="FiftyOne dataset", boxes=boxes, units="shares", notes=notes)


def _exported(path: str) -> str:
    """A path below the folder `data` of an export begins anew there, which a `/` in front shows."""
    return f"/{path}" if path.startswith("data/") else path


def _labels(content: Mapping[str, Any]) -> BoxContents:
    """The detection format: `labels` by the name of the image without extension."""
    classes = content["classes"] if isinstance(content["classes"], list) else []
    boxes: list[Box] = []
    for image, items in content["labels"].items():
        for at, item in enumerate(items if isinstance(items, list) else (), 1):
            if isinstance(item, dict):
                label = item.get("label")
                is_index = isinstance(label, int) and 0 <= label < len(classes)
                name = text(classes[label]) if is_index else text(label)  # type: ignore[index]
                corners = corners_of_size(item.get("bounding_box"))
                boxes.append(Box(str(image), corners, f"{image}, {at}", name, confidence_of(item.get("confidence"))))
    return BoxContents(format="FiftyOne detections", boxes=boxes, units="shares")


def _kind(value: Any) -> str:
    return KINDS.get(text(value.get("_cls")), "") if isinstance(value, dict) else ""


def _regions(value: Any) -> Iterator[tuple[Mapping[str, Any], Corners, Outline | None]]:
    kind = _kind(value)
    for item in value.get(kind) or () if kind else ():
        if isinstance(item, dict) and kind == "detections":
            yield item, corners_of_size(item.get("bounding_box")), None
        elif isinstance(item, dict) and (item.get("closed") or item.get("filled")):
            outline = _polygons(item.get("points"))
            yield item, outline.bounds() if outline else NOWHERE, outline


def _polygons(parts: Any) -> Polygons | None:
    try:
        rings = tuple(tuple(number(v) for point in part for v in point) for part in parts)
    except TypeError:
        return None
    sound = all(len(ring) >= 6 and len(ring) % 2 == 0 and not any(map(math.isnan, ring)) for ring in rings)
    return Polygons(rings) if sound and rings else None


def _size(metadata: Any) -> tuple[float, float]:
    if not isinstance(metadata, dict):
        return 0.0, 0.0
    width, height = (number(metadata.get(side)) for side in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else (0.0, 0.0)
