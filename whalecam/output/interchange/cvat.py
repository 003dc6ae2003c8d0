"""CVAT for images, XML 1.1: masks as pre-annotations, verdicts as tags.

Source: docs.cvat.ai/docs/manual/advanced/xml_format.
"""

import json
import re
from xml.etree.ElementTree import Element, SubElement, tostring

from whalecam.config import REVIEW_VERDICTS
from whalecam.data.readers.boxes.cvat import ROOT
from whalecam.data.readers.boxes.source import Source
from whalecam.output.interchange import regions
from whalecam.output.interchange.outgoing import Item, Outgoing
from whalecam.output.interchange.returned import (
    SENT,
    Contents,
    Given,
    Returned,
    given_of,
    sent_cells,
    verdict_of,
    words_of,
)

FILE = "annotations.xml"
ROW = "row"
ATTRIBUTES = ("reason", "note", "suggested_label", "reviewer", "reviewed_at")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold; the exported row, which is JSON, keeps it."""


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """One file: a tag for the verdict with its attributes, a tag `whalecam` with the exported row, and a mask."""
    root = Element(ROOT)
    _with_text(root, "version", "1.1")
    task = SubElement(SubElement(root, "meta"), "task")
    _with_text(task, "name", outgoing.run)
    labels = SubElement(task, "labels")
    for name in REVIEW_VERDICTS:
        _label(labels, name, "tag", ATTRIBUTES)
    _label(labels, SENT, "tag", (ROW,))
    subject = _label_of(outgoing.subject)
    _label(labels, subject, "any", ())
    for at, item in enumerate(outgoing.items):
        size = {"width": str(item.width), "height": str(item.height)}
        image = SubElement(root, "image", {"id": str(at), "name": _clean(item.file), **size})
        words = words_of(item)
        if verdict := words.get("verdict"):
            _tag(image, verdict, "manual", {name: words[name] for name in ATTRIBUTES if name in words})
        _tag(image, SENT, "auto", {ROW: json.dumps(dict(item.cells))})
        _mask(image, item, subject)
    return {FILE: tostring(root, encoding="utf-8", xml_declaration=True)}


def _label_of(subject: str) -> str:
    """The name of the masks' label. A label of CVAT has one name and one type, so it is none of the tags' names."""
    reserved = {*REVIEW_VERDICTS, SENT}
    return f"{subject} (mask)" if subject.strip().casefold() in reserved else subject


def read(source: Source) -> Contents | None:
    """The tags of the images."""
    path = source.path / FILE
    root = Source(path).xml if source.kind == "folder" and path.is_file() else source.xml
    if root is None or root.tag != ROOT:
        return None
    images = [_returned(image) for image in root.iter("image")]
    return Contents(format="a CVAT file", images=images, places="the tags flag, keep and unsure of an image")


def _returned(image: Element) -> Returned:
    given: list[Given] = []
    sent: dict[str, str | float] = {}
    for tag in image.iter("tag"):
        values = {cell.get("name", ""): cell.text or "" for cell in tag.iter("attribute")}
        label = tag.get("label", "")
        if verdict := verdict_of(label):
            given.append(given_of({**values, "verdict": verdict}))
        elif label == SENT:
            sent = sent_cells(values.get(ROW))
    return Returned(file=image.get("name", ""), sent=sent, given=given)


def _label(labels: Element, name: str, kind: str, attributes: tuple[str, ...]) -> None:
    label = SubElement(labels, "label")
    _with_text(label, "name", name)
    _with_text(label, "type", kind)
    several = SubElement(label, "attributes")
    for attribute in attributes:
        cell = SubElement(several, "attribute")
        values = {"name": attribute, "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
        for tag, value in values.items():
            _with_text(cell, tag, value)


def _tag(image: Element, label: str, source: str, attributes: dict[str, str]) -> None:
    tag = SubElement(image, "tag", {"label": label, "source": source})
    for name, value in attributes.items():
        _with_text(tag, "attribute", value).set("name", name)


def _mask(image: Element, item: Item, subject: str) -> None:
    """The mask inside its box, in pixels of the upright image; runs go along the rows."""
    if item.mask is None:
        return
    pixels = regions.raster(item.mask, item.width, item.height)
    box = regions.bounds(pixels)
    if box is None:
        return
    left, top, width, height = box
    inside = pixels[top : top + height, left : left + width]
    place = {"left": left, "top": top, "width": width, "height": height, "occluded": 0, "z_order": 0}
    runs = ", ".join(map(str, regions.run_lengths(inside.ravel())))
    words = {"label": subject, "source": "auto", "rle": runs}
    SubElement(image, "mask", words | {name: str(value) for name, value in place.items()})


def _with_text(parent: Element, tag: str, text: str) -> Element:
    element = SubElement(parent, tag)
    element.text = _clean(text)
    return element


def _clean(text: str) -> str:
    return FORBIDDEN.sub(" ", text)
