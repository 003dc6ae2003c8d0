"""CVAT for images, XML 1.1: boxes, polygons and masks in pixels.

Source: docs.cvat.ai/docs/manual/advanced/xml_format.
"""

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from whalecam.data.faults import fault
from whalecam.data.outlines import NOWHERE, Corners, Outline, Polygons, Runs, runs
from whalecam.data.readers.boxes.contents import Box, BoxContents, Refusal, number
from whalecam.data.readers.boxes.rotation import rotated
from whalecam.data.readers.boxes.source import Source

ROOT = "annotations"
FILE = "annotations.xml"
READ = ("box", "polygon", "mask", "ellipse")
OTHERS = ("polyline", "points", "cuboid", "skeleton")


def read_cvat(source: Source) -> BoxContents | None:
    """Boxes, polygons, masks and ellipses of every image; lines and points are refused."""
    path = source.path / FILE
    root = Source(path).xml if source.kind == "folder" and path.is_file() else source.xml
    if root is None or root.tag != ROOT:
        return None
    if root.find("track") is not None:
        raise fault(f"{source.path.name} is a CVAT file of a video. Export the job as 'CVAT for images'.")
    boxes: list[Box] = []
    refusals: list[Refusal] = []
    for image in root.iter("image"):
        name = image.get("name", "")
        boxes += _boxes(name, image)
        refusals += [Refusal(name, f"are a {thing.tag}, which has no area") for thing in image if thing.tag in OTHERS]
    return BoxContents(format="CVAT XML", boxes=boxes, units="pixels", refusals=refusals)


def _boxes(name: str, image: Element) -> Iterator[Box]:
    width, height = (value if (value := number(image.get(side))) > 0 else 0.0 for side in ("width", "height"))
    for at, thing in enumerate((thing for thing in image if thing.tag in READ), 1):
        corners, outline = _shape(thing)
        place = f"{thing.tag} {at} of {name}"
        yield Box(name, corners, place, thing.get("label", ""), width=width, height=height, outline=outline)


def _shape(thing: Element) -> tuple[Corners, Outline | None]:
    outline: Outline | None = None
    if thing.tag == "polygon":
        outline = _polygon(thing.get("points", ""))
    elif thing.tag == "mask":
        outline = _mask(thing)
    elif thing.tag == "ellipse":
        x, y, across, down = (number(thing.get(name)) for name in ("cx", "cy", "rx", "ry"))
        outline = _ellipse(x, y, across, down)
    else:
        left, top, right, bottom = (number(thing.get(name)) for name in ("xtl", "ytl", "xbr", "ybr"))
        angle = number(thing.get("rotation", 0))
        outline = rotated((left, top, right, bottom), angle, is_about_centre=True) if angle else None
        if outline is None:
            return (left, top, right, bottom), None
    return (outline.bounds() if outline else NOWHERE), outline


def _polygon(points: str) -> Polygons | None:
    values = tuple(number(value) for point in points.split(";") for value in point.split(","))
    sound = len(values) >= 6 and len(values) % 2 == 0 and not any(map(math.isnan, values))
    return Polygons((values,)) if sound else None


def _ellipse(x: float, y: float, across: float, down: float) -> Polygons | None:
    if math.isnan(x + y + across + down):
        return None
    angles = [step * math.tau / 90 for step in range(90)]
    return Polygons((tuple(v for a in angles for v in (x + across * math.cos(a), y + down * math.sin(a))),))


def _mask(thing: Element) -> Runs | None:
    values = [number(thing.get(name)) for name in ("width", "height", "left", "top")]
    lengths = [number(part) for part in thing.get("rle", "").split(",")]
    if any(math.isnan(value) for value in [*values, *lengths]):
        return None
    width, height, left, top = (int(value) for value in values)
    return runs([int(length) for length in lengths], Runs((), width, height, left, top, is_down_first=False))
