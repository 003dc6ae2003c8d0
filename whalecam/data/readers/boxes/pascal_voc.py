"""Pascal VOC: an XML file per image, `xmin, ymin, xmax, ymax` in pixels. A file, or a folder of them.

Source: host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from whalecam.data.readers.boxes.contents import Box, BoxContents, number
from whalecam.data.readers.boxes.source import Source, parsed_xml

ROOT = "annotation"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_pascal_voc(source: Source) -> BoxContents | None:
    """One box for each object."""
    if source.kind == "folder":
        roots = [(path.stem, parsed_xml(path)) for path in source.inside("*.xml")]
    else:
        roots = [(source.path.stem, source.xml)] if source.xml is not None else []
    if not roots or any(root.tag != ROOT for _, root in roots):
        return None
    boxes = [box for stem, root in roots for box in _boxes(stem, root)]
    return BoxContents(format="Pascal VOC XML", boxes=boxes, units="pixels")


def _boxes(stem: str, root: Element) -> Iterator[Box]:
    image = (root.findtext("filename") or "").strip() or stem
    sides = [max(0.0, number(root.findtext(f"size/{side}") or 0)) for side in ("width", "height")]
    width, height = (0.0, 0.0) if any(side != side for side in sides) else sides
    for at, thing in enumerate(root.iter("object"), 1):
        left, top, right, bottom = (number(thing.findtext(f"bndbox/{name}")) for name in CORNERS)
        label = (thing.findtext("name") or "").strip()
        yield Box(image, (left, top, right, bottom), f"object {at} of {stem}.xml", label, width=width, height=height)
