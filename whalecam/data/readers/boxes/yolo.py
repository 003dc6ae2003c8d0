"""YOLO text files: one per image, a line `class x-centre y-centre width height [confidence]` in shares, or a polygon.

Source: docs.ultralytics.com/datasets/detect and /datasets/segment.
"""

import math
from pathlib import Path

from whalecam.data.faults import fault
from whalecam.data.outlines import NOWHERE, Polygons
from whalecam.data.readers.boxes.contents import Box, BoxContents, number
from whalecam.data.readers.boxes.source import Source

NAMES = ("classes.txt", "obj.names")
OTHER_TEXTS = ("classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "requirements.txt")
LABELS = "labels"


def read_yolo(source: Source) -> BoxContents | None:
    """The boxes of a folder of text files; an empty file is an image without an animal."""
    files = [path for path in source.inside("*.txt") if path.name.lower() not in OTHER_TEXTS]
    if not files:
        return None
    names = _names(source)
    boxes: list[Box] = []
    for path in files:
        lines = Source(path).lines if path.stat().st_size else []
        parts = [(line, line.split()) for line in lines if line.strip()]
        if any(len(words) < 5 or math.isnan(number(words[0])) for _, words in parts):
            raise fault(
                f"{path.relative_to(source.path).as_posix()} is not a YOLO file: each line needs a class and four "
                f"shares of the sides. It has: {parts[0][0][:60]}"
            )
        image = _image(path.relative_to(source.path))
        boxes += [_box(words, image, f"{path.name}, line {at}", names) for at, (_, words) in enumerate(parts, 1)]
    return BoxContents(format="YOLO text files", boxes=boxes, units="shares")


def _box(words: list[str], image: str, place: str, names: list[str]) -> Box:
    values = [number(word) for word in words[1:]]
    at = int(number(words[0]))
    label = names[at] if 0 <= at < len(names) else f"class {at}"
    if len(values) >= 6 and len(values) % 2 == 0:
        outline = None if any(map(math.isnan, values)) else Polygons((tuple(values),))
        return Box(image, outline.bounds() if outline else NOWHERE, place, label, outline=outline)
    if len(values) > 5:
        return Box(image, NOWHERE, place, label)
    x, y, width, height = values[:4]
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Box(image, corners, place, label, values[4] if len(values) == 5 else None)


def _image(path: Path) -> str:
    """The image of a text file, without the extension, which the file does not name."""
    parts = [part for part in path.with_suffix("").parts if part != LABELS]
    return "/".join(parts)


def _names(source: Source) -> list[str]:
    for name in NAMES:
        for path in source.inside(name):
            return [line.strip() for line in Source(path).lines] if path.stat().st_size else []
    return []
